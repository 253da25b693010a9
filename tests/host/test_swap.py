"""Swap: device times, read-ahead, huge folios, valid copies, discards of swapped pages, and what is refused."""

import statistics

import pytest

from hinting import Host
from hinting._core.costs import Costs
from hinting.errors import HintingError, HostError, UnitError

BLOCK = 512
MARKS = (100, 200, 300)


@pytest.fixture
def make_swapping(make_host):
    """A small host that must swap; guests of small pages unless the test asks for huge ones."""

    def make(frames_total=3_000, **options):
        options.setdefault("watermarks", MARKS)
        options.setdefault("swap_frames", 1 << 14)
        options.setdefault("thp", False)
        return make_host(frames_total, **options)

    return make


def settle(host):
    host.now_ns += 10**10


def fill_and_push_out(host, pages=2_000):
    """A guest whose pages live in swap, and the guest that pushed them out."""
    old, new = host.add_guest(BLOCK * 16), host.add_guest(BLOCK * 16)
    host.now_ns += int(old.touch(0, pages).stall_ns)
    for _ in range(8):
        if old.rss_pages == 0:
            break
        host.now_ns += int(new.touch(0, 2_600).stall_ns)
    settle(host)
    return old, new


def test_time_of_a_random_read(make_swapping, profile):
    host = make_swapping(page_cluster=0)
    old, _ = fill_and_push_out(host)
    host.kswapd()
    settle(host)
    page = next(page for page in range(2_000) if old.is_swapped(page) and not old.is_cached(page))
    cpu = profile["virt.vm_exit_entry"] + profile["swap.in_cpu_4k"] + profile["fault.tdp_map"]
    assert old.touch(page).stall_ns == pytest.approx(profile["dev.nvme.read"] + cpu, abs=1)
    assert host.vmstat["swap_ra"] == 0


@pytest.mark.parametrize("device", ["nvme", "sata", "hdd"])
def test_read_ahead_grows_with_its_hits_and_shrinks_without(make_swapping, device):
    host = make_swapping(8_000, swap_device=device)
    old, new = host.add_guest(BLOCK * 16), host.add_guest(BLOCK * 16)
    old.touch(0, 4_096)
    for _ in range(4):
        new.touch(0, 7_000)
    settle(host)
    new.discard(0, 8_000)
    swapped = [page for page in range(4_096) if old.is_swapped(page)]
    assert len(swapped) > 3_000
    assert swapped[:1_024] == list(range(1_024))
    before = host.vmstat["pgmajfault"]
    old.touch(0, 1024)
    majors, read = host.vmstat["pgmajfault"], host.vmstat["pswpin"]
    assert 1024 / 8 <= majors - before < 1024 / 7
    for page in swapped[1100::37]:
        old.touch(page)
    after = host.vmstat
    assert (after["pswpin"] - read) / (after["pgmajfault"] - majors) < 2


def test_a_disk_seeks_and_flash_does_not(make_swapping):
    times = {}
    for device in ("nvme", "sata", "hdd"):
        host = make_swapping(swap_device=device)
        old, _ = fill_and_push_out(host)
        host.kswapd()
        settle(host)
        pages = [page for page in range(0, 2_000, 97) if old.is_swapped(page)]
        times[device] = sum(old.touch(page).stall_ns for page in pages) / len(pages)
    assert times["nvme"] < times["sata"] < times["hdd"]
    assert times["hdd"] > 5e6


def test_tails_keep_the_median_and_reach_the_99th_percentile(make_swapping, profile):
    runs = []
    for tails in (True, True, False):
        host = make_swapping(40_000, swap_tails=tails, page_cluster=0, seed=7)
        old, new = host.add_guest(BLOCK * 64), host.add_guest(BLOCK * 80)
        old.touch(0, 20_000)
        new.touch(0, 38_000)
        settle(host)
        new.discard(0, 38_000)
        pages = [page for page in range(0, 20_000, 5) if old.is_swapped(page)][:2_000]
        found = []
        for page in pages:
            found.append(old.touch(page).stall_ns)
            settle(host)
        runs.append(sorted(found))
    assert runs[0] == runs[1]
    assert max(runs[2]) - min(runs[2]) < 2
    cpu = profile["virt.vm_exit_entry"] + profile["swap.in_cpu_4k"] + profile["fault.tdp_map"]
    assert statistics.median(runs[0]) == pytest.approx(profile["dev.nvme.read"] + cpu, rel=0.1)
    assert runs[0][int(len(runs[0]) * 0.99)] == pytest.approx(profile["dev.nvme.read_p99"], rel=0.4)


def test_writes_slow_the_reads_of_flash(make_swapping):
    host = make_swapping(60_000, page_cluster=0, swap_frames=1 << 18, swap_device="sata", watermarks=(100, 200, 30_000))
    old = host.add_guest(BLOCK * 120)
    old.touch(0, 59_000)
    host.now_ns += int(host.kswapd())
    swapped = [page for page in range(59_000) if old.is_swapped(page)]
    busy = old.touch(swapped[0]).stall_ns
    settle(host)
    assert busy > 1.2 * old.touch(swapped[-1]).stall_ns


def test_a_huge_folio_is_written_whole_and_comes_back_as_small_pages(make_swapping):
    host = make_swapping(6 * BLOCK, thp=True, page_cluster=0)
    old, new = host.add_guest(BLOCK * 3), host.add_guest(BLOCK * 8)
    old.touch(0, 2 * BLOCK)
    assert old.huge_blocks == 2
    for _ in range(4):
        new.touch(0, 5 * BLOCK)
    settle(host)
    assert host.vmstat["thp_swpout"] >= 2
    assert old.swapped_pages == 2 * BLOCK
    slots = [old.slot(page) for page in range(BLOCK)]
    assert slots == list(range(slots[0], slots[0] + BLOCK))
    assert slots[0] % BLOCK == 0
    old.touch(5)
    state = old.block_state(0)
    assert (state.pmd, state.present) == ("table", 1)
    host.check()


def test_a_disk_splits_huge_folios(make_swapping):
    host = make_swapping(6 * BLOCK, thp=True, swap_device="hdd")
    old, new = host.add_guest(BLOCK * 3), host.add_guest(BLOCK * 8)
    old.touch(0, 2 * BLOCK)
    for _ in range(3):
        new.touch(0, 4 * BLOCK)
    assert host.vmstat["thp_swpout"] == 0
    assert host.vmstat["thp_swpout_fallback"] > 0
    assert old.swapped_pages > 0


def test_a_page_that_was_only_read_is_dropped_without_a_write(make_swapping):
    for writes in (False, True):
        host = make_swapping()
        old, new = fill_and_push_out(host)
        new.discard(0, 2_600)
        old.touch(0, 1_000, writes=writes)
        written = host.vmstat["pswpout"]
        before = old.counters["dropped_copies"]
        for _ in range(6):
            host.now_ns += int(new.touch(0, 2_700).stall_ns)
        assert old.rss_pages < 1_000
        dropped = old.counters["dropped_copies"] - before
        if writes:
            assert dropped == 0
        else:
            assert dropped > 500
            assert host.vmstat["pswpout"] - written < 2_700 * 6
        host.check()


def test_random_discards_of_swapped_pages_cause_no_device_reads(make_swapping):
    """Acceptance test 8."""
    host = make_swapping()
    old, _ = fill_and_push_out(host)
    before, used = host.vmstat, host.swap[1]
    swapped = old.swapped_pages
    assert swapped > 1_000
    for page in range(0, 2_000, 3):
        old.discard(page, 2)
    assert host.vmstat["pswpin"] == before["pswpin"]
    assert host.vmstat["pgmajfault"] == before["pgmajfault"]
    assert old.counters["discarded_swapped"] > 600
    assert host.swap[1] < used
    assert old.touch(0).stall_ns < 10_000
    host.check()


def test_page_cache_goes_before_guest_memory_as_swappiness_says(make_swapping):
    swapped = {}
    for swappiness in (0, 60, 200):
        host = make_swapping(6_000, page_cache_frames=3_000, swappiness=swappiness)
        guest = host.add_guest(BLOCK * 16)
        guest.touch(0, 4_000)
        swapped[swappiness] = guest.counters["swapped_out"]
        assert (host.page_cache_frames < 3_000) == (swappiness < 200)
        host.check()
    assert swapped[0] == 0
    assert swapped[0] <= swapped[60] < swapped[200]


def test_kswapd_stops_at_the_high_watermark(make_swapping):
    host = make_swapping()
    guest = host.add_guest(BLOCK * 16)
    guest.touch(0, 2_700)
    assert host.wakes_kswapd or host.frames_free <= MARKS[2]
    assert host.kswapd() > 0
    assert MARKS[2] <= host.frames_free < 3 * MARKS[2]
    assert host.vmstat["pgsteal_kswapd"] > 0


def test_reclaim_ends_in_failure_when_swap_is_full(make_swapping):
    host = make_swapping(swap_frames=1_000)
    guest = host.add_guest(BLOCK * 16)
    assert not guest.touch(0, 5_000).ok
    assert host.swap == (1_000, 1_000)
    assert guest.swapped_pages == 1_000
    assert guest.oom_badness == guest.rss_pages + 1_000 + guest.table_frames[0]
    assert host.oom_kill() is guest
    assert host.swap == (1_000, 0)
    host.check()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"swap_device": "sata"}, HostError, "host.swap_device: 'sata' has no slots"),
        ({"swap": "1GiB", "swap_device": "tape"}, HostError, "host.swap_device must be one of nvme, sata, hdd, got 'tape'"),
        ({"swap": 1000}, HintingError, "host swap: 1000 bytes is not a multiple of the 4 KiB page"),
        ({"swap": "-1GiB"}, UnitError, "host swap"),
        ({"swap": "20TiB"}, HostError, "host.swap_frames must be a whole number between 0 and"),
        ({"swap": "1GiB", "swappiness": 201}, HostError, "host.swappiness must be a whole number between 0 and 200"),
        ({"swap": "1GiB", "page_cluster": 6}, HostError, "host.page_cluster must be a whole number between 0 and 5"),
        ({"swap": "1GiB", "swap_device": "hdd", "swap_tails": True}, HostError, "host.swap_tails: tails are known for"),
        ({"page_cache": "1GiB"}, HostError, "host.page_cache_frames: page cache is reclaimed together with swap"),
        ({"swap": "1GiB", "page_cache": "5GiB"}, HostError, "host.page_cache_frames must be"),
        ({"base": "5GiB", "swap": "8GiB"}, HostError, "smaller than the host's own needs"),
    ],
)
def test_a_host_that_cannot_swap_like_this(options, error, message):
    with pytest.raises(error, match=message):
        Host("4GiB", **options)


def test_swap_in_the_public_host():
    host = Host("15GB", swap="8GiB", swap_device="nvme")
    assert host.swap_bytes == 8 << 30
    assert host.swap_used_bytes == 0
    assert Host("15GB").swap_bytes == 0


def test_a_measured_device_is_used(profile):
    from hinting import costs

    slow = Costs(costs.load(overrides={"dev.nvme.read": 400_000}))
    assert slow["dev.nvme.read"] == 400_000
