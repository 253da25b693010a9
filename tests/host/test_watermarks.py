"""Watermarks by the kernel's rules, and the last frame above them."""

import pytest

from hinting._core.host.host import HostMemory
from hinting._core.host.watermark import host_watermarks, host_zones

GIB = 1 << 18
BLOCK = 512


def test_watermarks_of_a_15_gib_host():
    """Acceptance test 3."""
    zones = host_zones(15 * GIB)
    kib, marks = host_watermarks(zones)
    assert sum(zones) == 15 * GIB
    assert kib == 67_584
    assert kib // 4 == 16_896
    pages = [sum(column) for column in zip(*marks, strict=True)]
    assert pages[0] == 16_894  # each zone rounds down
    assert pages[1] * 4096 / 2**20 == pytest.approx(82.5, abs=0.1)
    assert pages[2] * 4096 / 2**20 == pytest.approx(99, abs=0.1)


def test_watermarks_of_a_running_kernel():
    kib, marks = host_watermarks([3_840, 772_915, 819_200, 0])
    assert kib == 67_584
    assert [tuple(mark) for mark in marks] == [
        (40, 50, 60),
        (8_182, 10_227, 12_272),
        (8_672, 10_840, 13_008),
        (0, 0, 0),
    ]


def test_watermarks_without_thp_and_at_the_clamps():
    assert host_watermarks([GIB], thp=False)[0] == 4096  # sqrt(16 * 1 MiB)
    assert host_watermarks([16], thp=False)[0] == 128
    assert host_watermarks([1 << 36], thp=False)[0] == 262_144
    assert host_watermarks([10_000])[0] == 485 * 4  # 5 % of a small machine above its first high watermark, 300 pages


def test_a_host_has_the_watermarks_of_its_size(compiled):
    host = HostMemory(15 * GIB, costs=compiled)
    assert host.watermarks.min == 16_894


@pytest.mark.parametrize(("free_above_min", "ok"), [(4, False), (5, True)])
def test_the_last_frame_above_the_min_watermark(make_host, free_above_min, ok):
    host = make_host(1000, watermarks=(100, 200, 300), thp=False)
    guest = host.add_guest(BLOCK)
    host.base_frames = 1000 - 100 - free_above_min
    assert guest.touch(0).ok is ok  # one frame, two tables, two directories
    assert host.frames_free == 100 + (0 if ok else free_above_min)
    host.check()


@pytest.mark.parametrize(("free_above_min", "pmd"), [(513, "table"), (514, "huge")])
def test_the_last_huge_frame_above_the_min_watermark(make_host, free_above_min, pmd):
    host = make_host(1000, watermarks=(100, 200, 300))
    guest = host.add_guest(BLOCK)
    host.base_frames = 1000 - 100 - free_above_min
    guest.touch(0)
    assert guest.block_state(0).pmd == pmd


def test_a_touch_that_fails_goes_on_after_a_kill(make_host):
    host = make_host(4000, thp=False)
    first, second = host.add_guest(4000), host.add_guest(4000)
    assert first.touch(0, 3000).ok
    assert not second.touch(0, 2000).ok
    assert 0 < second.rss_pages < 1000
    assert host.oom_kill() is first
    assert second.touch(0, 2000).ok
    assert second.rss_pages == 2000
    assert second.counters["faults_4k"] == 2000
    assert host.vmstat["oom_kill"] == 1
