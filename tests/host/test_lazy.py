"""MADV_FREE: pages keep their frames until the host needs them or the guest writes to them."""

import pytest

BLOCK = 512


@pytest.fixture
def guest(make_host):
    return make_host().add_guest(16 * BLOCK)


def test_frames_stay_and_a_touch_makes_the_pages_ordinary_again(guest, profile):
    guest.touch(0, 2 * BLOCK)
    used = guest.host.frames_free
    guest.free_lazily(0, 2 * BLOCK)
    assert guest.lazy_pages == 2 * BLOCK
    assert guest.host.frames_free == used
    assert not guest.is_mapped(0)
    assert guest.is_present(0)
    assert guest.touch(5) == (True, profile["virt.vm_exit_entry"] + profile["fault.tdp_map"])
    assert guest.lazy_pages == BLOCK
    guest.host.check()


def test_single_pages_of_a_huge_one_split_it(guest):
    guest.touch(0, BLOCK)
    guest.free_lazily(8, 8)
    assert guest.lazy_pages == 8
    assert guest.block_state(0).folio == "small"
    guest.touch(10, 2)
    assert guest.lazy_pages == 6
    guest.discard(8, 4)
    assert guest.lazy_pages == 4
    assert guest.rss_pages == BLOCK - 4
    guest.host.check()


@pytest.mark.parametrize("thp", [True, False])
def test_pressure_takes_lazily_freed_pages_before_anybody_is_killed(make_host, thp):
    host = make_host(frames_total=6 * BLOCK, thp=thp)
    old = host.add_guest(8 * BLOCK)
    old.touch(0, 4 * BLOCK)
    old.free_lazily(0, 3 * BLOCK)
    new = host.add_guest(8 * BLOCK)
    assert new.touch(0, 4 * BLOCK)[0]
    host.check()
    assert old.counters["lazily_dropped"] == 3 * BLOCK - old.lazy_pages > 0
    assert old.rss_pages == 4 * BLOCK - old.counters["lazily_dropped"]
    assert not new.touch(4 * BLOCK, 4 * BLOCK)[0]
    host.check()
    assert old.lazy_pages == 0


def test_what_was_written_again_is_not_taken(make_host):
    host = make_host(frames_total=4 * BLOCK)
    old = host.add_guest(8 * BLOCK)
    old.touch(0, 2 * BLOCK)
    old.free_lazily(0, 2 * BLOCK)
    old.touch(0)
    new = host.add_guest(8 * BLOCK)
    new.touch(0, 3 * BLOCK)
    assert old.counters["lazily_dropped"] == BLOCK
    assert old.is_present(0)
    assert not old.is_present(BLOCK)
    host.check()


def test_kswapd_takes_them_up_to_its_goal(make_host):
    host = make_host(frames_total=8 * BLOCK, watermarks=(10, 2 * BLOCK, 3 * BLOCK))
    guest = host.add_guest(8 * BLOCK)
    guest.touch(0, 7 * BLOCK)
    guest.free_lazily(0, 7 * BLOCK)
    assert host.kswapd() > 0
    assert host.frames_free >= 3 * BLOCK
    assert guest.lazy_pages > 0
    host.check()


def test_a_guest_that_ends_leaves_nothing(make_host):
    host = make_host()
    guest = host.add_guest(4 * BLOCK)
    guest.touch(0, 2 * BLOCK)
    guest.free_lazily(0, 700, 1)
    guest.remove()
    host.check()
    assert host.frames_free == host.frames_total


def test_costs(make_host, profile):
    guest = make_host(thp=False).add_guest(BLOCK)
    guest.touch(0, BLOCK)
    done = guest.free_lazily(0, BLOCK)
    call = profile["host.madvise_call_empty"] + profile["host.mmu_notifier_range"]
    assert done == (pytest.approx(BLOCK * profile["host.madvise_free_4k"] + call), 0)


def test_a_huge_page_is_split_even_at_the_watermark(make_host):
    host = make_host(frames_total=2 * BLOCK, watermarks=(400, 450, 500))
    guest = host.add_guest(BLOCK)
    guest.touch(0, BLOCK)
    host.base_frames = host.frames_free - 400
    assert host.frames_free == 400
    guest.free_lazily(0, 8)
    assert guest.lazy_pages == 8
    host.check()
