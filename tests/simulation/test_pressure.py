"""Guests that swap, in virtual time: kswapd beside the guests, what hinting saves, and the same run every time."""

import pytest

import hinting as h


def run(strategy="none", *, swap="2GiB", host="2900MiB", guests=3, seed=4, size="2GiB", program="1GiB", **options):
    """Guests that run a program one after the other; their times in the program, and the simulation."""
    sim = h.Simulation(h.Host(host, base="256MiB", swap=swap, **options), seed=seed)
    times = []
    for _ in range(guests):
        found = h.strategies.find(strategy, {"entries": 256} if strategy == "v8" else None)
        vm = sim.launch(h.Guest(size, strategy=found), workload=h.workloads.memhog(program))
        vm.run_until_idle()
        sim.run(until=sim.now_ns + 10**9)
        marks = {mark.number: mark.t_ns for mark in vm.marks()}
        times.append(marks[3] - marks[1])
    sim.check()
    return times, sim


def writes_of_free_pages(sim):
    return sum(vm.machine.backing.counters["free_page_swap_writes"] for vm in sim.vms)


def test_hinting_leaves_nothing_to_swap():
    """Acceptance test 7: a program that ended leaves garbage that is written to swap; with hinting it is gone before."""
    times, sim = run("none")
    assert sim.host.vmstat()["pswpout"] > 10_000
    assert writes_of_free_pages(sim) > 10_000
    assert sim.engine.host_kernel_ns > 0
    hinted, other = run("v8")
    assert other.host.vmstat()["pswpout"] == 0
    assert writes_of_free_pages(other) == 0
    assert times[-1] > 1.2 * hinted[-1]


def test_swap_changes_nothing_while_memory_suffices():
    tables = [run("v8", swap=swap, host="6GiB")[1].timeline() for swap in (0, "2GiB")]
    assert tables[0].equals(tables[1])


@pytest.mark.parametrize("device", ["nvme", "hdd"])
def test_same_seed_same_bytes(device):
    runs = [run("none", swap_device=device, swap_tails=device == "nvme")[1] for _ in range(2)]
    assert runs[0].timeline().equals(runs[1].timeline())
    assert runs[0].metrics().equals(runs[1].metrics())


def test_slower_devices_make_slower_guests():
    times = [run("none", swap_device=device)[0][-1] for device in ("nvme", "sata", "hdd")]
    assert times == sorted(times)
    assert times[2] > 2 * times[0]


def test_the_books_balance_after_every_slice():
    sim = h.Simulation(h.Host("2GiB", base="256MiB", swap="1GiB"), seed=3)
    for _ in range(3):
        vm = sim.launch(h.Guest("1GiB", vcpus=2), workload=h.workloads.memhog("512MiB", repeat=2, gap="1s"))
        vm.submit(h.workloads.memhog("64MiB", repeat=2, gap="1s", thp=False, process=1), vcpu=1)
    steps = 0
    while sim.step():
        steps += 1
        if steps % 25 == 0:
            sim.check()
    sim.check()
    assert steps > 100
    assert sim.host.vmstat()["pswpout"] > 1_000


def test_a_guest_that_finds_no_slot_is_killed():
    sim = h.Simulation(h.Host("2GiB", base="256MiB", swap="128MiB"), seed=3)
    for _ in range(3):
        sim.launch(h.Guest("1GiB"), workload=h.workloads.memhog("768MiB", hold="100s"))
    sim.run(until="20s")
    assert sim.engine.oom_kills > 0
    sim.check()


def test_asynchronous_page_faults_leave_the_vcpu_to_the_strategy():
    """A task that waits for the device waits as long either way; only where the time goes differs."""
    counts = {}
    for async_pf in (True, False):
        sim = h.Simulation(h.Host("2GiB", base="256MiB", swap="4GiB"), seed=4)
        for _ in range(3):
            program = h.workloads.memhog("1GiB", repeat=2, gap="1s")
            sim.launch(h.Guest("2GiB"), workload=program, async_pf=async_pf)
        sim.run(until="300s")
        sim.check()
        assert all(vm.is_idle for vm in sim.vms)
        counts[async_pf] = sum(vm.accounts()["guest_stall"] for vm in sim.vms)
        assert sum(vm.memory_counts()["major_faults"] for vm in sim.vms) > 100
    assert counts[True] == pytest.approx(counts[False], rel=0.5)
