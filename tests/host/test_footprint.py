"""What a guest costs beside its RAM: the VMM, page tables, and memory of the emulator."""

import gc
import resource

from hinting._core.host.host import vmm_memory_frames

GIB = 1 << 18
BLOCK = 512


def test_vmm_frames(compiled):
    assert vmm_memory_frames(compiled, 4) == (30 + 32) * 256
    assert vmm_memory_frames(compiled, 1, 2) == (30 + 8 + 16) * 256


def test_page_tables_of_a_5_gib_guest(make_host):
    huge = make_host(8 * GIB).add_guest(5 * GIB)
    huge.touch(0, 5 * GIB)
    assert sum(huge.table_frames) * 4 == 40  # KiB
    small = make_host(8 * GIB, thp=False).add_guest(5 * GIB)
    small.touch(0, 5 * GIB)
    assert small.table_frames == (2560 + 5, 2560 + 5)
    deposit = make_host(8 * GIB, thp_deposit=True).add_guest(5 * GIB)
    deposit.touch(0, 5 * GIB)
    assert deposit.table_frames == (2560 + 5, 5)


def rss_bytes():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


def test_a_tebibyte_guest_costs_nothing_until_touched(make_host):
    gc.collect()
    before = rss_bytes()
    host = make_host(2 << 28)
    guest = host.add_guest(1 << 28)
    assert guest.map_bytes < 1 << 28  # less than a byte a page
    guest.touch(0)
    guest.touch((1 << 28) - 1)
    host.check()
    assert rss_bytes() - before < 10 << 20
    assert guest.rss_pages == 2 * BLOCK
