"""What an emulated guest costs in memory of this machine, and how long it takes to make one.

Resident memory is measured in processes of their own (`resident.py`).
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hinting import Guest, Host

#: Bytes a page that a guest and its backing may cost when it is split into single pages.
BUDGET = 10


def resident(memory: str, *, split: bool) -> dict[str, float]:
    """Resident bytes of a guest and of its backing, and the number of its pages."""
    command = [sys.executable, str(Path(__file__).with_name("resident.py")), memory, *(["--split"] if split else [])]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_create_1_tib(benchmark):
    """A guest of 1 TiB and its backing."""

    def create():
        guest = Guest("1TiB", kernel="linux-6.1")
        return Host("2TiB").memory.add_guest(guest.memory_map.npfn, ram_frames=guest.memory_map.pages), guest

    benchmark(create)
    found = resident("1TiB", split=False)
    benchmark.extra_info["resident_mib"] = (found["guest_bytes"] + found["host_bytes"]) / 2**20
    benchmark.extra_info["bytes_per_page"] = (found["guest_bytes"] + found["host_bytes"]) / found["pages"]
    assert benchmark.extra_info["bytes_per_page"] < 0.1


@pytest.mark.parametrize("kernel", ["linux-6.1"])
def test_split_into_pages(benchmark, make_rig, kernel):
    """1 GiB allocated in single pages and every second page freed: all arrays are in use, the guest at its largest."""
    rig = make_rig(kernel)

    def split():
        pfns = rig.untimed.alloc(1 << 18, 0, rig.user)
        rig.untimed.free(pfns[::2], 0)
        return pfns

    def join():
        if held:
            rig.untimed.free(held.pop()[1::2], 0)

    held = []
    benchmark.pedantic(lambda: held.append(split()), setup=join, rounds=5, warmup_rounds=1)
    found = resident("4GiB", split=True)
    benchmark.extra_info["pages"] = 1 << 18
    benchmark.extra_info["guest_bytes_per_page"] = found["guest_bytes"] / found["pages"]
    benchmark.extra_info["host_bytes_per_page"] = found["host_bytes"] / found["pages"]
    assert (found["guest_bytes"] + found["host_bytes"]) / found["pages"] <= BUDGET
