"""A row of events.parquet that points outside what there is: refused by file, row and reason, at every level.

The cores trust the columns, so that every rule here stands between a damaged file and their memory.
"""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hinting.errors import RecordingError
from hinting.recordings import Recording, replay
from tests.damage import change_meta, change_value, copy_of, rows_of

HACKBENCH, K612, V8 = "hackbench-768m-1cpu", "k612-stressng-512m-1cpu", "v8-test-5g-1cpu"

CASES = [
    (HACKBENCH, "ALLOC", "type", 31, "type is not one of the 31"),
    (HACKBENCH, "ALLOC", "cpu", 1, "cpu is not below 1"),
    (HACKBENCH, "ALLOC", "order", 11, "order is not between 0 and 10"),
    (HACKBENCH, "ALLOC", "order", -1, "order is not between 0 and 10"),
    (HACKBENCH, "ALLOC", "pfn", -1, "pfn is not a page frame below 196573"),
    (HACKBENCH, "ALLOC", "pfn", 196573, "pfn is not a page frame below 196573"),
    (HACKBENCH, "ALLOC", "pfn", 0, "pfn is in no zone"),
    (HACKBENCH, "ALLOC", "mt", 3, "migratetype of requests"),
    (HACKBENCH, "ALLOC", "mt", 100, "migratetype"),
    (HACKBENCH, "ALLOC", "mt", -1, "migratetype"),
    (HACKBENCH, "ALLOC", "aux", 5, "aux is not one of the paths"),
    (HACKBENCH, "ALLOC", "aux", -1, "aux is not one of the paths"),
    (HACKBENCH, "ALLOC", "a", 4, "a does not name zones"),
    (HACKBENCH, "ALLOC", "a", 4 << 4, "a does not name zones"),
    (HACKBENCH, "ALLOC", "a", -1, "a does not name zones"),
    (HACKBENCH, "ALLOC", "zone", 2, "zone is not one of"),
    (HACKBENCH, "FREE", "aux", 3, "aux is not one of the paths"),
    (HACKBENCH, "FREE", "order", 11, "order is not between"),
    (HACKBENCH, "FREE", "pfn", -5, "pfn is not a page frame"),
    (HACKBENCH, "RMQ", "aux", 2, "aux is not one of the paths"),
    (HACKBENCH, "RMQ", "mt", 5, "migratetype between 0 and 4"),
    (HACKBENCH, "MOVE", "pfn", -1, "pfn is not a page frame"),
    (HACKBENCH, "MOVE", "mt", 5, "migratetype between 0 and 4"),
    (HACKBENCH, "SETPB", "pfn", (1 << 31) - 1, "pfn is not a page frame"),
    (HACKBENCH, "SETPB", "mt", -1, "migratetype between 0 and 4"),
    (K612, "DRAIN", "order", 1, "order is not a cpu below 1"),
    (K612, "DRAIN", "zone", 3, "zone is not one of"),
    (K612, "DRAIN", "b", 14, "a per-CPU list"),
    (K612, "DRAIN", "a", -1, "a number of pages"),
    (K612, "DRAINED", "pfn", -1, "pfn is not a page frame"),
    (V8, "HINT_FREE", "order", 11, "order is not between"),
    (V8, "HINT_FREE", "pfn", -1, "pfn is not a page frame"),
    (V8, "HINT_RETURN", "mt", 5, "migratetype between 0 and 4"),
    (V8, "ISOLATE", "pfn", (1 << 31) - 1, "pfn is not a page frame"),
]


@pytest.mark.parametrize(("name", "kind", "column", "value", "words"), CASES, ids=lambda value: str(value).replace(" ", "-"))
def test_refused_by_row_and_reason(tmp_path, name, kind, column, value, words):
    folder = copy_of(name, tmp_path)
    row = rows_of(folder, kind)[-1]
    change_value(folder, "events.parquet", column, row, value)
    for level in ("state", "request"):
        with pytest.raises(RecordingError, match=words) as caught:
            replay(Recording.open(folder), level)
        assert f"{folder / 'events.parquet'}: row {row}" in str(caught.value)


def test_order_without_per_cpu_lists(tmp_path):
    folder = copy_of(HACKBENCH, tmp_path)
    table = pq.read_table(folder / "events.parquet").to_pydict()
    row = next(row for row in rows_of(folder, "ALLOC") if table["aux"][row] == 0 and table["pfn"][row] % 32 == 0)
    change_value(folder, "events.parquet", "order", row, 5)
    with pytest.raises(RecordingError, match=f"row {row} .*no per-CPU lists"):
        replay(Recording.open(folder))


def test_page_that_is_not_aligned(tmp_path):
    folder = copy_of(HACKBENCH, tmp_path)
    table = pq.read_table(folder / "events.parquet").to_pydict()
    row = next(row for row in rows_of(folder, "ALLOC") if table["order"][row] == 2)
    change_value(folder, "events.parquet", "pfn", row, table["pfn"][row] + 2)
    with pytest.raises(RecordingError, match=f"row {row} .*not aligned"):
        replay(Recording.open(folder))


@pytest.mark.parametrize("column", ["type", "cpu", "pfn", "order", "gfp", "d"])
def test_column_of_another_type(tmp_path, column):
    folder = copy_of(HACKBENCH, tmp_path)
    table = pq.read_table(folder / "events.parquet")
    at = table.schema.get_field_index(column)
    words = pa.array(["x"] * table.num_rows)
    pq.write_table(table.set_column(at, column, words), folder / "events.parquet")
    with pytest.raises(RecordingError, match=f"column '{column}' has type string, expected integers"):
        replay(Recording.open(folder))


def test_empty_cell(tmp_path):
    folder = copy_of(HACKBENCH, tmp_path)
    change_value(folder, "events.parquet", "aux", 77, None)
    with pytest.raises(RecordingError, match=r"events.parquet: row 77: column 'aux' is empty"):
        replay(Recording.open(folder))


def test_no_rows_at_all(tmp_path):
    folder = copy_of(HACKBENCH, tmp_path)
    pq.write_table(pq.read_table(folder / "events.parquet").slice(0, 0), folder / "events.parquet")
    with pytest.raises(RecordingError, match=r"0 rows, meta\.json promises 32118"):
        replay(Recording.open(folder))


def test_more_rows_than_promised(tmp_path):
    folder = copy_of(HACKBENCH, tmp_path)
    table = pq.read_table(folder / "events.parquet")
    pq.write_table(pa.concat_tables([table, table.slice(0, 1)]), folder / "events.parquet")
    with pytest.raises(RecordingError, match=r"32119 rows, meta\.json promises 32118"):
        replay(Recording.open(folder))


def test_rows_of_a_type_that_is_unknown(tmp_path):
    """A type may be named without rows of it; marks of memory pressure need not be known one by one."""
    folder = copy_of(HACKBENCH, tmp_path)
    row = rows_of(folder, "MOVE")[0]
    types = Recording.open(folder).types
    for name in ("KSWAPD_ELSE", "SHRINK"):
        change_meta(folder, ("types",), [name if kind == "MOVE" else kind for kind in types])
        if name == "KSWAPD_ELSE":
            assert replay(Recording.open(folder)).is_identical
    with pytest.raises(RecordingError, match=rf"events\.parquet: row {row} \(SHRINK\): rows of this type are unknown"):
        replay(Recording.open(folder))
    change_meta(folder, ("types",), [*types, "SHRINK"])
    assert replay(Recording.open(folder)).is_identical
