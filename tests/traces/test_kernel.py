"""Allocations of a traced kernel: layouts of tracing tools, lost events, errors."""

import pytest

from hinting.errors import TraceError
from hinting.traces import read_kernel_trace
from tests.conftest import DATA

TRACES = DATA / "traces"


def test_ftrace_and_its_lost_events():
    trace = read_kernel_trace(TRACES / "ftrace.txt")
    found = [(int(e["t_ns"]) // 1000, int(e["pfn"]), int(e["order"]), bool(e["is_alloc"])) for e in trace.events]
    assert found == [
        (0, 0x1000, 0, True),
        (100, 0x1001, 0, True),
        (10_000, 0x2000, 3, True),
        (30_000, 0x1000, 0, False),
        (40_000, 0x1001, 0, False),  # its free was lost
        (40_000, 0x1001, 0, True),
        (50_000, 0x2000, 3, False),
    ]
    assert (trace.unknown_frees, trace.replaced, trace.other) == (1, 1, 1)
    assert trace.live == 10


def test_perf_script_with_decimal_page_frame_numbers():
    trace = read_kernel_trace(TRACES / "perf.txt")
    assert trace.events["pfn"].tolist() == [4096, 4096]
    assert trace.events["cpu"].tolist() == [1, 1]
    assert trace.events["t_ns"].tolist() == [0, 100_000_000]


def test_bpftrace():
    trace = read_kernel_trace(TRACES / "bpftrace.csv")
    assert trace.events["migratetype"].tolist() == [1, 2, -1]
    assert trace.events["t_ns"].tolist() == [0, 1_000_000, 4_000_000]


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("ftrace.txt", "order=3 migratetype", "order=11 migratetype", "row 7: order must be between 0 and 10"),
        ("ftrace.txt", "pfn=0x1000 order=0 migratetype", "order=0 migratetype", "row 5: mm_page_alloc must have pfn= and order="),
        ("ftrace.txt", "pfn=0x1000", "pfn=some", "row 5: pfn must be a whole number, got 'some'"),
        ("ftrace.txt", "[000] .....   100.000100:", "[000] .....", "row 6: expected 'task-pid [cpu] seconds: event: fields'"),
        ("bpftrace.csv", "bash,A", "bash,X", "row 2: op must be A or F, got 'X'"),
        ("bpftrace.csv", "9000000,0", "late,0", "row 4: ns must be a number"),
    ],
)
def test_errors_name_file_row_and_reason(tmp_path, file, old, new, words):
    text = (TRACES / file).read_text()
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new, 1))
    with pytest.raises(TraceError) as caught:
        read_kernel_trace(tmp_path / file)
    assert str(caught.value).startswith(f"{tmp_path / file}: ")
    assert words in str(caught.value)


def test_a_file_without_events(tmp_path):
    (tmp_path / "none.txt").write_text("nothing here\n")
    with pytest.raises(TraceError, match="no allocation in it"):
        read_kernel_trace(tmp_path / "none.txt")
