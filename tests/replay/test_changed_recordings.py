"""A check that can fail: a recording in which something was changed is found out, with the row and the reason."""

import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from hinting.errors import RecordingError
from hinting.recordings import Recording, replay
from tests.damage import change_value, copy_of, rows_of

NAME = "hackbench-768m-1cpu"


def other_page(folder, row):
    """A page that is allocated at no time: it is not this row's, and in the same zone."""
    table = pq.read_table(folder / "events.parquet").to_pydict()
    return next(pfn for pfn in range(table["pfn"][row] + 1, table["pfn"][row] + 5000) if pfn not in table["pfn"])


@pytest.fixture(params=[0.05, 0.5, 0.95])
def changed(request, tmp_path):
    """(folder, row): the page of one allocation of order 0 from a per-CPU list is another one."""
    folder = copy_of(NAME, tmp_path)
    table = pq.read_table(folder / "events.parquet").to_pydict()
    rows = [row for row in rows_of(folder, "ALLOC") if table["order"][row] == 0 and table["aux"][row] == 0]
    row = rows[int(request.param * len(rows))]
    change_value(folder, "events.parquet", "pfn", row, other_page(folder, row))
    return folder, row


@pytest.mark.parametrize("level", ["state", "request"])
def test_a_changed_allocation(changed, level):
    folder, row = changed
    result = replay(Recording.open(folder), level)
    assert not result.is_identical
    assert result.identical < result.allocations
    difference = result.first_difference
    assert difference.row == row
    assert difference.expected_pfn == pq.read_table(folder / "events.parquet")["pfn"][row].as_py()
    assert difference.expected_pfn != difference.chosen_pfn
    assert difference.why
    assert f"row {row}: ALLOC" in difference.details
    assert difference.to_json().keys() == {"row", "expected_pfn", "chosen_pfn", "why"}


def test_the_command_says_no(changed):
    folder, row = changed
    hinting = Path(sys.executable).with_name("hinting")
    done = subprocess.run([hinting, "replay", folder, "--explain"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert f"first difference at row {row}" in done.stdout
    assert "watermarks" in done.stderr


@pytest.mark.parametrize("level", ["state", "request"])
def test_a_list_at_the_end_in_another_order(tmp_path, level):
    folder = copy_of(NAME, tmp_path)
    table = pq.read_table(folder / "freelists.parquet").to_pydict()
    rows = [row for row, snap in enumerate(table["snap"]) if snap == 1]
    first = next(row for row in rows if table["pos"][row] == 0 and table["pos"][row + 1] == 1)
    change_value(folder, "freelists.parquet", "pfn", first, table["pfn"][first + 1])
    change_value(folder, "freelists.parquet", "pfn", first + 1, table["pfn"][first])
    result = replay(Recording.open(folder), level)
    assert not result.is_identical
    assert not result.free_lists_identical
    assert result.identical == result.allocations
    assert len(result.differing_lists) == 1
    assert f"order {table['order'][first]} type {table['mt'][first]}" in result.differing_lists[0]


def test_a_lost_free(tmp_path):
    """A free that turns into a row without meaning: the page is missing later."""
    folder = copy_of(NAME, tmp_path)
    row = rows_of(folder, "FREE")[5000]
    change_value(folder, "events.parquet", "type", row, 0)
    result = replay(Recording.open(folder))
    assert not result.is_identical
    assert result.first_difference is not None
    assert result.first_difference.row > row


def test_a_free_of_another_page(tmp_path):
    folder = copy_of(NAME, tmp_path)
    row = rows_of(folder, "FREE")[5000]
    pages = pq.read_table(folder / "events.parquet")["pfn"].to_pylist()
    change_value(folder, "events.parquet", "pfn", row, pages[rows_of(folder, "FREE")[4999]])
    result = replay(Recording.open(folder))
    assert not result.is_identical
    assert result.refused >= 1


def test_forced_choices_that_cannot_be(tmp_path):
    """At state level an allocation that takes no page off its list leaves the page in two places: refused, no crash."""
    folder = copy_of(NAME, tmp_path)
    row = next(
        row for row in rows_of(folder, "ALLOC")[3000:] if pq.read_table(folder / "events.parquet")["aux"][row].as_py() == 0
    )
    change_value(folder, "events.parquet", "aux", row, 3)
    with pytest.raises(RecordingError, match=r"events\.parquet: .*the rows lead to a state that cannot be"):
        replay(Recording.open(folder), "state")
