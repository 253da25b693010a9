"""From samples to costs: medians, percentiles, what is taken off, and what is marked or refused."""

from dataclasses import replace

import pytest

from hinting import costs
from hinting.calibration import Probe, Skip
from hinting.calibration.rules import RULES, SANITY
from tests.calibration.harness import GUEST, HOST, measured, probe


def test_rules_name_costs_of_the_table():
    assert {rule.cost for rule in RULES} <= set(costs.default_table().costs)
    assert {cost for rule in SANITY for cost in rule.costs} <= {rule.cost for rule in RULES}


def test_every_sample_is_used_or_a_check():
    from hinting.calibration.probes import PROBES

    used = {name for rule in RULES for name in (rule.samples, *rule.minus)} | {"kvm_mapped"}
    given = {name for each in PROBES for name in each.gives}
    assert given - used == {"sata:device_write_mib_s", "hdd:device_read_p99", "hdd:device_write", "hdd:device_write_mib_s"}
    assert used <= given


def test_median_and_percentiles():
    found = measured(probe(syscall=range(101))).measurements["sched.syscall"]
    assert (found.typical, found.p10, found.p90, found.n, found.spread) == (50, 10, 90, 202, 0)
    assert not found.is_unstable
    assert found.unreliable == ""


def test_a_round_trip_is_halved():
    assert measured(probe(futex_one_cpu=[3000])).measurements["sched.context_switch"].typical == 1500


def test_the_parts_of_a_discard():
    found = measured(
        probe(advise_none=[500], advise_1=[2500], advise_512=[2500 + 511 * 300]),
        probe(advise_huge=[8500], advise_free_512=[500 + 512 * 200]),
    ).measurements
    assert {cost: each.typical for cost, each in found.items()} == {
        "host.madvise_call_empty": 500,
        "host.madvise_zap_4k_single": 2500,
        "host.zap_4k_bulk": 300,
        "host.zap_2m_thp": 8000,
        "host.madvise_free_4k": 200,
    }


def test_a_fault_is_its_touch_less_clearing():
    clear, touch = probe(clear_4k=[350], clear_2m=[150_000]), probe(touch_4k=[950, 1050, 1150], touch_2m=[210_000])
    found = measured(clear, touch).measurements
    assert found["guest.fault_path_4k"].typical == 700
    assert found["guest.fault_path_4k"].p10 == 600  # of 6 samples
    assert found["fault.thp_alloc"].typical == 60_000


def test_a_part_that_is_missing_gives_no_cost():
    result = measured(probe(touch_4k=[950]))
    assert result.measurements == {}
    assert result.refused == {}


def test_a_difference_that_is_none_is_refused():
    result = measured(probe(advise_none=[500], advise_huge=[400]))
    assert "host.zap_2m_thp" not in result.measurements
    assert result.refused == {"host.zap_2m_thp": "advise_huge is not longer than advise_none"}


def test_a_difference_within_the_noise_is_not_believed():
    """A shootdown that interrupts nobody: the median is a little longer, a tenth of the samples is not."""
    alone, beside = [1000] * 10, [990] * 3 + [1150] * 7
    found = measured(probe(advise_1=alone), probe(advise_1_peer=beside)).measurements["host.tlb_shootdown_base"]
    assert found.typical == 150
    assert "takes no longer than what is taken off (advise_1): it is lost in the noise" in found.unreliable
    clear = measured(probe(advise_1=alone), probe(advise_1_peer=[1900] * 3 + [2100] * 7)).measurements["host.tlb_shootdown_base"]
    assert clear.unreliable == ""


@pytest.mark.parametrize(("second", "unstable"), [(125, False), (126, True), (80, False), (79, True)])
def test_passes_that_differ_are_marked(second, unstable):
    found = measured(probe(syscall=lambda n: [100] if n == 1 else [second])).measurements["sched.syscall"]
    assert found.is_unstable == unstable


def test_passes_that_differ_much_are_refused():
    result = measured(probe(syscall=lambda n: [100 if n == 1 else 201]))
    assert result.measurements == {}
    assert result.refused == {"sched.syscall": "too noisy: the passes say 100 and 201"}


def test_clearing_cannot_take_longer_than_a_touch():
    found = measured(probe(clear_4k=[1000], touch_4k=[900])).measurements
    assert found["mem.clear_4k"].unreliable == "clearing a page takes longer than its first touch"
    found = measured(probe(clear_4k=[800], touch_4k=[900])).measurements
    assert found["mem.clear_4k"].unreliable == ""


def test_a_huge_page_cannot_be_dearer_than_512_small_ones():
    found = measured(probe(advise_none=[500], advise_1=[600], advise_512=[6000], advise_huge=[7000])).measurements
    assert "512 small ones" in found["host.zap_2m_thp"].unreliable
    assert "512 small ones" in found["host.zap_4k_bulk"].unreliable


@pytest.mark.parametrize(("mapped", "words"), [(149, ""), (150, "takes 150 ns, more than 150: KVM emulates")])
def test_kvm_that_emulates_is_not_believed(mapped, words):
    found = measured(probe(kvm_exit=[900], kvm_mapped=[mapped], kvm_exit_to_user=[3000])).measurements
    for cost in ("virt.vm_exit_entry", "virt.exit_to_user"):
        assert words in found[cost].unreliable
        assert bool(found[cost].unreliable) == bool(words)


def test_what_can_be_believed_goes_first():
    samples = probe(kvm_exit=[900], kvm_mapped=[5000]), probe(trap=[4500])
    assert measured(*samples, machine=GUEST).measurements["virt.vm_exit_entry"].typical == 4500
    samples = probe(kvm_exit=[900], kvm_mapped=[5]), probe(trap=[4500])
    assert measured(*samples, machine=GUEST).measurements["virt.vm_exit_entry"].typical == 900


def test_wake_ups_inside_a_virtual_machine_are_not_believed():
    halted = "a halted vCPU"
    for machine, reason in ((HOST, ""), (GUEST, halted)):
        found = measured(probe(halted, event_two_cpus=[160_000]), machine=machine).measurements["sched.wakeup_idle_cpu"]
        assert (found.typical, found.unreliable) == (80_000, reason)


def skipping(reason):
    def measure(tools):
        raise Skip(reason)

    return Probe("impossible", measure, ("syscall",))


def test_a_skipped_probe_says_why():
    result = measured(skipping("no such thing here"), probe(lock=[5]))
    assert result.refused == {"impossible": "no such thing here"}
    assert list(result.measurements) == ["guest.zone_lock_uncontended"]


def test_what_only_the_first_pass_sees_is_kept():
    calls = []

    def measure(tools):
        calls.append(tools)
        if len(calls) == 2:
            raise Skip("backed by now")
        return probe(fresh_4k=[15_000]).measure(tools)

    result = measured(Probe("fresh", measure, ("fresh_4k",)))
    assert result.measurements["fault.ept_4k_total"].typical == 15_000
    assert result.refused == {}


def test_a_quick_run_takes_fewer_samples():
    counts = []

    def measure(tools):
        counts.append((tools.count(1000), tools.count(30)))
        return {}

    measured(Probe("counting", measure, ()))
    measured(Probe("counting", measure, ()), quick=True)
    assert counts == [(1000, 30)] * 2 + [(100, 20)] * 2


def test_progress_names_each_step():
    seen = []
    measured(probe(lock=[5], name="one"), probe(syscall=[5], name="two"), progress=lambda *step: seen.append(step))
    assert seen == [(0, 4, "one"), (1, 4, "two"), (2, 4, "one"), (3, 4, "two")]


@pytest.mark.parametrize(
    ("change", "name", "words"),
    [
        ({"thp": ""}, "touch 2M", "no transparent huge pages"),
        ({"thp": "never"}, "madvise 2M", r"off \(never\)"),
        ({"thp": "never"}, "collapse", "off"),
        ({"thp": "never"}, "page-table reuse", "off"),
        ({"kvm": "there is no /dev/kvm"}, "virtual machine", "there is no /dev/kvm"),
        ({"cpus": HOST.cpus[:1]}, "wake-ups, two CPUs", "needs two CPUs"),
        ({"cpus": HOST.cpus[:1]}, "shootdown", "needs two CPUs"),
        ({"device": ""}, "disk", "on no disk: give --folder"),
        ({"is_vm": False}, "exit", "this is no virtual machine"),
        ({"is_vm": False}, "fresh memory", "this is no virtual machine"),
    ],
)
def test_what_makes_no_sense_here_is_skipped(change, name, words):
    from hinting.calibration.probes import PROBES

    result = measured(next(each for each in PROBES if each.name == name), machine=replace(HOST, **change), quick=True)
    assert result.measurements == {}
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(result.refused[name])
