"""Fleet traces: what each loader makes of its layout, and errors that name file, row and reason."""

import sqlite3

import numpy as np
import pytest

from hinting.errors import TraceError
from hinting.traces import FORMATS, load, read_rss
from hinting.traces.events import ANON, ARRIVES, CACHE, DEPARTS
from tests.conftest import DATA

TRACES = DATA / "traces"
GIB = 1 << 30
SECOND = 10**9


def events(trace, number):
    return [(int(t), int(kind), int(n_bytes)) for t, _, kind, n_bytes in trace.guest(number)]


def test_azure_sizes_and_lives():
    trace = load(TRACES / "azure-vm.csv", "azure-vm")
    assert trace.names == ("vmA", "vmB", "vmC")
    assert trace.vcpus == (2, 8, 30)
    assert [trace.memory_bytes(i) // GIB for i in range(3)] == [4, 32, 112]
    lives = [(mine["t_ns"][0] // SECOND, mine["t_ns"][-1] // SECOND) for mine in map(trace.guest, range(3))]
    assert lives == [(0, 3600), (600, 1800), (0, 2591400)]
    assert events(trace, 1)[-1][1] == DEPARTS


def test_azure_use_is_a_share_of_the_size():
    def used(seed):
        trace = load(TRACES / "azure-vm.csv", "azure-vm", seed=seed)
        return [events(trace, i)[1][2] / trace.memory_bytes(i) for i in range(3)]

    assert used(1) == used(1) != used(2)
    shares = np.concatenate([used(seed) for seed in range(300)])
    assert 0 < shares.min() < shares.max() < 1
    assert np.median(shares) == pytest.approx(0.5, abs=0.03)


def test_azure_open_ended_buckets_are_the_users():
    trace = load(TRACES / "azure-vm.csv", "azure-vm", buckets={">64": 100, ">24": 26})
    assert (trace.memory_bytes(2) // GIB, trace.vcpus[2]) == (100, 26)
    with pytest.raises(TraceError, match=r"azure-vm\.csv: row 3: vm core count '>24' is open-ended"):
        load(TRACES / "azure-vm.csv", "azure-vm", buckets={})


def test_azure_packing(tmp_path):
    path = tmp_path / "packing.sqlite"
    with sqlite3.connect(path) as base:
        base.execute("CREATE TABLE vm (vmId, tenantId, vmTypeId, priority, starttime, endtime)")
        base.execute("CREATE TABLE vmType (id, vmTypeId, machineId, core, memory, hdd, ssd, nic)")
        base.executemany("INSERT INTO vm VALUES (?, 0, ?, 0, ?, ?)", [(1, 7, -0.5, 1.0), (2, 7, 0.5, None), (3, 8, -2.0, -1.0)])
        base.executemany("INSERT INTO vmType VALUES (?, ?, ?, ?, ?, 0, 0, 0)", [(0, 7, 0, 0.25, 0.125), (1, 8, 0, 0.5, 0.5)])
    trace = load(path, "azure-packing", size=64 * GIB)
    assert trace.left_out == 1, "VM 3 ended before the trace began"
    assert trace.names == ("1", "2")
    assert [trace.memory_bytes(i) // GIB for i in range(2)] == [8, 8]
    assert [(int(trace.guest(i)["t_ns"][0]), int(trace.guest(i)["t_ns"][-1])) for i in range(2)] == [
        (0, 86_400 * SECOND), (43_200 * SECOND, 86_400 * SECOND)]
    with pytest.raises(TraceError, match="expected an SQLite file with the tables vm and vmType"):
        load(TRACES / "rss.csv", "azure-packing")


def test_google_splits_the_page_cache():
    trace = load(TRACES / "google-2019.csv", "google-2019", size=100 * GIB)
    assert trace.names == ("380/0", "380/1")
    gib = [(t // SECOND, kind, round(n_bytes / GIB, 6)) for t, kind, n_bytes in events(trace, 0)]
    assert gib == [(0, ARRIVES, 0), (0, ANON, 1.6), (0, CACHE, 0.4), (300, ANON, 3.6), (300, CACHE, 0.4),
                   (600, ANON, 0.9), (600, CACHE, 0.1), (900, DEPARTS, 0)]  # fmt: skip
    assert trace.left_out == 1
    assert trace.memory_bytes(0) == round(3.6 * GIB) + round(0.4 * GIB)


def test_alibaba_2018():
    trace = load(TRACES / "container_usage.csv", "alibaba-2018-container", size=8 * GIB)
    assert trace.left_out == 2
    assert [n_bytes / GIB for _, kind, n_bytes in events(trace, 0) if kind == ANON] == pytest.approx([1.6, 3.2, 0.8])
    assert [n_bytes / GIB for _, kind, n_bytes in events(trace, 1) if kind == ANON] == [1.0]
    trace = load(TRACES / "machine_usage.csv", "alibaba-2018-machine", size=100 * GIB)
    assert (trace.names, trace.left_out) == (("m_10", "m_11"), 1)
    assert [n_bytes / GIB for _, kind, n_bytes in events(trace, 0) if kind == ANON] == [70, 75]
    trace = load(TRACES / "batch_instance.csv", "alibaba-2018-batch", size=100 * GIB)
    assert trace.left_out == 2
    assert events(trace, 0) == [(0, ARRIVES, 0), (0, ANON, GIB // 2), (60 * SECOND, DEPARTS, 0)]


def test_containers_without_sizes_are_all_alike(tmp_path):
    copy = tmp_path / "container_usage.csv"
    copy.write_bytes((TRACES / "container_usage.csv").read_bytes())
    assert [n / GIB for _, kind, n in events(load(copy, "alibaba-2018-container", size=8 * GIB), 1) if kind == ANON] == [4.0]


def test_alibaba_2021():
    trace = load(TRACES / "node.csv", "alibaba-2021-node", size=10 * GIB)
    assert [(t // SECOND, n / GIB) for t, kind, n in events(trace, 0) if kind == ANON] == [(0, 5), (30, 6)]
    trace = load(TRACES / "msresource.csv", "alibaba-2021-instance", size=10 * GIB)
    assert [(t // SECOND, n / GIB) for t, kind, n in events(trace, 0) if kind == ANON] == [(0, 5), (60, 7)]


def test_packed_files_are_read(tmp_path):
    import gzip

    packed = tmp_path / "google.csv.gz"
    packed.write_bytes(gzip.compress((TRACES / "google-2019.csv").read_bytes()))
    assert np.array_equal(load(packed, "google-2019").events, load(TRACES / "google-2019.csv", "google-2019").events)
    packed.write_bytes(packed.read_bytes()[:-20])
    with pytest.raises(TraceError, match=r"google\.csv\.gz: .*cannot be read"):
        load(packed, "google-2019")


def test_reference_curve():
    curve = read_rss(TRACES / "rss.csv")
    assert list(curve) == ["time", "rss", "small", "huge", "cached", "total"]
    assert curve["rss"].tolist() == [8589934592, 7516192768]


@pytest.mark.parametrize(
    ("file", "format", "old", "new", "words"),
    [
        ("azure-vm.csv", "azure-vm", "600,1800", "600,soon", "row 2: vm deleted must be a number between 0 and inf, got 'soon'"),
        ("azure-vm.csv", "azure-vm", "600,1800", "1800,600", "row 2: vm deleted 600 is before vm created 1800"),
        ("azure-vm.csv", "azure-vm", "subY,depY,", "", "row 3: expected 11 values"),
        ("azure-vm.csv", "azure-vm", ",8,32", ",8,>512", "row 2: vm memory '>512' is open-ended"),
        ("google-2019.csv", "google-2019", "start_time", "begin", "row 1: the header must name start_time"),
        ("google-2019.csv", "google-2019", "0.04", "1.04", "row 3: average_usage.memory must be a number between 0 and 1"),
        ("google-2019.csv", "google-2019", "900000000,1200", "900000000,0200", "row 3: end_time must be after start_time"),
        ("machine_usage.csv", "alibaba-2018-machine", "75", "175", "row 2: mem_util_percent must be a number between 0 and 100"),
        ("machine_usage.csv", "alibaba-2018-machine", "70", "much", "row 1: mem_util_percent must be a number, got 'much'"),
        ("node.csv", "alibaba-2021-node", "0.60", "60", "row 3: memory_utilization must be a number between 0 and 1"),
        ("node.csv", "alibaba-2021-node", "0.60", "nan", "row 3: memory_utilization must be a number between 0 and 1"),
    ],
)
def test_errors_name_file_row_and_reason(tmp_path, file, format, old, new, words):
    text = (TRACES / file).read_text()
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new, 1))
    with pytest.raises(TraceError) as caught:
        load(tmp_path / file, format)
    assert str(caught.value).startswith(f"{tmp_path / file}: ")
    assert words in str(caught.value)


@pytest.mark.parametrize("format", FORMATS)
def test_files_that_are_none_or_empty(tmp_path, format):
    with pytest.raises(TraceError, match="expected a file with"):
        load(tmp_path / "none.csv", format)
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(TraceError, match=r"no usable row|expected an SQLite file"):
        load(tmp_path / "empty.csv", format)
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00" * 50)
    with pytest.raises(TraceError, match=r"binary\.csv"):
        load(tmp_path / "binary.csv", format)


def test_an_unknown_format():
    with pytest.raises(TraceError, match="unknown trace format 'aws', expected one of azure-vm"):
        load(TRACES / "rss.csv", "aws")
