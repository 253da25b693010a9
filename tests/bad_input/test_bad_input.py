"""Bad input gets one clear error, and nothing changes."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import hinting as h
from hinting._core.engine.ops import OP_DTYPE, program, validate
from hinting.errors import GuestError, HintingError, HostError, OpError, PageError, RecordingError, StrategyError
from hinting.recordings import Recording, replay
from tests.conftest import DATA


@pytest.fixture(scope="module")
def guest():
    return h.Guest("1GiB", kernel="linux-6.1")


@pytest.mark.parametrize(
    ("pfn", "order", "words"),
    [
        (300000, 0, "between 0 and"), (1, 0, "not memory"), (4096 * 20, 0, "free"), (4097, 1, "aligned"), (4096, 11, "order"),
        (-1, 0, "between"), ("x", 0, "integer"), (4096, -1, "order"), (4096, 0, "cannot be freed"),
    ],
)  # fmt: skip
def test_frees_that_are_refused(guest, pfn, order, words):
    before = guest.buddyinfo()
    with pytest.raises(PageError, match=words):
        guest.free(pfn, order)
    assert np.array_equal(guest.buddyinfo(), before)
    guest.check()


def test_wrong_order_and_double_free(guest):
    pfn = guest.alloc(3)
    for order in (0, 2):
        with pytest.raises(PageError, match="order 3"):
            guest.free(pfn, order)
    guest.free(pfn, 3)
    with pytest.raises(PageError, match="free"):
        guest.free(pfn, 3)
    single = guest.alloc(0)
    with pytest.raises(PageError, match="twice"):
        guest.free_list([single, single])
    guest.free(single)
    guest.check()


@pytest.mark.parametrize(
    "arguments",
    [
        {"memory": 0}, {"memory": "64MiB"}, {"memory": 2**30 + 1}, {"memory": "1GiB", "vcpus": 0},
        {"memory": "1GiB", "vcpus": 257},
        {"memory": "1GiB", "thp": "maybe"}, {"memory": "1GiB", "kernel": "linux-4.0"}, {"memory": "1GiB", "strategy": "v99"},
        {"memory": "5 GiBs"},
    ],
    ids=str,
)  # fmt: skip
def test_guests_that_cannot_be(arguments):
    with pytest.raises(HintingError):
        h.Guest(arguments.pop("memory"), **arguments)


@pytest.mark.parametrize(("entries", "fine"), [(1, False), (2, True), (1 << 20, True), ((1 << 20) + 1, False), ("x", False)])
def test_both_sides_of_a_limit(entries, fine):
    if fine:
        assert h.strategies.V8(entries=entries).entries == entries
    else:
        with pytest.raises(StrategyError, match="entries must be"):
            h.strategies.V8(entries=entries)


def test_host_smaller_than_its_base():
    with pytest.raises(HostError, match="base"):
        h.Host("512MiB")
    with pytest.raises(GuestError):
        h.Guest("100MiB")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([("TOUCH", {"proc": 1, "b": 1})], "SPAWN"),
        ([("SPAWN", {"proc": 1}), ("TOUCH", {"proc": 1, "b": 1})], "MMAP"),
        ([("SPAWN", {"proc": 1}), ("MMAP", {"proc": 1, "a": 0})], "1 to"),
        ([("SPAWN", {"proc": 1}), ("MMAP", {"proc": 1, "a": 4}), ("TOUCH", {"proc": 1, "a": 2, "b": 3})], "beyond"),
        ([("ALLOC", {"order": 11, "b": 1})], "order"),
        ([("ALLOC", {"flags": 9, "b": 1})], "kind"),
        ([("SLEEP", {"a": -1})], "negative"),
        ([("BACK", {"a": 0, "b": 1 << 40})], "below"),
        ([("EXIT", {"proc": 70000})], "exceed"),
    ],
)
def test_op_arrays_that_are_refused(rows, words):
    with pytest.raises(OpError, match=words):
        validate(program(*rows), 1000)


def test_unknown_op():
    rows = np.zeros(1, OP_DTYPE)
    rows["op"] = 200
    with pytest.raises(OpError, match="unknown op"):
        validate(rows, 1000)


@pytest.fixture
def copy(tmp_path):
    folder = tmp_path / "recording"
    shutil.copytree(DATA / "hackbench-768m-1cpu", folder)
    return folder


def refused(folder, words):
    with pytest.raises(RecordingError, match=words) as caught:
        replay(Recording.open(folder))
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("name", ["events", "freelists", "pcplists", "pageblocks", "movable_t0"])
def test_missing_and_truncated_files(copy, name):
    file = copy / f"{name}.parquet"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    refused(copy, name)
    file.unlink()
    refused(copy, f"{name}.parquet: missing")


def change(folder, name, column, row, value):
    table = pq.read_table(folder / name)
    values = table[column].to_pylist()
    values[row] = value
    at = table.schema.get_field_index(column)
    pq.write_table(table.set_column(at, column, pa.array(values, table.schema.field(column).type)), folder / name)


@pytest.mark.parametrize(
    ("name", "column", "value", "words"),
    [
        ("events.parquet", "pfn", 999999999, "row 10"),
        ("events.parquet", "type", 200, "row 10"),
        ("events.parquet", "order", 12, "row 10"),
        ("events.parquet", "cpu", 9, "row 10"),
        ("freelists.parquet", "pfn", 999999, "freelists"),
        ("freelists.parquet", "pos", 999, "positions"),
        ("freelists.parquet", "zone", 2, "zone 2"),
        ("movable_t0.parquet", "pfn", 99999999, "movable_t0"),
    ],
)
def test_rows_that_contradict(copy, name, column, value, words):
    change(copy, name, column, 10, value)
    refused(copy, words)


def test_columns_and_description(copy):
    table = pq.read_table(copy / "events.parquet")
    pq.write_table(table.drop_columns(["aux"]), copy / "events.parquet")
    refused(copy, "'aux' is missing")
    pq.write_table(table.slice(0, 1000), copy / "events.parquet")
    refused(copy, "truncated")
    meta = json.loads((copy / "meta.json").read_text())
    (copy / "meta.json").write_text(json.dumps(meta | {"kernel": "5.10.0"}))
    refused(copy, "no profile")
    (copy / "meta.json").write_text("{")
    refused(copy, "JSON")
