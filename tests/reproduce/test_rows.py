"""What rows say of a published and an emulated number."""

import pytest

from hinting.reproduce import Experiment
from hinting.reproduce.run import _rows

LINE = {"run": "r", "arm": "a", "measure": "peak", "unit": "GiB"}


def rows(values, lines, **fields):
    """Rows of an experiment with one run; values: of each arm, one a seed."""
    seeds = list(range(len(next(iter(values.values())))))
    table = Experiment.model_validate(
        {"name": "e", "number": "1.1", "title": "t", "source": "s", "runs": {"r": {"scenario": "seed", "seeds": seeds}}} | fields
        | {"rows": [LINE | {"id": f"row-{i}", "setting": str(i)} | line for i, line in enumerate(lines)]}
    )
    done = {("e", "r", arm, seed): {("peak", ()): value} for arm, found in values.items() for seed, value in enumerate(found)}
    return list(_rows(table, done))


@pytest.mark.parametrize(("emulated", "within"), [(11.49, True), (11.51, False), (8.51, True), (8.49, False)])
def test_tolerance(emulated, within):
    (row,) = rows({"a": [emulated]}, [{"published": 10}])
    assert row.within is within
    assert row.error == pytest.approx(emulated / 10 - 1)
    assert (row.sign, row.tolerance, row.seeds) == (None, 0.15, 1)


def test_tolerance_of_a_row_and_of_an_experiment():
    found = rows({"a": [13]}, [{"published": 10}, {"published": 10, "tolerance": 0.4}], tolerance=0.2)
    assert [(row.tolerance, row.within) for row in found] == [(0.2, False), (0.4, True)]


@pytest.mark.parametrize(("emulated", "within"), [(4, False), (5, True), (50, True)])
def test_lower_bound(emulated, within):
    (row,) = rows({"a": [emulated]}, [{"published": 5, "bound": "least"}])
    assert row.within is within


def test_seeds_give_median_and_spread():
    (row,) = rows({"a": [4, 9, 6]}, [{"published": 6}])
    assert (row.emulated, row.low, row.high, row.seeds) == (6, 4, 9, 3)


@pytest.mark.parametrize(
    ("published", "emulated", "sign"),
    [(5, 9, True), (5, 9.6, False), (5, 11, False), (10.2, 9.8, True), (10.2, 8, False), (12, 30, True), (12, 10, False)],
)
def test_sign_against_another_row(published, emulated, sign):
    found = rows({"a": [emulated], "b": [10]}, [{"published": published, "against": "row-1"}, {"published": 10, "arm": "b"}])
    assert found[0].sign is sign


def test_ratios_and_differences():
    found = rows(
        {"a": [6], "b": [4]},
        [
            {"published": 1.4, "relative": ["ratio", "b"], "against": 1},
            {"published": -1, "relative": ["difference", "b"], "against": 0},
        ],
    )
    assert [row.emulated for row in found] == [1.5, 2]
    assert [row.sign for row in found] == [True, False]
