"""What swapping behind a guest's back costs: reads and writes that serve no one, and switching them off."""

import pytest

import hinting as h

BLOCK = 512
MARKS = (100, 200, 300)


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
    with pytest.raises(h.HintingError, match=r"host\.effects must be of silent-write, stale-read, false-read, got 'magic'"):
        h.Host("4GiB", effects=("magic",))
