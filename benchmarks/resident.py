"""Print the resident memory of one emulated guest and its backing as JSON.

    python benchmarks/resident.py MEMORY [--split]

--split: all of it allocated in single pages and touched, then every second page freed.
"""

import argparse
import json
import os
from pathlib import Path

import numpy as np

from hinting import Guest, Host, gfp
from hinting.units import size_pages

#: Pages of one batch: small, so that the batches' own arrays do not count.
CHUNK = 4096


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def split_into_pages(guest: Guest, kept: np.ndarray) -> None:
    """Allocate all of it in single pages and free every second one. kept: room for the pages to free."""
    n = 0
    while (pfns := guest.alloc_many(CHUNK, gfp=gfp.HIGHUSER_MOVABLE)).size:
        kept[n : n + (pfns.size + 1) // 2] = pfns[::2]
        n += (pfns.size + 1) // 2
    for first in range(0, n, CHUNK):
        guest.free_many(kept[first : min(first + CHUNK, n)])


def measure(memory: str, *, split: bool) -> dict[str, int]:
    """Make the guest, then its backing; what each adds to the resident memory, bytes."""
    kept = np.ones(size_pages(memory, "memory") // 2 + CHUNK if split else 0, np.uint32)
    before = resident_bytes()
    guest = Guest(memory, kernel="linux-6.1")
    if split:
        split_into_pages(guest, kept)
    middle = resident_bytes()
    host = Host("2TiB", thp=False)
    backing = host.memory.add_guest(guest.memory_map.npfn, ram_frames=guest.memory_map.pages)
    if split:
        for first, end in guest.memory_map.free:
            backing.touch(first, end - first)
    return {
        "pages": guest.memory_map.pages,
        "guest_bytes": middle - before,
        "host_bytes": resident_bytes() - middle,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Resident memory of one emulated guest.")
    parser.add_argument("memory", help='RAM of the guest, such as "4GiB"')
    parser.add_argument("--split", action="store_true", help="split all of it into single pages")
    options = parser.parse_args()
    measure("512MiB", split=True)  # what the first guest of a process loads is not counted
    print(json.dumps(measure(options.memory, split=options.split)))


if __name__ == "__main__":
    main()
