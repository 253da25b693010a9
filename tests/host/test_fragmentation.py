"""Draws for huge frames: deterministic, independent of each other, certain at the ends."""

import pytest

GIB = 1 << 18
BLOCK = 512


def huge_blocks(make_host, seed, blocks=2000, fragmentation=0.3, skip=0):
    host = make_host(GIB * 8, seed=seed, fragmentation=fragmentation)
    for _ in range(skip):
        host.add_guest(BLOCK)
    guest = host.add_guest(blocks * BLOCK)
    for block in range(blocks):
        guest.touch(block * BLOCK)
    return [guest.block_state(block).pmd == "huge" for block in range(blocks)]


def test_draws_depend_on_seed_and_guest_only(make_host):
    first = huge_blocks(make_host, 1)
    assert first == huge_blocks(make_host, 1)
    assert first != huge_blocks(make_host, 2)
    assert first != huge_blocks(make_host, 1, skip=1)
    assert sum(first) / len(first) == pytest.approx(0.7, abs=0.03)


def test_draws_do_not_depend_on_the_order_of_touches(make_host):
    host = make_host(GIB, seed=1, fragmentation=0.5)
    guest = host.add_guest(200 * BLOCK)
    for block in reversed(range(200)):
        guest.touch(block * BLOCK + block)
    assert [guest.block_state(b).pmd == "huge" for b in range(200)] == huge_blocks(make_host, 1, 200, 0.5)


def test_each_attempt_draws_again(make_host):
    host = make_host(GIB, fragmentation=0.5, pt_reclaim=True)
    guest = host.add_guest(BLOCK)
    outcomes = []
    for _ in range(64):
        guest.touch(0)
        outcomes.append(guest.block_state(0).pmd)
        guest.discard(0, BLOCK)
    assert {"huge", "table"} == set(outcomes)


@pytest.mark.parametrize(("fragmentation", "share"), [(0.0, 1.0), (1.0, 0.0)])
def test_the_ends_of_fragmentation_are_certain(make_host, fragmentation, share):
    found = huge_blocks(make_host, 3, 500, fragmentation)
    assert sum(found) / len(found) == share


def test_fragmentation_grows_with_small_frees(make_host):
    host = make_host(10 * BLOCK, fragmentation_growth=10.0, pt_reclaim=True)
    guest = host.add_guest(4 * BLOCK)
    guest.touch(0, BLOCK)
    guest.discard(0, BLOCK, 1)
    guest.touch(BLOCK)
    assert guest.block_state(1).pmd == "table"


def test_fragmentation_grows_with_swap_in(make_host):
    host = make_host(8 * BLOCK, watermarks=(50, 100, 150), swap_frames=1 << 14, fragmentation_growth=8.0, page_cluster=0)
    guest = host.add_guest(6 * BLOCK, group=host.add_group())
    guest.touch(0, BLOCK)
    guest.reclaim(BLOCK)
    guest.touch(2 * BLOCK)
    assert guest.block_state(2).pmd == "huge"
    host.now_ns = 10**9
    guest.touch(0, BLOCK)  # from swap, page by page: a block's worth of the host's 8
    guest.touch(3 * BLOCK)
    assert guest.block_state(3).pmd == "table"


def test_defer_falls_back_at_once(make_host, profile):
    took = [make_host(fragmentation=1.0, thp_defrag=compacts).add_guest(BLOCK).touch(0).stall_ns for compacts in (True, False)]
    assert took[0] - took[1] == pytest.approx(profile.upper_values["fault.thp_alloc"])
