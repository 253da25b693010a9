"""What the guest's kernel shows of hinting: tracepoints, files, the static key, the memory that the arrays take."""

import pytest

import hinting as h
from hinting import gfp, strategies
from hinting._core.mm.allocator import Allocator
from hinting.errors import StrategyError
from tests.strategies.lineage import USER, held, outside

LABELS = ["total_freed_memory", "captued_memory", "scanned_memory", "total_isolated_memory", "tail_isolated_memory",
          "failed_isolation_memory", "reallocated_memory", "free_non_buddy_memory", "guest_returned_memory"]
SYSCTLS = ["total-freed-memory", "captured-freed-memory", "scanned-memory", "total-isolated-memory", "tail-isolated-memory",
           "failed-isolation-memory", "reallocated_memory", "free-non-buddy-memory", "guest-returned-memory",
           "buddy_unisolated_memory"]
SWITCH = "/proc/sys/vm/guest-page-hinting"
STATS = "/sys/kernel/mm/hinting/hinting_memory_stats"


def test_tracepoints_of_v8():
    allocator, core, _ = held(strategies.V8(entries=3), 3, order=9)
    core.start_trace()
    for pfn in (512, 1024, 2048):
        allocator.free(pfn, 9)
    allocator.free(0, 9)                # lost: the array is full; the block 512 is now the second half of a larger one
    core.run_thread()
    assert core.trace() == [
        ("guest_free_page", 512, 9), ("guest_free_page", 1024, 9), ("guest_free_page", 2048, 9),
        ("guest_isolated_pfn", 512, 1024),      # the page looked at, with the size of the whole block
        ("guest_isolated_pfn", 1024, 512), ("guest_isolated_pfn", 2048, 512),
    ]  # fmt: skip
    assert core.stop_trace() == 0
    core.host_done()
    assert core.trace() == []


@pytest.mark.parametrize("spec", [
    strategies.V9(entries=1, threshold=1), strategies.V8Async(entries=2), strategies.V8Early(entries=2),
    strategies.V8Transition(entries=2),
], ids=lambda spec: spec.name)  # fmt: skip
def test_tracepoints_of_its_relatives(spec):
    allocator, core, blocks = held(spec, 2)
    core.start_trace(3)
    for pfn in blocks:
        allocator.free(pfn, 10)
    core.run_thread()
    assert {(name, value) for name, _, value in core.trace()} == {("guest_free_page", 10), ("guest_isolated_pfn", 1024)}
    assert core.stop_trace() == 1
    with pytest.raises(StrategyError, match="trace size must be between 1"):
        core.start_trace(0)


def test_the_file_of_counters():
    allocator, core, blocks = held(strategies.V8Stats(entries=2), 3)
    assert STATS not in core.kernel_files()         # the first free makes it
    for pfn in blocks:
        allocator.free(pfn, 10)
    core.run_thread()
    core.host_done()
    lines = core.kernel_files()[STATS].splitlines()
    assert [line.split(":")[0] for line in lines] == LABELS
    assert lines[0] == "total_freed_memory:12288 KB"
    assert lines[3] == "total_isolated_memory:8192 KB"
    assert STATS not in strategies.V8Posted().core().counters()


def test_the_sysctls_of_the_early_build():
    _, core, _ = held(strategies.V8Early(), 2)
    assert core.kernel_files() == {SWITCH: "1\n"} | {f"/proc/sys/vm/{name}": "0\n" for name in SYSCTLS}
    assert list(core.counters()) == SYSCTLS


@pytest.mark.parametrize("name", [name for name in strategies.names() if name[:1] == "v" and name[1].isdigit()])
def test_the_static_key(name):
    """Nothing is noted while it is off; what was free before it was on is never reported unless it is freed again."""
    allocator, core, blocks = held(strategies.find(name), 4)
    core.enabled = False
    for pfn in blocks[:2]:
        allocator.free(pfn, 10)
    assert not any(core.work.values())
    core.enabled = True
    allocator.free(blocks[2], 10)
    assert core.work["captured"] == 1
    if SWITCH in core.kernel_files():
        assert core.kernel_files()[SWITCH] == "1\n"
        core.enabled = False
        assert core.kernel_files()[SWITCH] == "0\n"


def test_a_removed_driver_enables_the_key_and_reports_to_nobody():
    """The source enables the key where it should disable it; without a device the report is skipped silently."""
    allocator, core, blocks = held(strategies.V8(entries=2, isolation_cap=1), 2)
    core.enabled = False
    core.remove_device()
    assert core.enabled
    for pfn in blocks:
        allocator.free(pfn, 10)
    assert core.run_thread() == []
    assert core.statistics()["skipped_reports"] == 2
    assert core.counters()["guest_returned_memory"] == core.counters()["total_isolated_memory"] == 8192
    assert outside(allocator) == 0
    allocator.check()


def test_memory_of_the_arrays():
    """32,016 bytes a CPU in v8; about 2 KiB in v9; 2 KiB of bits for a zone of 32 GiB in v10."""
    bytes_of = {}
    for name in ("v1", "v8", "v9"):
        _, core, _ = held(strategies.find(name), 1, vcpus=2)
        bytes_of[name] = core.kernel_bytes()
    assert bytes_of["v8"] == 2 * 32_016
    assert bytes_of["v9"] == 2 * (2048 + 8)
    assert bytes_of["v1"] == 2 * 16_008 + 16_000
    assert h.Guest("35GiB", strategy="v10").strategy_core.kernel_bytes() >= 2048
    pages = 32 << 18
    zone = {"index": 2, "start": 0, "end": pages, "managed": pages, "watermark": (0, 0, 0), "lowmem_reserve": [0] * 5,
            "batch": 63, "high": 378, "threshold": 0}
    allocator = Allocator(h.kernels.load("linux-5.0"), [zone])
    core = strategies.V10().core()
    core.attach(allocator)
    assert core.kernel_bytes() == 2048 + 16 * 16


def test_interrupts_are_on_during_each_return_of_v8():
    allocator, core, blocks = held(strategies.V8(entries=3), 3)
    for pfn in blocks:
        allocator.free(pfn, 10)
    core.run_thread()
    core.host_done()
    assert core.statistics()["returns_with_interrupts_on"] == 3


def test_switching_hinting_on_changes_which_pages_come_next():
    """Each fill drains this CPU's lists."""
    after = []
    for spec in (None, strategies.V8(entries=100)):
        guest = h.Guest("512MiB", strategy=spec)
        user = gfp.value(USER, guest.allocator.kernel)
        pages = [guest.alloc(gfp=user) for _ in range(150)]
        for pfn in pages:
            guest.free(pfn)
        after.append([guest.alloc(gfp=user) for _ in range(150)])
    assert after[0] != after[1]
