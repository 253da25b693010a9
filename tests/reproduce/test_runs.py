"""Experiments that are quick enough to be run whole, the others behind --slow; what must come out of them."""

from itertools import pairwise

import pytest

from hinting.cli.output import result_console
from hinting.errors import ReproduceError
from hinting.reports.reproduce_text import print_reproduction
from hinting.reproduce import reproduce


def by_id(result, experiment):
    return {row.id.removeprefix(f"{experiment}/"): row for row in result.rows if row.experiment == experiment}


@pytest.fixture(scope="module")
def speed():
    return reproduce(["12.4"], workers=2)


def test_reporting_speed(speed):
    """Steps of 1.0 GiB, as long as there are blocks of 2 MiB, then of 0.625 GiB; all given back after 20 to 24 s."""
    rows = by_id(speed, "reporting-speed")
    held = [rows["exit"].emulated] + [rows[f"pass-{n}"].emulated for n in range(1, 12)]
    steps = [before - after for before, after in pairwise(held)]
    assert steps[1:3] == pytest.approx([1.0, 1.0], abs=0.13)
    assert steps[4:-1] == pytest.approx([0.625] * 6, abs=0.07)
    assert 20 <= rows["duration"].emulated <= 24
    assert all(row.within for name, row in rows.items() if name.startswith(("exit", "pass", "duration", "peak")))


def test_signs_of_guests_that_take_turns(speed):
    assert all(row.sign for row in speed.rows if row.sign is not None)


def test_the_number_of_workers_does_not_matter(speed):
    seen = []
    assert reproduce(["12.4"], workers=1, progress=lambda *step: seen.append(step)).rows == speed.rows
    assert [n for n, _, _ in seen] == list(range(1, seen[-1][1] + 1))
    assert {what.split()[0] for _, _, what in seen} == {"reporting-speed"}


def test_text(speed, capsys):
    print_reproduction(speed, result_console())
    shown = capsys.readouterr().out
    assert shown.startswith("12.4")
    for row in speed.rows:
        (line,) = [line for line in shown.splitlines() if line.startswith(row.setting + " ")]
        assert line.rstrip().endswith("yes" if row.within else "no")
    assert f"{len(speed.rows)} rows: {sum(row.within for row in speed.rows)} within" in shown


@pytest.mark.parametrize("workers", [0, -1, True, 1.5])
def test_workers_that_cannot_be(workers):
    with pytest.raises(ReproduceError, match="workers"):
        reproduce(["seed"], workers=workers)


@pytest.mark.slow
def test_guests_that_fit():
    rows = by_id(reproduce(["seed"]), "seed")
    assert rows["none"].emulated == 3
    assert rows["v8"].emulated >= 5
