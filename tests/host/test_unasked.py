"""What swapping behind a guest's back costs: reads and writes that serve no one, and switching them off."""

import pytest

import hinting as h
from hinting._core.host.host import EFFECTS as CORE_EFFECTS
from hinting.host import EFFECTS

BLOCK = 512
MARKS = (100, 200, 300)


def test_the_effects_are_those_of_the_core():
    assert tuple(CORE_EFFECTS) == EFFECTS


@pytest.fixture
def make_swapped(make_host):
    """A guest whose first 1000 pages live in swap, on a host with frames to spare."""

    def make(**options):
        host = make_host(6_000, watermarks=MARKS, swap_frames=1 << 14, thp=False, page_cluster=0, **options)
        guest = host.add_guest(BLOCK * 8, group=host.add_group())
        guest.touch(0, 1_000)
        guest.reclaim(1_000)
        host.now_ns += 10**9
        assert guest.swapped_pages == 1_000
        return host, guest

    return make


@pytest.mark.parametrize(
    ("kind", "effect", "counter"),
    [("overwrites", "false-read", "false_swap_reads"), ("disk", "stale-read", "stale_swap_reads")],
)
def test_a_page_that_is_overwritten_is_read_first(make_swapped, kind, effect, counter):
    host, guest = make_swapped()
    slow = guest.touch(0, 100, **{kind: True}).stall_ns
    assert guest.counters[counter] == 100
    assert host.vmstat["pswpin"] == 100
    others = tuple(name for name in ("silent-write", "stale-read", "false-read") if name != effect)
    host, guest = make_swapped(effects=others)
    fast = guest.touch(0, 100, **{kind: True}).stall_ns
    assert guest.counters[counter] == 0
    assert host.vmstat["pswpin"] == 0
    assert guest.swapped_pages == 900
    assert host.swap[1] == 900
    assert fast * 10 < slow
    host.check()


def test_programs_clear_pages_that_the_host_reads_first():
    """A guest that runs a second program on memory that was swapped out while it was free."""
    reads = {}
    for effects in (("false-read",), ()):
        sim = h.Simulation(h.Host("2GiB", base="256MiB", swap="4GiB", effects=effects), seed=4)
        for _ in range(3):
            sim.launch(h.Guest("2GiB"), workload=h.workloads.memhog("1GiB", repeat=3, gap="1s", thp=False))
        sim.run(until="300s")
        sim.check()
        reads[effects] = sum(vm.memory_counts()["false_swap_reads"] for vm in sim.vms)
    assert reads[()] == 0
    assert reads["false-read",] > 1_000


def test_an_unknown_effect_is_refused():
    with pytest.raises(h.HintingError, match=r"host\.effects must be of silent-write, .*, false-anonymity, got 'magic'"):
        h.Host("4GiB", effects=("magic",))


def scattered(make_host, effects):
    """A guest on a rotating disk whose neighbours in memory went to swap at different times."""
    host = make_host(6_000, watermarks=MARKS, swap_frames=1 << 14, swap_device="hdd", thp=False, effects=effects)
    guest = host.add_guest(BLOCK * 8, group=host.add_group())
    for first in (0, 64, 128, 192):
        for word in range(first // 64, 8 * 8, 4):
            guest.touch(word * 64, 64)
            guest.reclaim(64)
    host.now_ns += 10**10
    assert guest.swapped_pages == 8 * BLOCK
    return host, guest


def test_order_in_memory_is_lost_in_swap(make_host):
    slow, kept = scattered(make_host, ("decayed-sequentiality",)), scattered(make_host, ())
    took = [guest.touch(0, 4 * BLOCK, writes=False).stall_ns for _, guest in (slow, kept)]
    assert took[0] > 3 * took[1]
    for host, guest in (slow, kept):
        assert guest.swapped_pages == 4 * BLOCK
        host.check()


def test_the_vmms_code_is_dropped_and_read_again(make_host, profile):
    host = make_host(6_000, watermarks=MARKS, swap_frames=1 << 14, thp=False, effects=("false-anonymity",))
    idle, busy = host.add_guest(BLOCK * 12, 2_000), host.add_guest(BLOCK * 12, 100)
    busy.touch(0, 3_600)
    assert busy.wake_vmm() == 0
    host.kswapd()
    dropped = 2_000 - idle.vmm_frames
    assert dropped > 0
    assert busy.vmm_frames == 100 or idle.vmm_frames < 2_000 - 32  # one look is forgiven to who ran
    host.check()
    host.now_ns += 10**9
    expected = -(-dropped // 32)
    waited = idle.wake_vmm()
    assert waited >= expected * profile["dev.nvme.read"]
    assert idle.vmm_frames == 2_000
    assert idle.counters["vmm_major_faults"] == expected
    assert idle.wake_vmm() == 0
    host.check()


def test_a_host_without_the_effect_keeps_the_vmms_code(make_host):
    host = make_host(6_000, watermarks=MARKS, swap_frames=1 << 14, thp=False, effects=())
    guest = host.add_guest(BLOCK * 12, 2_000)
    guest.touch(0, 3_600)
    host.kswapd()
    assert guest.vmm_frames == 2_000


def test_reports_wait_for_the_vmms_code():
    faults = {}
    for effects in (("false-anonymity",), ()):
        sim = h.Simulation(h.Host("2GiB", base="256MiB", swap="4GiB", effects=effects), seed=4)
        for _ in range(3):
            guest = h.Guest("2GiB", strategy="page-reporting-6.1", kernel="linux-6.1")
            sim.launch(guest, workload=h.workloads.memhog("1GiB", repeat=2, gap="10s", thp=False))
        sim.run(until="200s")
        sim.check()
        faults[effects] = sum(vm.memory_counts()["vmm_major_faults"] for vm in sim.vms)
    assert faults[()] == 0
    assert faults["false-anonymity",] > 10
