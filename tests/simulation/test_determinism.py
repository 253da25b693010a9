"""The same input gives the same bytes; another seed gives another run."""

import io

import pyarrow.parquet as pq
import pytest

import hinting as h


def bytes_of(seed, *, thp="never", vcpus=2, kernel="linux-6.1", entries=64, host_seed=0):
    sim = h.Simulation(h.Host("3GiB", seed=host_seed), seed=seed)
    for _ in range(2):
        guest = h.Guest("640MiB", vcpus=vcpus, thp=thp, kernel=kernel, strategy=h.strategies.V8(entries=entries))
        vm = sim.launch(guest)
        for vcpu in range(vcpus):
            vm.submit(h.workloads.memhog("48MiB", process=vcpu, repeat=2, gap="10ms"), vcpu=vcpu)
    sim.run()
    sim.check()
    files = []
    for table in (sim.timeline(), sim.metrics()):
        out = io.BytesIO()
        pq.write_table(table, out)
        files.append(out.getvalue())
    return files


@pytest.mark.parametrize("kernel", h.kernels.names())
@pytest.mark.parametrize("thp", ["always", "never"])
def test_same_seed_same_bytes(kernel, thp):
    assert bytes_of(7, kernel=kernel, thp=thp) == bytes_of(7, kernel=kernel, thp=thp)


def test_another_seed_is_another_run():
    first, other = bytes_of(7), bytes_of(8)
    assert first[0] != other[0]
    assert first[1] != other[1]


def test_guests_of_one_simulation_boot_differently():
    sim = h.Simulation(h.Host("4GiB"), seed=1)
    vms = [sim.launch(h.Guest("640MiB")) for _ in range(2)]
    sim.run()
    assert vms[0].guest.allocator.free_lists() != vms[1].guest.allocator.free_lists()


def test_the_order_of_launches_and_their_seeds_are_the_simulations():
    """The second guest boots as the second guest, whatever the first one does."""
    lists = []
    for workload in (None, h.workloads.memhog("8MiB")):
        sim = h.Simulation(h.Host("4GiB"), seed=1)
        sim.launch(h.Guest("640MiB"), workload=workload)
        second = sim.launch(h.Guest("640MiB"))
        sim.run()
        lists.append(second.guest.allocator.free_lists())
    assert lists[0] == lists[1]
