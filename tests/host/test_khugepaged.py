"""khugepaged: which blocks become huge pages again, how many a round, and what that costs."""

import pytest

import hinting as h
from hinting._core.host.host import HostMemory
from hinting.errors import HostError

BLOCK = 512


@pytest.fixture
def make_split(make_host):
    """A host with a guest whose huge blocks were discarded page by page and are backed by a few small pages."""

    def make(blocks=12, kept=1, **options):
        host = make_host(1 << 15, khugepaged=True, **options)
        guest = host.add_guest(blocks * BLOCK)
        guest.touch(0, blocks * BLOCK)
        guest.discard(0, blocks * BLOCK, 1)
        for block in range(blocks):
            guest.touch(block * BLOCK, kept)
        return host, guest

    return make


@pytest.mark.parametrize("options", [{}, {"thp_deposit": True}, {"swap_frames": 4_096}])
def test_a_round_inflates_eight_blocks_that_use_one_page(make_split, profile, options):
    host, guest = make_split(**options)
    assert (guest.rss_pages, guest.huge_blocks) == (12, 0)
    ns, sleep = host.khugepaged()
    assert guest.huge_blocks == 8
    assert guest.rss_pages == 8 * BLOCK + 4
    assert sleep == 10 * 10**9
    assert ns > 8 * profile["fault.collapse_2m"]
    host.check()
    host.khugepaged()
    assert guest.huge_blocks == 12
    assert host.vmstat["thp_collapse_alloc"] == 12
    assert guest.counters["collapses"] == 12
    guest.touch(0, 12 * BLOCK)
    assert guest.counters["map_faults"] >= 12
    host.check()


def test_empty_and_untouched_blocks_stay_as_they_are(make_split):
    host, guest = make_split(kept=3, swap_frames=4_096, watermarks=(100, 200, 300))
    guest.discard(0, 3, 1)
    host.khugepaged()
    assert guest.block_state(0).pmd == "table"
    assert guest.block_state(1).pmd == "huge"


def test_no_huge_frame_no_collapse(make_split):
    host, guest = make_split()
    host.fragmentation = 1.0
    assert host.khugepaged()[1] == 60 * 10**9
    assert guest.huge_blocks == 0
    assert host.vmstat["thp_collapse_alloc_failed"] == 1


@pytest.mark.parametrize(("swapped", "huge"), [(40, True), (200, False)])
def test_blocks_with_many_swapped_pages_are_left_alone(make_host, swapped, huge):
    host = make_host(8_000, swap_frames=8_000, watermarks=(100, 200, 300), fragmentation=1.0)
    guest = host.add_guest(BLOCK, group=host.add_group())
    guest.touch(0, BLOCK)
    guest.reclaim(64 if swapped < 64 else 256)
    guest.touch(0, 24 if swapped < 64 else 1)
    assert (guest.swapped_pages <= 64) == huge
    host.fragmentation = 0.0
    host.khugepaged()
    assert (guest.huge_blocks == 1) == huge
    if huge:
        assert guest.swapped_pages == 0
    host.check()


def test_it_runs_in_virtual_time_and_is_off_by_default():
    used = {}
    for khugepaged in (False, True):
        sim = h.Simulation(h.Host("4GiB", khugepaged=khugepaged, fragmentation=0.0), seed=2)
        vm = sim.launch(h.Guest("1GiB"), boot=False)
        vm.machine.backing.touch(0, 64 * BLOCK)
        vm.machine.backing.discard(0, 64 * BLOCK, 1)
        for block in range(64):
            vm.machine.backing.touch(block * BLOCK)
        sim.run(until="45s")
        sim.check()
        used[khugepaged] = vm.machine.backing.huge_blocks
    assert used == {False: 0, True: 32}


def test_without_huge_pages_there_is_nothing_to_collapse(compiled):
    with pytest.raises(HostError, match="huge pages are off"):
        HostMemory(1_000, costs=compiled, thp=False, khugepaged=True)
