"""Guests of a scenario that come and go as a fleet trace says."""

import pytest

import hinting as h
from hinting.errors import HintingError, ScenarioError
from tests.conftest import DATA

TRACES = DATA / "traces"
SECOND = 10**9


def scenario(trace="azure-vm.csv", format="azure-vm", *, memory="8GiB", boot=False, changes=None, **fleet):
    document = {
        "name": "fleet", "kernel": "linux-6.1", "strategy": ["none"], "host": {"memory": "20GiB"},
        "guests": [{"memory": memory, "boot": boot, "fleet": {"file": str(TRACES / trace), "format": format, **fleet}}],
    }
    return h.Scenario.from_document(document, changes or {})


def test_sizes_lives_and_vcpus_are_the_traces():
    groups = scenario(speed=100, duration="1h").groups
    assert [group.memory for group in groups] == [4 << 30, 8 << 30, 8 << 30]       # vmB and vmC are larger than the most
    assert [group.start for group in groups] == [0, 0, 6 * SECOND]                 # vmA, vmC, vmB
    assert [group.lifetime for group in groups] == [36 * SECOND, 36 * SECOND, 12 * SECOND]
    assert [group.vcpus for group in groups] == [2, 30, 8]
    assert [group.workloads[0].parameters["instance"] for group in groups] == ["vmA", "vmC", "vmB"]


def test_a_window_of_the_trace():
    groups = scenario(speed=10, start="20min", duration="10min").groups
    assert [group.workloads[0].parameters["instance"] for group in groups] == ["vmA", "vmB", "vmC"]
    assert {group.start for group in groups} == {0}
    assert [group.lifetime // SECOND for group in groups] == [60, 60, 60]
    assert [group.workloads[0].parameters["skip"] // SECOND for group in groups] == [1200, 600, 1200]
    assert len(scenario(start="20min", duration="10min", most=2).groups) == 2


def test_a_fleet_runs():
    arm = h.run(scenario("google-2019.csv", "google-2019", memory="4GiB", speed=100, size="8GiB")).arms[0]
    assert arm.guests_launched == 2
    rows = arm.timeline.to_pylist()
    last = {row["guest"]: row for row in rows}
    assert last[0]["guest_held_bytes"] == last[1]["guest_held_bytes"] == 0         # they have left
    peak = max(row["guest_rss_bytes"] for row in rows)
    assert peak > 0.04 * (8 << 30)                                                 # the trace's use of 4 % and 8 GiB


def test_its_memory_follows_the_trace_beside_other_workloads():
    plan = scenario("google-2019.csv", "google-2019", memory="4GiB", speed=100,
                    changes={"guests.0.workloads": [{"name": "memhog", "size": "64MiB"}]})
    assert [entry.name for entry in plan.groups[0].workloads] == ["demand_trace", "memhog"]


@pytest.mark.parametrize(("change", "words"), [
    ({"guests.0.fleet.file": "nope.csv"}, r"guests\.0\.fleet\.file: nope\.csv: expected a file"),
    ({"guests.0.fleet.format": "azure"}, r"guests\.0\.fleet\.format: expected 'azure-vm'"),
    ({"guests.0.fleet.speed": 0}, r"guests\.0\.fleet\.speed"),
    ({"guests.0.count": 3}, r"guests\.0\.count: the fleet's trace says it: leave it out"),
    ({"guests.0.lifetime": "5s"}, r"guests\.0\.lifetime: the fleet's trace says it"),
    ({"schedule.launch": "one-by-one"}, r"guests\.0\.fleet: a trace says when guests come"),
    ({"guests.0.fleet.guests": 3}, "unknown key, expected one of file, format"),
])
def test_bad_fleets(change, words):
    with pytest.raises(ScenarioError, match=words):
        scenario(changes=change)


def test_rows_of_the_trace_that_are_wrong(tmp_path):
    file = tmp_path / "vm.csv"
    file.write_text((TRACES / "azure-vm.csv").read_text().replace("600,1800", "1800,600"))
    with pytest.raises(ScenarioError, match=r"vm\.csv: row 2: vm deleted 600 is before vm created 1800"):
        scenario(changes={"guests.0.fleet.file": str(file)})


def test_nobody_is_there():
    with pytest.raises(HintingError, match=r"no guest of .* is there from 9000h"):
        h.run(scenario(start="9000h", duration="1h"))
