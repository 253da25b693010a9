"""How reports reach the host: what each way costs whom, kicks that are not needed, and polling."""

import pytest

import hinting as h
from hinting.costs import load
from hinting.errors import HintingError
from tests.metrics.harness import ReportAtOnce, cost

KICK = cost("virt.vm_exit_entry", "virt.ioeventfd_signal")
ADD, CHECK = cost("virt.vq_add_sg"), cost("virt.vq_kick_check")


def reports(gap_ns=None, n=1, costs=None, **launch):
    """A guest that frees n blocks of 2 MiB that are no neighbours, with a gap between; returns (VM, lag of the last in s)."""
    sim = h.Simulation(h.Host("2GiB", fragmentation=0.0, thp=False, costs=costs), resolution=0)
    rows = []
    for slot in range(2 * n):
        rows.append(("ALLOC", {"proc": slot, "b": 1, "order": 9}))
    for slot in range(n):
        rows.append(("FREE", {"proc": 2 * slot}))
        rows += [("SLEEP", {"a": gap_ns})] if gap_ns else []
    guest = h.Guest("512MiB", thp="never", strategy=ReportAtOnce(), costs=costs)
    vm = sim.launch(guest, boot=False, workload=h.workloads.program(*rows), **launch)
    sim.run(until="2s")
    sim.check()
    assert vm.counts()["reports"] == n
    assert vm.memory_counts()["discard_calls"] == n
    return vm


def account(name, **launch):
    return reports(**launch).accounts()[name]


def test_a_hypercall_costs_the_guest_the_hypercall_and_the_wait():
    main, call = reports().accounts(), reports(transport="hypercall").accounts()
    irq = cost("virt.guest_irq_to_task")
    assert main["guest_report"] - call["guest_report"] == pytest.approx(ADD + KICK + irq - cost("virt.hypercall"))
    queue = cost("virt.vq_pop_element", "virt.vq_map_sg", "virt.vq_push_notify")
    assert call["vmm"] == 0
    assert call["guest_spin"] == pytest.approx(main["vmm"] - queue, abs=2)
    assert main["guest_spin"] == 0


@pytest.mark.parametrize(("transport", "wakeup"), [
    ("virtio-main", "virt.vmm_wakeup"), ("virtio-iothread", "virt.vmm_wakeup"), ("vhost", "virt.vhost_wakeup"),
])
def test_ways_through_a_queue_differ_in_the_wake_up(transport, wakeup):
    slow = load(overrides={wakeup: 50_000_000})
    fast = load(overrides={wakeup: 0})
    lag = [reports(transport=transport, costs=costs)._simulation.metrics()["lag_p50"][1].as_py() for costs in (slow, fast)]
    assert lag[0] - lag[1] == pytest.approx(0.05, abs=1e-3)
    assert account("vmm", transport=transport) == account("vmm")


def test_an_iothread_has_memory():
    vmm = {transport: reports(transport=transport).machine.backing.vmm_frames for transport in ("virtio-main", "virtio-iothread")}
    assert vmm["virtio-iothread"] - vmm["virtio-main"] == 8 * 256


def test_no_kick_while_the_device_works():
    """The second block is freed while the VMM has not begun with the first one."""
    apart, together = reports(n=2, gap_ns=10_000_000).accounts(), reports(n=2).accounts()
    assert apart["guest_report"] - together["guest_report"] == pytest.approx(KICK - CHECK)
    assert apart["vmm"] == together["vmm"]


def test_polling_takes_reports_up_at_once_and_costs_cpu():
    gap = 3_000_000
    asleep, polling = reports(n=2, gap_ns=gap).accounts(), reports(n=2, gap_ns=gap, poll="5ms").accounts()
    assert asleep["guest_report"] - polling["guest_report"] == pytest.approx(KICK - CHECK)
    assert polling["vmm"] - asleep["vmm"] == pytest.approx(gap, rel=0.1), "less the work on the first report"
    given_up = reports(n=2, gap_ns=gap, poll="1ms").accounts()
    assert given_up["guest_report"] == pytest.approx(asleep["guest_report"])
    assert given_up["vmm"] - asleep["vmm"] == 1_000_000


def test_a_scenario_has_the_transport_of_its_guests():
    scenario = h.Scenario.load("seed", {"max_guests": 1, "guests.0.transport": "hypercall"}, ["v8"])
    assert h.run(scenario).arms[0].guests[0].accounts["vmm"] == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"guests.0.transport": "pigeon"}, "transport: expected 'virtio-main', 'virtio-iothread', 'vhost' or 'hypercall'"),
        ({"guests.0.transport": "hypercall", "guests.0.poll": "1ms"}, "poll: a hypercall has no queue to poll"),
        ({"guests.0.poll": "soon"}, "poll"),
    ],
)
def test_bad_input(changes, words):
    with pytest.raises(HintingError, match=words):
        h.Scenario.load("seed", changes)
    for launch in ({"transport": "pigeon"}, {"transport": "hypercall", "poll": 5}):
        with pytest.raises(HintingError, match=r"transport must be one of|no queue to poll"):
            h.Simulation(h.Host("2GiB")).launch(h.Guest("512MiB"), **launch)
