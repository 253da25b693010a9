"""Guests, hosts and simulations that cannot be: both sides of each limit, with the argument named."""

import pytest

import hinting as h
from hinting.errors import GuestError, HintingError, HostError, KernelError, StrategyError, UnitError


def smallest_mib(kernel="linux-5.0"):
    """The smallest guest that boots, by bisection."""
    low, high = 1, 4096
    while low < high:
        middle = (low + high) // 2
        try:
            h.Guest(f"{middle}MiB", kernel=kernel)
        except GuestError:
            low = middle + 1
        else:
            high = middle
    return low


def test_the_smallest_guest_boots_and_the_error_names_it():
    least = smallest_mib()
    h.Guest(f"{least}MiB").check()
    with pytest.raises(GuestError, match=rf"{least - 1} MiB is too small, a guest needs \d+ MiB"):
        h.Guest(f"{least - 1}MiB")


@pytest.mark.parametrize("memory", [0, 4096, "1MiB"])
def test_no_memory_to_speak_of(memory):
    with pytest.raises(GuestError, match="too small"):
        h.Guest(memory)


def test_more_memory_than_page_frames():
    with pytest.raises(GuestError, match="too much"):
        h.Guest("8TiB")


@pytest.mark.parametrize("memory", [-1, 2**30 + 1, 2**30 - 1, "5 GiBs", "", "GiB", "-1GiB", None, True, 2**64, float("nan")])
def test_sizes_that_cannot_be_read(memory):
    with pytest.raises(UnitError, match="guest memory"):
        h.Guest(memory)
    with pytest.raises(UnitError, match="host memory"):
        h.Host(memory)


@pytest.mark.parametrize(
    ("vcpus", "fine"), [(0, False), (1, True), (256, True), (257, False), (-1, False), (1.5, False), (True, False)]
)
def test_vcpus(vcpus, fine):
    if fine:
        guest = h.Guest("640MiB", vcpus=vcpus)
        assert guest.alloc(cpu=vcpus - 1) > 0
        guest.check()
    else:
        with pytest.raises(GuestError, match="vcpus must be between 1 and 256"):
            h.Guest("640MiB", vcpus=vcpus)


@pytest.mark.parametrize("thp", ["", "Always", "defer", None, True, 1])
def test_thp(thp):
    with pytest.raises(GuestError, match="thp must be one of always, madvise, never"):
        h.Guest("640MiB", thp=thp)


@pytest.mark.parametrize("kernel", ["linux-4.19", "6.1", "", "linux-6.1.0", None])
def test_kernels(kernel):
    with pytest.raises(KernelError, match=r"unknown profile .*linux-5\.0, linux-6\.1, linux-6\.12"):
        h.Guest("640MiB", kernel=kernel)


@pytest.mark.parametrize("strategy", [1, object(), h.strategies.V8, ["v8"]])
def test_what_is_no_strategy(strategy):
    with pytest.raises(StrategyError, match="strategy must be one of"):
        h.Guest("640MiB", strategy=strategy)


def test_strategy_by_an_unknown_name():
    with pytest.raises(StrategyError, match=r"unknown strategy 'v88', expected one of none, .*v8"):
        h.Guest("640MiB", strategy="v88")


def test_a_host_and_its_base():
    assert h.Host("1GiB", base=2**30 - 4096).used_bytes() == 2**30 - 4096
    for base in (2**30, "1GiB", "2GiB"):
        with pytest.raises(HostError, match=r"host memory: '1GiB' is smaller than the host's own needs"):
            h.Host("1GiB", base=base)
    with pytest.raises(UnitError, match="host base"):
        h.Host("1GiB", base="much")


@pytest.mark.parametrize(
    ("fragmentation", "fine"), [(-0.01, False), (0, True), (1, True), (1.01, False), (float("nan"), False), ("x", False)]
)
def test_fragmentation(fragmentation, fine):
    if fine:
        h.Host("2GiB", fragmentation=fragmentation).check()
    else:
        with pytest.raises(HostError, match="fragmentation must be a number between 0 and 1"):
            h.Host("2GiB", fragmentation=fragmentation)


@pytest.mark.parametrize("seed", [-1, 1.5, "x", None, True])
def test_seeds(seed):
    with pytest.raises(HintingError, match="seed must be a whole number"):
        h.Simulation(h.Host("2GiB"), seed=seed)


@pytest.mark.parametrize("until", [-1, "soon", "", 1e30, True, "-1s"])
def test_times_that_cannot_be_read(until):
    sim = h.Simulation(h.Host("2GiB"))
    with pytest.raises(UnitError, match="until"):
        sim.run(until=until)
    assert sim.now == 0


def test_a_host_without_memory_for_another_vmm():
    host = h.Host("1GiB", base=2**30 - (64 << 20))
    sim = h.Simulation(host)
    with pytest.raises(HostError):
        sim.launch(h.Guest("640MiB"))
    assert sim.vms == []
    sim.check()


def test_a_guest_is_launched_once():
    sim = h.Simulation(h.Host("4GiB"))
    guest = h.Guest("640MiB")
    vm = sim.launch(guest, boot=False)
    with pytest.raises(GuestError, match="launched already"):
        sim.launch(guest)
    assert sim.vms == [vm]


def test_a_strategy_serves_one_guest():
    core = h.strategies.V8().core()
    first, second = h.Guest("640MiB"), h.Guest("640MiB", strategy="v8")
    core.attach(first.allocator)
    with pytest.raises(StrategyError, match="attached to a guest already"):
        core.attach(h.Guest("640MiB").allocator)
    with pytest.raises(StrategyError, match="the guest has a strategy already"):
        h.strategies.V8().core().attach(second.allocator)
    with pytest.raises(StrategyError, match="attached to no guest"):
        h.strategies.V8().core().captured()
    with pytest.raises(StrategyError, match="cpu must be between 0 and 0, got 1"):
        core.captured(1)
