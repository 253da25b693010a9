"""Tables of lists that contradict themselves, each other or meta.json."""

import pyarrow.parquet as pq
import pytest

from hinting.errors import RecordingError
from hinting.recordings import Recording, allocator_of, replay
from tests.damage import change_value, copy_of

HACKBENCH, K612, V8 = "hackbench-768m-1cpu", "k612-stressng-512m-1cpu", "v8-test-5g-1cpu"


@pytest.mark.parametrize(
    ("name", "file", "column", "value", "words"),
    [
        (HACKBENCH, "freelists.parquet", "zone", 2, "row .*no list of zone 2"),
        (HACKBENCH, "freelists.parquet", "order", 11, "row 7: no list of zone 1, order 11"),
        (HACKBENCH, "freelists.parquet", "mt", 5, "migratetype 5"),
        (HACKBENCH, "freelists.parquet", "pos", 99, "positions of the list"),
        (HACKBENCH, "freelists.parquet", "pfn", -1, "row 7: pfn -1 is not in zone"),
        (HACKBENCH, "freelists.parquet", "pfn", 196573, "row 7: pfn 196573 is not in zone"),
        (HACKBENCH, "freelists.parquet", "snap", 1, "freelists.parquet"),
        (HACKBENCH, "pcplists.parquet", "zone", 3, "positions of the list"),
        (HACKBENCH, "pcplists.parquet", "cpu", 1, "positions of the list"),
        (HACKBENCH, "pcplists.parquet", "pindex", 14, "positions of the list"),
        (HACKBENCH, "pcplists.parquet", "pos", 99999, "positions of the list"),
        (HACKBENCH, "pcplists.parquet", "pfn", (1 << 31) - 1, "row 7: pfn 2147483647 is not in zone"),
        (HACKBENCH, "pageblocks.parquet", "pageblock", 384, "row 7: pageblock 384 is outside the guest's 384"),
        (HACKBENCH, "pageblocks.parquet", "pageblock", -1, "row 7: pageblock -1"),
        (HACKBENCH, "pageblocks.parquet", "mt_t0", 5, "row 7: mt_t0 must be a migratetype"),
        (HACKBENCH, "pageblocks.parquet", "mt_t1", 254, "row 7: mt_t1 must be a migratetype"),
        (HACKBENCH, "movable_t0.parquet", "pfn", 196573, "row 7: pfn 196573"),
        (HACKBENCH, "movable_t0.parquet", "pfn", -1, "row 7: pfn -1"),
        (HACKBENCH, "movable_t0.parquet", "pfn", 0, "row 7: pfn 0 is no memory"),
        (V8, "hintarray.parquet", "pfn", (1 << 31) - 1, "row 7: no block of this guest"),
        (V8, "hintarray.parquet", "order", 11, "row 7: no block of this guest"),
        (V8, "hintarray.parquet", "idx", 5000, "entries of cpu 0 at t0 are not 0"),
    ],
    ids=lambda value: str(value).replace(" ", "-"),
)
def test_refused(name, file, column, value, words, tmp_path):
    folder = copy_of(name, tmp_path)
    change_value(folder, file, column, 7, value)
    level = "hinting" if name == V8 else "request"
    with pytest.raises(RecordingError, match=words) as caught:
        replay(Recording.open(folder), level)
    assert file in str(caught.value)


@pytest.mark.parametrize(("column", "value"), [("zone", 3), ("cpu", 1), ("pindex", 14), ("zone", -1), ("pindex", -1)])
def test_a_list_that_no_cpu_has(column, value, tmp_path):
    folder = copy_of(HACKBENCH, tmp_path)
    table = pq.read_table(folder / "pcplists.parquet").to_pydict()
    keys = list(zip(table["snap"], table["zone"], table["cpu"], table["pindex"], strict=True))
    row = next(row for row, key in enumerate(keys) if keys.count(key) == 1 and key[0] == 0)
    change_value(folder, "pcplists.parquet", column, row, value)
    with pytest.raises(RecordingError, match=f"row {row}: no per-CPU list of zone"):
        allocator_of(Recording.open(folder))


def test_a_page_on_two_lists(tmp_path):
    folder = copy_of(HACKBENCH, tmp_path)
    table = pq.read_table(folder / "pcplists.parquet").to_pydict()
    rows = [row for row, snap in enumerate(table["snap"]) if snap == 0]
    change_value(folder, "pcplists.parquet", "pfn", rows[1], table["pfn"][rows[0]])
    with pytest.raises(RecordingError, match=f"pfn {table['pfn'][rows[0]]} is in the allocator already"):
        replay(Recording.open(folder))


def test_lists_of_another_type_than_their_pageblock(tmp_path):
    """6.12 keeps free blocks on the list of their pageblock's type."""
    folder = copy_of(K612, tmp_path)
    change_value(folder, "freelists.parquet", "mt", 0, 1)
    with pytest.raises(RecordingError, match=r"contradict|positions|counts"):
        allocator_of(Recording.open(folder))


@pytest.mark.parametrize("file", ["freelists.parquet", "pcplists.parquet", "pageblocks.parquet", "movable_t0.parquet"])
@pytest.mark.parametrize("damage", ["missing", "truncated", "garbage", "without a column", "empty"])
def test_damaged_file(file, damage, tmp_path):
    folder = copy_of(HACKBENCH, tmp_path)
    path = folder / file
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    elif damage == "garbage":
        path.write_bytes(b"PAR1" + bytes(range(256)) + b"PAR1")
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        table = pq.read_table(path)
        pq.write_table(table.drop_columns(["pfn" if "pfn" in table.column_names else "mt_t0"]), path)
    for level in ("state", "request"):
        with pytest.raises(RecordingError) as caught:
            replay(Recording.open(folder), level)
        assert str(path) in str(caught.value)


def test_half_of_the_free_lists(tmp_path):
    folder = copy_of(HACKBENCH, tmp_path)
    path = folder / "freelists.parquet"
    table = pq.read_table(path)
    pq.write_table(table.slice(0, table.num_rows // 4), path)
    with pytest.raises(RecordingError, match=r"freelists\.parquet"):
        replay(Recording.open(folder))


@pytest.mark.parametrize("moment", [0, 1])
def test_fewer_pages_on_per_cpu_lists_than_promised(moment, tmp_path):
    folder = copy_of(HACKBENCH, tmp_path)
    table = pq.read_table(folder / "pcplists.parquet")
    keys = list(zip(*(table[name].to_pylist() for name in ("snap", "zone", "cpu", "pindex")), strict=True))
    last = max(row for row, key in enumerate(keys) if key[0] == moment)
    pq.write_table(table.filter([row != last for row in range(table.num_rows)]), folder / "pcplists.parquet")
    with pytest.raises(RecordingError, match=rf"pages at t{moment}, meta.json counts \d+: the file is truncated"):
        allocator_of(Recording.open(folder))
