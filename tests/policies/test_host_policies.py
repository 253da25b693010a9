"""Policies of the host: what becomes of reports, victims, admission, periods; and policies that do what none may."""

from __future__ import annotations

import shlex

import numpy as np
import pytest

import hinting as h
from hinting.errors import AdmissionError, HostError, PolicyError, ScenarioError
from hinting.policies import PressureAware, find_policy
from hinting.strategies import Balloon, PageReporting61
from tests.docs_examples import commands, run_python
from tests.strategies.harness import hinting_command

MIB = 256   # pages


def memhog_twice(policy, *, until="20s", memory="4GiB", gap="60s", strategy=None, **host):
    """A guest that uses 512 MiB, frees it, and does so again after the gap."""
    sim = h.Simulation(h.Host(memory, base="200MiB", policy=policy, **host), seed=1)
    guest = h.Guest("1GiB", kernel="linux-6.1", strategy=strategy if strategy is not None else PageReporting61())
    vm = sim.launch(guest, boot=False, workload=h.workloads.memhog("512MiB", repeat=2, gap=gap))
    sim.run(until=until)
    sim.check()
    return sim, vm


def make(**body):
    """A policy class of these hooks and settings, not known by name."""
    return h.policy(type("Made", (), {"name": f"made-{len(body)}-{abs(hash(str(body)))}", **body}))()


def test_without_a_policy_and_with_one_that_discards_all_is_the_same():
    plain, decided = (memhog_twice(policy)[0] for policy in (None, make(on_report=lambda self, host, guest, ranges: "discard")))
    assert plain.timeline().equals(decided.timeline())


def test_ignored_reports_leave_the_memory_with_the_guest():
    _, vm = memhog_twice(make(on_report=lambda self, host, guest, ranges: "ignore"))
    counts = vm.counts()
    assert counts["ignored_pages"] == counts["reported_pages"] > 100_000
    assert counts["returned_frames"] == 0
    assert vm.memory_counts()["discard_calls"] == 0


def test_deferred_memory_used_again_soon_costs_no_refault():
    _, eager = memhog_twice(None, gap="10s", until="30s")
    sim, vm = memhog_twice(PressureAware(), gap="10s", until="30s")
    assert eager.memory_counts()["refaulted_pages"] > 100_000
    assert vm.memory_counts()["refaulted_pages"] == 0
    assert vm.counts()["deferred_pages"] == vm.counts()["reported_pages"]
    assert vm.counts()["lazy_pages"] > 50_000
    assert sim.metrics().to_pylist()[1]["guest"] == 0


@pytest.mark.parametrize("max_age", ["5s", "20s"])
def test_deferred_memory_goes_when_its_time_is_over(max_age):
    sim, vm = memhog_twice(PressureAware(max_age=max_age), until="1s")
    end = vm.machine.exits()["end"][0]
    gone = []
    while vm.counts()["lazy_pages"] or not gone:
        before = vm.counts()["returned_frames"]
        sim.run(until=sim.now_ns + 1_000_000_000)
        gone += [sim.now_ns] if vm.counts()["returned_frames"] > before else []
        assert sim.now < 60
    sim.check()
    first, age = (gone[0] - end) / 1e9, float(max_age[:-1])
    assert age <= first <= age + 4          # a pass of reporting comes 2 s after the exit, a look once a second


def test_what_was_deferred_goes_when_the_host_runs_short():
    sim, vm = memhog_twice(PressureAware(), until="10s")
    assert vm.counts()["lazy_pages"] > 50_000
    host = sim.host.memory
    host.base_frames = host.base_frames + host.frames_free - host.watermarks[2] - 1000
    sim.run(until="12s")
    sim.check()
    goal = 2 * host.watermarks[2]
    assert host.frames_free >= goal or vm.counts()["lazy_pages"] == 0
    assert vm.counts()["returned_frames"] > 0


def test_merged_ranges_are_fewer_calls_for_the_same_pages():
    plain = memhog_twice(make(on_report=lambda self, host, guest, ranges: "discard"))[1].memory_counts()
    merged = memhog_twice(make(merge_ranges=True))[1].memory_counts()
    assert merged["discard_pages"] == plain["discard_pages"]
    assert merged["discard_calls"] < plain["discard_calls"] / 2


def test_discard_kind_free_is_the_strategys_lazy_free():
    merged = memhog_twice(make(discard_kind="free"))[1]
    assert merged.counts()["lazy_pages"] > 50_000
    assert merged.counts()["deferred_pages"] == 0


def test_a_policy_sees_host_guest_and_ranges():
    seen = []

    def on_report(self, host, guest, ranges):
        seen.append((host.free, host.wmark_high, guest.number, guest.memory, guest.rss, int((1 << ranges.order).sum())))
        return "discard"

    sim, vm = memhog_twice(make(on_report=on_report))
    assert sum(pages for *_, pages in seen) == vm.counts()["reported_pages"]
    assert {(number, memory) for _, _, number, memory, _, _ in seen} == {(0, vm.guest.memory_map.pages)}
    assert all(free < 4 * 1024 * MIB and rss > 0 for free, _, _, _, rss, _ in seen)
    assert {high for _, high, *_ in seen} == {sim.host.memory.watermarks[2]}


def test_refault_rate_and_pressure_are_averages_of_ten_seconds():
    seen = []

    def period(self, host, guest):
        seen.append((guest.refault_rate, host.psi_some))

    _, vm = memhog_twice(make(period=period), gap="6s", until="40s")
    refaulted = vm.memory_counts()["refaulted_pages"]
    rates = [rate for rate, _ in seen]
    at = rates.index(max(rates))
    assert max(rates) == pytest.approx(refaulted * (1 - 2.718281828 ** -0.1), rel=0.01)   # all of them within one second
    assert rates[at + 10] == pytest.approx(max(rates) / 2.718281828, rel=0.01)
    assert all(psi == 0 for _, psi in seen)


def test_the_oom_victim():
    def launch(policy):
        sim = h.Simulation(h.Host("1500MiB", base="100MiB", policy=policy), seed=1)
        for size in ("300MiB", "700MiB", "700MiB"):
            sim.launch(h.Guest("1GiB", kernel="linux-6.1"), boot=False, workload=h.workloads.memhog(size, hold="60s"))
        sim.run(until="30s")
        sim.check()
        return [vm.number for vm in sim.vms if vm.is_lost]

    asked = []

    def choose_victim(self, host, guests, why):
        asked.append((why, sorted(guests.number.tolist())))
        return guests[guests.held.argmin()] if why == "oom" else None

    assert 0 not in launch(None)
    assert launch(make(choose_victim=choose_victim))[0] == 0
    assert ("oom", [0, 1, 2]) in asked


def test_a_victim_with_a_balloon_gives_memory_and_gets_it_back():
    sim = h.Simulation(h.Host("3GiB", base="100MiB", policy=make(choose_victim=lambda self, host, guests, why: 0,
                                                                 reclaim_step="100MiB")), seed=1)
    vm = sim.launch(h.Guest("1GiB", kernel="linux-6.1", strategy=Balloon()), workload=h.workloads.memhog("700MiB", hold="1s"))
    sim.run(until="10s")
    held = vm.counts()["held_frames"]
    host = sim.host.memory
    base = host.base_frames
    host.base_frames = base + host.frames_free - host.watermarks[2]
    sim.run(until="14s")
    assert vm.guest.strategy_core.actual_pages >= 200 * MIB
    assert vm.counts()["held_frames"] < held - 150 * MIB
    host.base_frames = base
    sim.run(until="40s")
    sim.check()
    assert vm.guest.strategy_core.actual_pages == 0


def test_a_victim_without_one_is_evicted():
    sim = h.Simulation(h.Host("2GiB", base="100MiB", swap="1GiB", policy=make(choose_victim=lambda self, host, guests, why: 1)),
                       seed=1)
    for _ in range(2):
        sim.launch(h.Guest("1GiB", kernel="linux-6.1"), boot=False, workload=h.workloads.memhog("300MiB", hold="60s"))
    sim.run(until="5s")
    host = sim.host.memory
    host.base_frames = host.base_frames + host.frames_free - host.watermarks[2] - 1000
    sim.run(until="7s")
    sim.check()
    assert sim.vms[1].memory_counts()["swapped_out"] >= 64 * MIB
    assert sim.vms[0].memory_counts()["swapped_out"] == 0


def test_admission():
    policy = make(admit=lambda self, host, guest: bool(guest.number < 1 and guest.memory < host.free))
    sim = h.Simulation(h.Host("4GiB", policy=policy))
    sim.launch(h.Guest("1GiB"))
    with pytest.raises(AdmissionError, match="does not admit guest 1"):
        sim.launch(h.Guest("1GiB"))
    assert sim.failed_launches == 1


def test_period_by_pressure():
    def reports(period):
        return memhog_twice(make(period=lambda self, host, guest: period), until="5s")[1]

    slow, fast = reports("8s"), reports(100_000_000)
    assert fast.counts()["returned_frames"] > slow.counts()["returned_frames"]


def test_compiled_and_plain_decide_the_same():
    @h.policy(numba=True)
    class Compiled:
        slack = h.parameter(2, "times the high watermark", low=0, high=100)

        @staticmethod
        def state():
            return {"asked": "i8"}

        def on_report(self, host, guest, ranges):
            self.asked += ranges.size
            return 0 if host.free < self.slack * host.wmark_high else 1

    sim, vm = memhog_twice(Compiled())
    assert sim.timeline().equals(memhog_twice(PressureAware())[0].timeline())
    assert vm.counts()["reported_blocks"] == sim._served.policy.state.asked


@pytest.mark.parametrize(("body", "words"), [
    ("return 'maybe'", "returned 'maybe': expected 'discard', 'defer', 'ignore' or 'free'"),
    ("return None", "returned None"),
    ("return guest.foo", "raised AttributeError"),
    ("raise RuntimeError('no')", "raised RuntimeError: no"),
    ("while True: pass", "did not return in time: it seems to loop for ever"),
])
def test_a_policy_that_does_what_none_may_is_stopped(body, words):
    namespace: dict = {}
    exec(f"def on_report(self, host, guest, ranges):\n    {body}\n", namespace)
    policy = make(on_report=namespace["on_report"], time_limit_s=0.4)
    sim = h.Simulation(h.Host("4GiB", policy=policy), seed=1)
    sim.launch(h.Guest("1GiB", kernel="linux-6.1", strategy=PageReporting61()), workload=h.workloads.memhog("512MiB"))
    with pytest.raises(PolicyError, match=r"policy made-.*: on_report \(<string>:\d\) ") as caught:
        sim.run(until="20s")
    assert words in str(caught.value)
    sim.run(until="20s")                        # goes on without it
    sim.check()
    assert sim.vms[0].counts()["returned_frames"] > 0


@pytest.mark.parametrize(("body", "words"), [
    ({"choose_victim": lambda self, host, guests, why: 7}, "choose_victim .* returned 7: expected a guest that runs"),
    ({"period": lambda self, host, guest: "soon"}, "period .* returned 'soon': expected a time above 0"),
    ({"period": lambda self, host, guest: 0}, "period .* returned 0: expected a time above 0"),
    ({"setup": lambda self: 1 / 0, "merge_ranges": True}, "setup .* raised ZeroDivisionError"),
    ({"admit": lambda self, host, guest: "yes"}, "admit .* returned 'yes': expected True or False"),
])
def test_other_hooks_are_guarded_too(body, words):
    with pytest.raises(PolicyError, match=words):
        memhog_twice(make(**body), memory="800MiB", swap="1GiB", until="60s")


def test_compiled_policies_are_guarded():
    @h.policy(numba=True)
    class Raises:
        def on_report(self, host, guest, ranges):
            return 1 // (host.free - host.free)

    @h.policy(numba=True)
    class Strange:
        def on_report(self, host, guest, ranges):
            return 9

    @h.policy(numba=True)
    class Unknown:
        def on_report(self, host, guest, ranges):
            return host.frei

    for policy, words in ((Raises, "on_report .*raised .*divi"), (Strange, "returned 9: expected 0"), (Unknown, "no record has")):
        with pytest.raises(PolicyError, match=words):
            memhog_twice(policy())


@pytest.mark.parametrize(("described", "words"), [
    (lambda self: {}, r"state\(\) must be a static method without arguments"),
    (staticmethod(lambda: 3), r"state\(\) must return {field: dtype or \(dtype, shape\)}, got 3"),
    (staticmethod(lambda: {"slack": "i8"}), "state.*, field 'slack' is no name or that of a parameter"),
    (staticmethod(lambda: {"asked": "no dtype"}), r"state\(\) must return .*asked"),
])
def test_states_of_compiled_policies_that_are_none(described, words):
    class Plain:
        name = "plain"
        slack = h.parameter(2, "times the high watermark", low=0, high=100)
        state = described

        def on_report(self, host, guest, ranges):
            return 0

    with pytest.raises(PolicyError, match=f"policy plain: {words}"):
        memhog_twice(h.policy(numba=True)(Plain)())


@pytest.mark.parametrize(("body", "words"), [
    ({}, "nothing that anything asks for"),
    ({"on_reports": lambda self: 0}, "unknown hook on_reports .* expected one of on_report"),
    ({"on_report": lambda self, guest: 0}, r"must be on_report\(self, host, guest, ranges\)"),
    ({"admit": 3}, "admit must be a function, got 3"),
])
def test_classes_that_are_no_policy(body, words):
    with pytest.raises(PolicyError, match=words):
        make(**body)


@pytest.mark.parametrize(("setting", "value", "words"), [
    ("discard_kind", "gone", "discard_kind must be one of 'dontneed', 'free', got 'gone'"),
    ("max_age", "0s", "max_age must be above 0"),
    ("interval", "often", "interval"),
    ("time_limit_s", 0, "time_limit_s must be a number above 0"),
    ("merge_ranges", 3, "merge_ranges must be one of False, True"),
])
def test_bad_settings(setting, value, words):
    with pytest.raises(PolicyError, match=words):
        make(on_report=lambda self, host, guest, ranges: "defer", **{setting: value})


def test_by_name_and_from_a_file(tmp_path):
    assert find_policy("pressure-aware", {"max_age": "5s"}).max_age == 5_000_000_000
    file = tmp_path / "mine.py"
    file.write_text("import hinting\n\n@hinting.policy\nclass Mine:\n    n = hinting.parameter(1, 'n', low=0, high=9)\n"
                    "    def on_report(self, host, guest, ranges):\n        return 'ignore'\n")
    assert find_policy(f"{file}:Mine", {"n": "4"}).n == 4
    with pytest.raises(PolicyError, match=r"policy file .*: expected .* with one of: Mine"):
        find_policy(f"{file}:Other")
    with pytest.raises(PolicyError, match=r"unknown policy 'lazy', expected one of .*pressure-aware"):
        find_policy("lazy")
    with pytest.raises(PolicyError, match="unknown parameter 'age', expected one of max_age"):
        find_policy("pressure-aware", {"age": 1})
    with pytest.raises(HostError, match="host policy"):
        h.Host("4GiB", policy=3)


def test_in_scenarios():
    changes = {"host.policy": {"name": "pressure-aware", "max_age": "30s"}, "max_guests": 2}
    scenario = h.Scenario.load("seed", changes, ["v8"])
    assert scenario.document()["host"]["policy"] == {"name": "pressure-aware", "max_age": "30s"}
    assert h.Scenario.from_document(scenario.document()).host == scenario.host
    result = h.run(scenario)
    assert sum(guest.counts["deferred_pages"] for guest in result.arms[0].guests) > 0
    for value, words in (
        ("lazy", r"host\.policy\.name: unknown policy 'lazy'"), ({"name": "pressure-aware", "max_age": 0}, "max_age"),
    ):
        with pytest.raises(ScenarioError, match=words):
            h.Scenario.load("seed", {"host.policy": value})


def test_a_guest_that_is_not_admitted_ends_the_launches(tmp_path):
    file = tmp_path / "one.py"
    file.write_text("import hinting\n\n@hinting.policy\nclass One:\n    def admit(self, host, guest):\n"
                    "        return bool(guest.number < 1)\n")
    arm = h.run(h.Scenario.load("seed", {"host.policy": f"{file}:One"}, ["none"])).arms[0]
    assert arm.guests_launched == 1
    assert arm.stopped_by == "policy one does not admit guest 1"


def test_the_examples_of_the_docs():
    run_python("host.md")
    for command in commands("host.md"):
        done = hinting_command(*shlex.split(command)[1:])
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("seed", range(4))
def test_the_books_are_right_whatever_is_decided(seed):
    """Random answers about every report and every victim, on a host that is short of memory and swaps: checked all the time."""
    rng = np.random.default_rng(seed)

    def on_report(self, host, guest, ranges):
        return str(rng.choice(["discard", "defer", "ignore", "free"]))

    def choose_victim(self, host, guests, why):
        return guests[rng.integers(len(guests))] if rng.random() < 0.8 else None

    policy = make(on_report=on_report, choose_victim=choose_victim, merge_ranges=bool(seed % 2), interval="50ms", max_age="300ms",
                  reclaim_step="16MiB")
    sim = h.Simulation(h.Host("900MiB", base="32MiB", swap="512MiB", khugepaged=True, policy=policy), seed=seed)
    for i in range(3):
        strategy = [PageReporting61(order=0 if i else 9, delay=100_000_000), Balloon(), h.strategies.V8(entries=64)][i]
        sim.launch(h.Guest("512MiB", kernel="linux-6.1", strategy=strategy), boot=False,
                   workload=h.workloads.churn("300MiB", largest="16MiB", turns=150, pause="20ms", seed=seed + i))
    events = 0
    while sim.now < 4 and sim.step():
        if events % 20 == 0:
            sim.check()
        events += 1
    sim.check()
    counts = [vm.counts() for vm in sim.vms]
    assert events > 500
    assert sum(each["deferred_pages"] for each in counts) > 0
    assert sum(each["ignored_pages"] for each in counts) > 0


@pytest.mark.parametrize("options", [{"backing": "memfd"}, {"backing": "hugetlb-2M"}, {"locked": True}])
def test_only_anonymous_memory_is_deferred(options):
    @h.policy
    class Later:
        def on_report(self, host, guest, ranges):
            return "defer"

    sim = h.Simulation(h.Host("4GiB", base="256MiB", hugepages="1GiB", policy=Later()), seed=1)
    guest = h.Guest("1GiB", strategy="page-reporting-6.1", kernel="linux-6.1")
    vm = sim.launch(guest, workload=h.workloads.memhog("256MiB"), **options)
    sim.run(until="30s")
    sim.check()
    counts = vm.memory_counts()
    assert vm.counts()["lazy_pages"] == 0
    assert (counts["discarded_pages"] > 0) == ("locked" not in options)
