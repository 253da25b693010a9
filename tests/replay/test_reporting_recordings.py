"""Recordings of a kernel with page reporting: the pass is the emulated one, only its moments are inputs."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hinting.recordings import Recording, replay
from tests.conftest import DATA, FULL
from tests.replay.cutting import cut, quiet_row

START = DATA / "reporting-1g-1cpu-start"
WHOLE = FULL / "reporting-1g-1cpu"
needs_whole = pytest.mark.skipif(not WHOLE.is_dir(), reason=f"the full recording is not at {FULL}")


def changed(folder, change):
    """A copy of the recording whose rows `change` has altered: (columns, type names) -> rows that stay, or None for all."""
    shutil.copytree(START, folder)
    table = pq.read_table(folder / "events.parquet")
    meta = json.loads((folder / "meta.json").read_text())
    columns = {name: table[name].to_numpy().copy() for name in table.column_names}
    keep = change(columns, np.array(meta["types"])[columns["type"]])
    if keep is not None:
        columns = {name: values[keep] for name, values in columns.items()}
        meta["rows_total"] = int(keep.sum())
    pq.write_table(pa.table(columns), folder / "events.parquet")
    (folder / "meta.json").write_text(json.dumps(meta))
    return Recording.open(folder)


def test_every_decision_is_the_kernels():
    result = replay(Recording.open(START), "hinting", check_every=97)
    assert result.decisions == result.decisions_same == 185
    assert result.is_identical


def test_at_request_level_the_blocks_of_a_pass_are_no_inputs(tmp_path):
    def scramble(columns, names):
        rows = np.isin(names, ("ISOLATE", "PUTBACK"))
        columns["pfn"][rows] = columns["pfn"][rows][::-1]
        return ~np.isin(names, ("ISOLATE", "SETPB"))

    result = replay(changed(tmp_path / "scrambled", scramble))
    assert result.is_identical
    assert result.assisted == 0


def test_another_block_is_a_difference_at_hinting_level(tmp_path):
    def other_block(columns, names):
        columns["pfn"][np.flatnonzero(names == "ISOLATE")[40]] += 1024

    result = replay(changed(tmp_path / "other", other_block), "hinting")
    assert not result.is_identical
    assert result.decisions_same == result.decisions - 1
    assert "did not decide ISOLATE" in result.first_difference.why
    assert "free list order 10 MOVABLE" in result.first_difference.details


def test_a_pass_that_does_not_end_is_a_difference(tmp_path):
    """The kernel's second report and what follows of that pass are left out: here they are made."""

    def without_the_rest(columns, names):
        reports = np.flatnonzero(names == "REPORT")
        works = np.flatnonzero(names == "REPORT_WORK")
        rows = np.arange(names.size)
        return ~((reports[0] + 32 < rows) & (rows < works[1]) & np.isin(names, ("ISOLATE", "PUTBACK", "REPORT")))

    result = replay(changed(tmp_path / "shorter", without_the_rest), "hinting")
    assert not result.is_identical
    assert result.decisions_same < result.decisions


@needs_whole
@pytest.mark.parametrize(("first", "last"), [(98, 404300), (403700, 404246), (403700, 790060)])
def test_it_may_begin_and_end_while_the_host_works(first, last, tmp_path):
    recording = Recording.open(WHOLE)
    cut(recording, first, last, tmp_path / "part")
    for level in ("state", "request", "hinting"):
        assert replay(Recording.open(tmp_path / "part"), level).is_identical


@needs_whole
def test_it_may_begin_at_any_later_moment(tmp_path):
    recording = Recording.open(WHOLE)
    first = quiet_row(recording, 789000)
    cut(recording, first, quiet_row(recording, first + 9000), tmp_path / "part")
    result = replay(Recording.open(tmp_path / "part"), "hinting")
    assert result.is_identical
    assert result.decisions > 200
