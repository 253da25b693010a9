"""Memory cgroups of guests: max, high, low, min, swap.max, proactive reclaim, and kills inside a group."""

import random

import pytest

import hinting as h
from hinting.errors import HostError, UnitError

BLOCK = 512
MARKS = (100, 200, 300)


@pytest.fixture
def make_swapping(make_host):
    def make(frames_total=20_000, **options):
        return make_host(frames_total, **{"watermarks": MARKS, "swap_frames": 1 << 15, "thp": False} | options)

    return make


def test_a_guest_stays_below_its_max_and_swaps_its_own_memory(make_swapping):
    host = make_swapping()
    other = host.add_guest(BLOCK * 8)
    other.touch(0, 4_000)
    group = host.add_group(max=2_000)
    guest = host.add_guest(BLOCK * 16, 100, group=group)
    for start in range(0, 6_000, 100):
        assert guest.touch(start, 100).ok
        assert guest.charged_frames <= 2_000
    assert guest.charged_frames > 1_800
    assert guest.swapped_pages > 3_500
    assert other.swapped_pages == 0
    assert host.frames_free > 10_000
    state = host.group(group)
    assert state["max"] > 0
    assert state["usage"] == guest.charged_frames
    assert guest.stalls["reclaim"] > 0
    host.check()


def test_a_slice_is_shared(make_swapping):
    host = make_swapping()
    group = host.add_group(max=3_000)
    guests = [host.add_guest(BLOCK * 8, slice=group) for _ in range(2)]
    for guest in guests:
        assert guest.touch(0, 2_500).ok
        assert host.group(group)["usage"] <= 3_000
    assert sum(guest.swapped_pages for guest in guests) > 1_900
    host.check()


def test_without_room_in_swap_the_group_loses_a_guest(make_swapping):
    host = make_swapping()
    group = host.add_group(max=1_000, swap_max=500)
    big, small = host.add_guest(BLOCK * 16), host.add_guest(BLOCK * 8, group=group)
    big.touch(0, 8_000)
    assert not small.touch(0, 4_000).ok
    assert small.swap_slots == 500
    assert host.oom_victim() is small
    assert host.oom_kill() is small
    assert host.group(group)["oom_kill"] == 1
    assert host.oom_victim() is big
    host.check()


def test_a_limit_without_swap_kills_too(make_host):
    host = make_host(20_000, thp=False)
    guest = host.add_guest(BLOCK * 8, group=host.add_group(max=1_000))
    assert not guest.touch(0, 2_000).ok
    assert guest.charged_frames == 1_000
    assert host.oom_kill() is guest


def test_a_huge_frame_needs_room_in_the_group(make_swapping):
    host = make_swapping(thp=True)
    guest = host.add_guest(BLOCK * 8, group=host.add_group(max=BLOCK + 100))
    guest.touch(0)
    assert guest.block_state(0).pmd == "huge"
    guest.touch(BLOCK)
    assert guest.block_state(1).pmd == "table"


def test_high_slows_the_guest_down_by_the_square_of_the_excess(make_swapping):
    host = make_swapping(swap_frames=64)
    assert host.add_guest(BLOCK * 8, group=host.add_group(high=4_000)).touch(0, 3_000).stall_ns < 1e9
    free = host.add_guest(BLOCK * 8)
    slowed = host.add_guest(BLOCK * 8, group=host.add_group(high=1_000))
    assert slowed.touch(0, 1_100).ok
    little = slowed.stalls["high"]
    assert slowed.touch(1_100, 400).ok
    assert slowed.stalls["high"] - little > 3 * little > 0
    assert host.group(1)["high"] > 0
    assert free.touch(0, 1_500).stall_ns * 50 < slowed.stalls["high"]
    # half above the limit: 64 s * 0.5^2 for each 64 pages, at most 2 s
    before = slowed.stalls["high"]
    slowed.touch(1_600, 128)
    assert slowed.stalls["high"] - before == pytest.approx(4e9)


@pytest.mark.parametrize("protection", ["low", "min"])
def test_protected_memory_goes_last(make_swapping, protection):
    host = make_swapping(8_000)
    safe = host.add_guest(BLOCK * 8, group=host.add_group(**{protection: 4_000}))
    other = host.add_guest(BLOCK * 24)
    safe.touch(0, 3_000)
    assert other.touch(0, 9_000).ok
    assert safe.swapped_pages == 0
    assert other.swapped_pages > 3_000


def test_low_gives_way_when_nothing_else_is_left_and_min_does_not(make_swapping):
    found = {}
    for protection in ("low", "min"):
        host = make_swapping(4_000)
        safe = host.add_guest(BLOCK * 8, group=host.add_group(**{protection: 4_000}))
        safe.touch(0, 3_500)
        found[protection] = host.add_guest(BLOCK * 8, group=host.add_group(swap_max=0)).touch(0, 2_000).ok
        assert (safe.swapped_pages > 0) == (protection == "low")
    assert found == {"low": True, "min": False}


def test_proactive_reclaim(make_swapping):
    host = make_swapping()
    guest = host.add_guest(BLOCK * 8, group=host.add_group())
    guest.touch(0, 3_000)
    pages, ns = guest.reclaim(1_000)
    assert 1_000 <= pages < 1_100
    assert ns > 0
    assert guest.swapped_pages == pages
    with pytest.raises(HostError, match="a group of its own"):
        host.add_guest(BLOCK).reclaim(10)
    host.check()


def test_random_groups_keep_their_limits(make_swapping):
    rng = random.Random(8)
    host = make_swapping(9_000, swap_frames=9_000, thp=True)
    slice_ = host.add_group(max=5_000, high=4_500)
    limits = [{"max": 2_500}, {"max": 4_000, "low": 1_000}, {"high": 1_500, "swap_max": 2_000}, {"min": 700}]
    guests = [
        host.add_guest(BLOCK * 8, 50, group=host.add_group(**each), slice=slice_ if i % 2 else None, oom_score_adj=i)
        for i, each in enumerate(limits)
    ]
    kills = 0
    for _ in range(600):
        living = [guest for guest in guests if guest.is_attached]
        if not living:
            break
        guest = rng.choice(living)
        pfn = rng.randrange(BLOCK * 8)
        npages = min(rng.choice([1, 30, 200, 700]), BLOCK * 8 - pfn)
        if rng.random() < 0.8:
            done = guest.touch(pfn, npages, writes=rng.random() < 0.5)
            host.now_ns += int(done.stall_ns)
            if not done.ok:
                host.oom_kill()
                kills += 1
        else:
            guest.discard(pfn, npages)
        host.check()
        assert host.group(slice_)["usage"] <= 5_001  # a split huge entry takes its table without asking
        if guests[0].is_attached:
            assert guests[0].charged_frames <= 2_501
    assert kills < len(guests)


def test_limits_of_a_launch():
    sim = h.Simulation(h.Host("8GiB", swap="4GiB"), seed=1)
    vm = sim.launch(
        h.Guest("2GiB"), workload=h.workloads.memhog("1GiB"), limits=h.Limits(max="1GiB", swap_max="2GiB"), oom_score_adj=5
    )
    sim.run(until="120s")
    assert vm.counts()["held_frames"] <= 1 << 18
    assert vm.memory_counts()["swapped_out"] > 50_000
    assert 0 < vm.pressure() < 1
    assert not vm.is_lost
    sim.check()
    with pytest.raises(UnitError, match="limit max"):
        sim.launch(h.Guest("1GiB"), limits=h.Limits(max="much"))
    with pytest.raises(HostError, match=r"guest\.slice must be a whole number between 0 and"):
        sim.launch(h.Guest("1GiB"), slice=7)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lru": "mglru"}, "MGLRU is not modelled"),
        ({"lru": "fifo"}, "expected 'two-list'"),
        ({"ksm": True}, r"\(KSM\) is not modelled"),
        ({"zswap": True}, r"\(zswap\) is not modelled"),
        ({"swap": "1GiB", "swap_device": "zram"}, r"\(zram\) is not modelled, expected nvme, sata or hdd"),
    ],
)
def test_what_is_not_modelled_is_refused(options, message):
    with pytest.raises(HostError, match=message):
        h.Host("4GiB", **options)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"min": "2GiB", "max": "1GiB"}, "limit min must not be above max '1GiB', got '2GiB'"),
        ({"low": 5 << 30, "max": "1GiB"}, "limit low must not be above max"),
    ],
)
def test_limits_that_contradict_each_other(limits, message):
    with pytest.raises(h.errors.HostError, match=message):
        h.Limits(**limits)
    assert h.Limits(min="1GiB", max="1GiB").frames()["min"] == 1 << 18
