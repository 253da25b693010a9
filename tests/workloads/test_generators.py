"""Workloads as rows: determinism, ranges, totals, and that a million rows are no matter of seconds."""

import hashlib

import numpy as np
import pytest

import hinting as h
from hinting._core.engine.ops import OPS, validate
from hinting.errors import OpError, WorkloadError
from hinting.workloads import registry
from hinting.workloads.hackbench import message_pages
from hinting.workloads.kv_store import zipf
from hinting.workloads.rows import log_uniform, parts, random, share
from hinting.workloads.rules import FilePath, Text
from tests.workloads.small import SMALL, programs

#: Of all rows with the parameters of small.py.
HASHES = {
    "churn": "d1679f73bf90d246",
    "clang_build": "6190a790826027c5",
    "demand_trace": "7667c2702c72d0cf",
    "kernel_trace": "850658edc8a4ec9e",
    "faas": "4b31d9cbb96cb95a",
    "faas_trace": "c72a08be79e397e4",
    "file_scan": "83aa228864419119",
    "hackbench": "f7b3260202734b08",
    "kernel_build": "31bf32b49d04f58a",
    "kv_store": "13c44e7da10d2a98",
    "memhog": "806a2950de047358",
    "page_fault1": "5f887409bda648dd",
    "page_fault2": "20d06c941b08f8f9",
    "spec_blender": "9ac0fde26de1c6f4",
    "spec_phases": "50dcd52a794ffa88",
    "stress_vm": "110b1bf63e3366ac",
    "test_alloc": "dee86a63dd002d22",
    "write": "2f7a6e36090ea2e8",
}


def test_every_workload_is_tested():
    assert set(SMALL) == set(registry.names())


@pytest.mark.parametrize("name", registry.names())
def test_same_bytes(name):
    digest = hashlib.sha256()
    for rows in programs(name):
        validate(rows, 1 << 18)
        digest.update(rows.tobytes())
    assert digest.hexdigest()[:16] == HASHES[name]


@pytest.mark.parametrize("name", [name for name in registry.names() if "seed" in registry.find(name).rules])
def test_the_seed_matters(name):
    assert any(not np.array_equal(a, b) for a, b in zip(programs(name, seed=1), programs(name, seed=2), strict=True))


@pytest.mark.parametrize("name", registry.names())
def test_every_parameter_is_explained_and_refuses_what_is_not_legal(name):
    workload = registry.find(name)
    assert "Source: " in workload.generate.__doc__
    for key, rule in workload.rules.items():
        assert rule.text
        assert workload.default(key)
        if not isinstance(rule, FilePath):
            assert rule.read(workload.defaults[key]) == workload.defaults[key]
        with pytest.raises(WorkloadError, match=f"{name}: {key} must be .*got -1"):
            workload.checked({key: -1})
        if type(rule) is Text:
            continue
        with pytest.raises(WorkloadError, match=f"{name}: {key} must be .*got 'x'"):
            workload.checked({key: "x"})
    with pytest.raises(WorkloadError, match="nothing"):
        workload.checked({"nothing": 1})


def test_calls_from_python_are_checked():
    assert h.workloads.memhog("1MiB").size == h.workloads.memhog(2**20).size
    with pytest.raises(WorkloadError, match="memhog: size must be a size"):
        h.workloads.memhog("0")
    with pytest.raises(WorkloadError, match=r"memhog: .*nothing"):
        h.workloads.memhog(nothing=1)
    with pytest.raises(WorkloadError, match="memhog"):
        registry.find("nothing")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("churn", {"order": "sideways"}), ("kv_store", {"fragmentation": 1.0}), ("kv_store", {"kind": "mysql"}),
        ("faas", {"memory": [[0, "1MiB"]]}), ("faas", {"memory": [[0, "2MiB"], [100, "1MiB"]]}), ("faas", {"runtimes": 5}),
        ("spec_phases", {"phases": []}), ("spec_phases", {"phases": [["1s", "1MiB"]]}), ("write", {"threads": 0}),
        ("spec_phases", {"phases": [["1s", "-1", "1MiB", "1MiB"]]}), ("memhog", {"thp": "maybe"}), ("memhog", {"repeat": True}),
    ],
)  # fmt: skip
def test_values_that_are_refused(name, values):
    with pytest.raises(WorkloadError, match=next(iter(values))):
        registry.find(name).checked(values)


def op(rows, name):
    return rows[rows["op"] == OPS[name]]


def test_hackbench_moves_the_memory_of_its_messages():
    rows = h.workloads.hackbench(groups=4, tasks=10, loops=50)[0]
    allocs = op(rows, "ALLOC")[1:]
    pages = int((allocs["b"] << allocs["order"]).sum())
    expected = 4 * 50 * message_pages(10, 100)
    assert expected <= pages <= expected + 4 * 50 * 15
    assert op(rows, "COMPUTE")["a"].sum() == 4 * 50 * 100 * 3000


def test_kv_store_serves_its_operations():
    rows = h.workloads.kv_store("64MiB", ops_per_s=1003, duration="7s", expiry=0)
    touches = op(rows, "TOUCH")
    assert touches.size - 100 == 7 * 1003
    assert touches["b"][:100].sum() == int(64 * 256 / 0.8)
    assert op(rows, "UNMAP").size == 0
    assert op(h.workloads.kv_store("64MiB", duration="7s", expiry=0.5), "UNMAP").size == pytest.approx(3.5 * 64 * 256, rel=0.01)


def test_faas_calls():
    rows = h.workloads.faas(rate=600, duration="30min", functions=10, seed=3)
    assert op(rows, "COMPUTE").size == 600 * 30
    short = (op(rows, "COMPUTE")["a"] < 10**9).mean()
    assert 0.5 <= short <= 0.56
    starts = op(rows, "SPAWN")
    assert starts.size == op(rows, "EXIT").size
    memory = np.unique(op(rows, "MMAP")["a"])
    assert memory.max() / memory.min() >= 2
    sleeps = op(rows, "SLEEP")["a"]
    assert (np.diff(sleeps) >= 0).all()
    assert sleeps.max() <= 1800 * 10**9 + 60 * 10**9 + 600 * 10**9


def test_churn_keeps_about_its_size():
    rows = h.workloads.churn("512MiB", largest="8MiB", turns=10, seed=2)
    touched = op(rows, "TOUCH")[:-10]["b"].sum()
    assert touched / (512 * 256) == pytest.approx(1, rel=0.15)


@pytest.mark.parametrize(("order", "first"), [("fifo", [0, 1, 2]), ("lifo", [-1, -1, -1])])
def test_churn_order(order, first):
    rows = h.workloads.churn("64MiB", order=order, turns=3)
    pieces = op(rows, "MMAP").size - 3
    assert op(rows, "MUNMAP")["region"].tolist() == [n % pieces for n in first]


@pytest.mark.parametrize("name", ["kernel_build", "clang_build"])
@pytest.mark.parametrize("threads", [1, 5])
def test_builds_do_their_work(name, threads):
    make = getattr(h.workloads, name)
    values = {"jobs": threads, "units": 100, "work": "1000s", "written": "50MiB", "read": "64MiB"}
    values |= {"smallest": "8MiB", "largest": "64MiB"}
    programs = make(**values, **({"links": 0} if name == "clang_build" else {}), clean=False)
    assert len(programs) == threads
    rows = np.concatenate(programs)
    assert op(rows, "COMPUTE")["a"].sum() == pytest.approx(1000e9, abs=1000)
    assert op(rows, "WRITE")["b"].sum() == 50 * 256
    own = op(rows, "READ")[1::2]["b"].sum()
    assert own + 16 * 256 == 64 * 256
    sizes = op(rows, "MMAP")[::2]["a"]
    assert sizes.size == 100
    assert 8 * 256 <= sizes.min() < 12 * 256
    assert 44 * 256 < sizes.max() <= 64 * 256
    loads = [op(part, "COMPUTE")["a"].sum() for part in programs]
    assert max(loads) - min(loads) < 40e9
    heap = op(rows, "TOUCH")
    assert heap[heap["region"] == 0]["b"].sum() == sizes.sum()


def test_zipf_is_as_skewed_as_it_says():
    counts = np.bincount(zipf(random(1), 0.99, 1000, 400_000), minlength=1000)
    assert counts[0] / counts[9] == pytest.approx(10**0.99, rel=0.1)


def test_log_uniform():
    numbers = log_uniform(random(1), 10, 1000, 100_000)
    assert numbers.min() >= 10
    assert numbers.max() <= 1000
    assert np.median(numbers) == pytest.approx(100, rel=0.02)
    assert log_uniform(random(1), 5, 5, 3).tolist() == [5, 5, 5]


def test_parts_and_share():
    assert parts(10, 3).sum() == 10
    assert parts(2, 4).tolist() == [0, 1, 0, 1]
    assert share(np.array([5, 1, 1, 1, 1, 9]), 2).tolist() == [0, 1, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([("SPAWN", {"proc": 1}), ("SPAWN", {"proc": 1})], "lives already"),
        ([("SPAWN", {"proc": 1}), ("MMAP", {"proc": 1, "a": 1}), ("MMAP", {"proc": 1, "a": 1})], "exists already"),
        ([("SPAWN", {"proc": 1}), ("MMAP", {"proc": 1, "a": 1}), ("EXIT", {"proc": 1}), ("SPAWN", {"proc": 1}),
          ("TOUCH", {"proc": 1, "b": 1})], "row 4.*MMAP it first"),
        ([("SPAWN", {"proc": 1}), ("TOUCH", {"proc": 1, "region": 9, "b": 1})], "MMAP it first"),
        ([("SPAWN", {"proc": 1}), ("MMAP", {"proc": 1, "a": 4}), ("TOUCH", {"proc": 1, "a": 2**62, "b": 2**62})], "beyond"),
        ([("SPAWN", {}), ("EXIT", {}), ("EXIT", {})], "SPAWN it first"),
        ([("SLEEP", {"flags": 1})], "SINCE_MARK"),
    ],
)  # fmt: skip
def test_rows_out_of_order(rows, words):
    with pytest.raises(OpError, match=words):
        validate(h.workloads.program(*rows), 1000)
