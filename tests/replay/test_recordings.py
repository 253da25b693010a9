"""Real kernels are the judge: every choice and every list, in order."""

import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hinting.recordings import Recording, replay
from tests.conftest import DATA, FULL, full_recordings

SMALL = sorted(path.parent.name for path in DATA.glob("*/meta.json"))
ALL = full_recordings()


@pytest.mark.parametrize("level", ["state", "request"])
@pytest.mark.parametrize("name", SMALL)
def test_small_recordings_are_identical(name, level):
    result = replay(Recording.open(DATA / name), level)
    assert result.allocations > 1000
    assert result.identical == result.allocations
    assert result.free_lists_identical
    assert result.pcp_lists_identical
    assert result.assisted == 0


def test_v8_decides_like_the_patched_kernel():
    result = replay(Recording.open(DATA / "v8-test-5g-1cpu"), "hinting", check_every=997)
    assert result.decisions == result.decisions_same > 20000
    assert result.hinting_differences == ()
    assert result.is_identical


@pytest.mark.skipif(not ALL, reason=f"the full recordings are not at {FULL} (set HINTING_RECORDINGS)")
@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_full_recordings(path):
    recording = Recording.open(path)
    result = replay(recording, "request")
    if recording.undisturbed:
        assert result.is_identical
        assert recording.ncpus > 1 or result.assisted == 0
        if recording.has_v8 or recording.has_reporting:
            assert replay(recording, "hinting").is_identical
    else:
        assert result.identical >= 0.99 * result.allocations
        assert result.assisted > 0


@pytest.fixture
def changed(tmp_path):
    """A copy of a recording in which one allocated page is another one."""
    folder = tmp_path / "changed"
    shutil.copytree(DATA / "hackbench-768m-1cpu", folder)
    table = pq.read_table(folder / "events.parquet")
    types = json.loads((folder / "meta.json").read_text())["types"]
    kind, order, pfn = (table[name].to_pylist() for name in ("type", "order", "pfn"))
    row = next(i for i in range(5000, len(kind)) if types[kind[i]] == "ALLOC" and order[i] == 0)
    pfn[row] += 1
    column = table.schema.get_field_index("pfn")
    pq.write_table(table.set_column(column, "pfn", pa.array(pfn, table.schema.field("pfn").type)), folder / "events.parquet")
    return folder, row


def test_a_changed_choice_is_found(changed):
    folder, row = changed
    result = replay(Recording.open(folder))
    assert not result.is_identical
    assert result.first_difference.row == row
    assert result.first_difference.expected_pfn == result.first_difference.chosen_pfn + 1
    assert "zone" in result.first_difference.details
