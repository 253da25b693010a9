"""A host under pressure: reclaim and swap-in in pages a second, and a fleet of guests that swaps."""

import numpy as np
import pytest

from hinting import Guest, Host, Simulation, workloads
from hinting._core.costs import Costs
from hinting._core.host.host import HostMemory
from hinting.costs import load

GIB = 1 << 18


@pytest.mark.parametrize("thp", [True, False])
@pytest.mark.parametrize("device", ["nvme", "hdd"])
def test_reclaim(benchmark, device, thp):
    """Two guests of 3 GiB take turns on a host of 4 GiB: every round evicts and reads back most of a guest."""

    def make():
        host = HostMemory(
            4 * GIB, costs=Costs(load()), swap_frames=8 * GIB, swap_device=device, fragmentation=0.0, thp=thp
        )
        return (host, [host.add_guest(3 * GIB) for _ in range(2)]), {}

    def run(host, guests):
        for _ in range(3):
            for guest in guests:
                host.now_ns += int(guest.touch(0, 3 * GIB).stall_ns)
        benchmark.extra_info["pages"] = host.vmstat["pswpout"] + host.vmstat["pswpin"]
        benchmark.extra_info["scanned"] = host.vmstat["pgscan_direct"]

    benchmark.pedantic(run, setup=make, rounds=3)


def test_fleet(benchmark):
    """60 guests of 4 to 16 GiB on a host of 256 GiB with 64 GiB of swap, 10 emulated minutes."""

    def run():
        rng = np.random.default_rng(1)
        simulation = Simulation(Host("256GiB", base="4GiB", swap="64GiB"), seed=1)
        for number in range(60):
            size = (4, 6, 8, 10, 12, 16)[number % 6]
            use, gap, hold = int(size * 1024 * rng.uniform(0.4, 0.8)), int(rng.uniform(30, 300)), int(rng.uniform(10, 240))
            program = workloads.memhog(f"{use}MiB", hold=f"{hold}s", repeat=600 // (gap + hold) + 1, gap=f"{gap}s")
            simulation.launch(Guest(f"{size}GiB", vcpus=2), workload=program)
        simulation.run(until="10min")
        return simulation

    simulation = benchmark.pedantic(run, rounds=1)
    vmstat = simulation.host.vmstat()
    benchmark.extra_info["emulated_s"] = simulation.now
    benchmark.extra_info["pages"] = vmstat["pswpout"] + vmstat["pswpin"]
