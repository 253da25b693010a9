"""Scenario files: what they may say, how values are changed, and one clear line for what is wrong."""

import json
import tomllib

import pyarrow.compute as pc
import pytest

import hinting as h
from hinting import scenarios
from hinting.errors import HintingError, ScenarioError
from hinting.experiments import run
from hinting.units import parse_size

SMALL = """
strategy = ["none", { name = "v8", entries = 64 }]
[host]
memory = "3GiB"
[[guests]]
count = 2
stagger = "15s"
memory = "1GiB"
[[guests.workloads]]
name = "memhog"
size = "128MiB"
[keys]
program = "guests.0.workloads.0.size"
"""


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    return path


def test_built_in_scenarios_are_complete():
    assert scenarios.names()[0] == "seed"
    for name in scenarios.names():
        scenario = h.Scenario.load(name)
        assert scenario.name == name
        assert scenario.text
        assert tomllib.loads(scenarios.text(name))
        assert h.Scenario.from_document(scenario.document()) == scenario
        assert json.dumps(scenario.document())


def test_the_fleet_is_sixty_guests_that_overcommit_the_host():
    fleet = h.Scenario.load("fleet")
    assert sum(group.count for group in fleet.guests) == 60
    assert sum(group.count * parse_size(group.memory) for group in fleet.guests) == 488 << 30
    arm = run(fleet.changed({"until": "45s"}), strategy="none").arms[0]
    assert (arm.guests_launched, arm.emulated_s) == (6, 45)


def test_load_and_run(small):
    result = run(small)
    assert result.scenario.name == "small"
    assert [arm.strategy for arm in result.arms] == ["none", "v8"]
    assert all(arm.guests_launched == 2 and arm.lost is None for arm in result.arms)
    none, v8 = result.arms
    assert [guest.returned_bytes > 0 for arm in (none, v8) for guest in arm.guests] == [False, False, True, True]
    launched = result.guests().filter(pc.field("metric") == "launched")
    assert launched["value"].to_pylist() == [0.0, 15.0] * 2
    assert set(result.timeline()["strategy"].to_pylist()) == {"none", "v8"}
    assert none.timeline["t_ns"].to_numpy().max() > 15e9


def test_same_scenario_strategy_and_seed_same_tables(small):
    first, again = (run(small, strategy="v8", seed=5) for _ in range(2))
    other = run(small, strategy="v8", seed=6)
    assert first.timeline().equals(again.timeline())
    assert first.guests().equals(again.guests())
    assert not first.timeline().equals(other.timeline())
    with_both = run(small, seed=5).arms[1]
    assert with_both.timeline.equals(first.arms[0].timeline)


def test_changes(small):
    scenario = h.Scenario.load(
        small,
        {
            "program": "1MiB", "guests.0.count": "3", "guests.0.memory": "2GB", "v8.entries": "500", "until": "40s",
            "costs.overrides.guest.pcp_alloc_hit": 80, "host.thp": "false",
        },
    )  # fmt: skip
    group = scenario.guests[0]
    assert group.workloads[0].parameters == {"size": "1MiB"}
    assert (group.count, group.memory, scenario.until, scenario.host.thp) == (3, "2GB", "40s", False)
    assert scenario.arms()["v8"].spec().entries == 500
    assert scenario.costs.load()["guest.pcp_alloc_hit"] == 80
    assert scenario.setting()["program"] == "1MiB"
    assert scenario.changed({"seed": 3}).seed == 3


def test_arms(small):
    assert list(h.Scenario.load(small, strategies=["v8", "none"]).arms()) == ["v8", "none"]
    with pytest.raises(h.errors.ScenarioError, match="v8 entries=64 is there twice"):
        h.Scenario.load(small, strategies=["v8", "none", "v8"])
    assert h.Scenario.load(small, strategies=["v8"]).arms()["v8"].parameters == {"entries": 64}
    two = h.Scenario.load(small, {"strategy": [{"name": "v8", "entries": 4}, {"name": "v8", "entries": 8}]})
    assert list(two.arms()) == ["v8 entries=4", "v8 entries=8"]
    assert h.Scenario.load(small, {"strategy": "v8"}).arms()["v8"].parameters == {}


def test_the_decimal_and_the_binary_size(small):
    from hinting.experiments.run import Arm

    held = {}
    for text in ("2GB", "2GiB"):
        arm = Arm(h.Scenario.load(small, {"host.memory": "3" + text[1:], "guests.0.memory": text}), "none", None)
        held[text] = (arm.simulation.host.memory_bytes, arm.launch(arm.scenario.guests[0]).guest.memory_bytes)
    assert held == {"2GB": (3 * 10**9 // 4096 * 4096, 2 * 10**9 // 4096 * 4096), "2GiB": (3 << 30, 2 << 30)}


def test_until_ends_the_run_and_launches_no_more(small):
    arm = run(h.Scenario.load(small, {"until": "10s"}, ["none"])).arms[0]
    assert arm.emulated_s == 10
    assert arm.guests_launched == 1
    assert "ended" in arm.stopped_by


def test_settle(small):
    plain, settled = (run(h.Scenario.load(small, {"schedule.settle": t}, ["none"])).arms[0] for t in ("0s", "5s"))
    assert settled.emulated_s == pytest.approx(plain.emulated_s + 5)


def test_a_program_larger_than_its_guest_is_killed_there(small):
    arm = run(h.Scenario.load(small, {"program": "2GiB", "guests.0.count": 1}, ["none"])).arms[0]
    assert arm.guest_oom_kills == 1
    assert arm.lost is None


def test_groups_and_workloads_one_after_the_other(tmp_path):
    path = tmp_path / "groups.toml"
    path.write_text(
        '[host]\nmemory = "4GiB"\n'
        '[[guests]]\nmemory = "1GiB"\nstart = "3s"\nkernel = "linux-6.1"\nthp = "never"\nboot = false\n'
        'workloads = [{ name = "memhog", size = "4MiB" }, { name = "memhog", size = "8MiB", start = "2s" }]\n'
        '[[guests]]\nmemory = "512MiB"\nboot = false\n'
    )
    arm = run(path).arms[0]
    assert [guest.launched_s for guest in arm.guests] == [0.0, 3.0]
    assert arm.guests[1].counts["touched_pages"] == (4 + 8) * 256
    assert arm.guests[0].counts["touched_pages"] == 0
    assert arm.emulated_s > 5


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("nothing = 1", ["nothing", "unknown key", "kernel"]),
        ('kernel = "linux-2.6"', ["kernel", "linux-2.6", "linux-6.12"]),
        ("seed = -1", ["seed", "0", "-1"]),
        ('until = "soon"', ["until", "'soon'", "ms"]),
        ('strategy = "v99"', ["strategy.0.name", "v99", "v8"]),
        ("strategy = []", ["strategy"]),
        ('strategy = ["none", "none"]', ["strategy.1", "twice"]),
        ('strategy = { name = "v8", entries = 1 }', ["strategy.0.entries", "between 2", "got 1"]),
        ('strategy = { name = "v8", entrys = 5 }', ["strategy.0.entrys", "unknown", "entries"]),
        ('name = "../x"', ["name", "../x"]),
        ("schedule = { launch = 'now' }", ["schedule.launch", "one-by-one", "'now'"]),
        ("schedule = { gap = -1 }", ["schedule.gap", "-1"]),
        ("costs = 'nothing'", ["costs.profile", "nothing", "default"]),
        ("costs = { overrides = { guest.pcp_alloc_hit = -1 } }", ["costs.overrides.guest.pcp_alloc_hit"]),
        ("costs = { overrides = { guest.nothing = 1 } }", ["costs.overrides.guest.nothing"]),
    ],
)
def test_bad_files(tmp_path, line, words):
    path = tmp_path / "bad.toml"
    path.write_text(f"{line}\n" + "\n".join(SMALL.split("\n")[2:]))
    with pytest.raises(ScenarioError) as caught:
        h.Scenario.load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert all(word in message for word in words), message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("host.memory", "3 GiBs", ["'3 GiBs'", "gib"]),
        ("host.memory", 5000, ["4 KiB"]),
        ("host.memory", True, ["size"]),
        ("host.base", "4GiB", ["less than", "3GiB"]),
        ("host.fragmentation", 1.5, ["1", "1.5"]),
        ("host.fragmentation", "nan", ["fragmentation"]),
        ("guests.0.memory", "64MiB", ["too small"]),
        ("guests.0.count", 0, ["1", "got 0"]),
        ("guests.0.count", "x", ["whole number", "'x'"]),
        ("guests.0.count", 1.5, ["whole number"]),
        ("guests.0.vcpus", 257, ["256"]),
        ("guests.0.thp", "maybe", ["never", "'maybe'"]),
        ("guests.0.stagger", "-1s", ["-1s"]),
        ("guests.0.boot", "perhaps", ["'perhaps'"]),
        ("guests.0", "x", ["memory"]),
        ("guests.0.sise", 1, ["unknown key", "workloads"]),
        ("guests.0.workloads.0.name", "nothing", ["memhog"]),
        ("guests.0.workloads.0.size", "-4KiB", ["'-4KiB'"]),
        ("guests.0.workloads.0.repeat", 0, ["1000000", "got 0"]),
        ("guests.0.workloads.0.nothing", 0, ["unknown parameter", "repeat"]),
        ("keys.x", "guests.9.memory", ["guests.9.memory"]),
    ],
)
def test_bad_values_name_key_legal_and_given(small, key, value, words):
    with pytest.raises(ScenarioError) as caught:
        h.Scenario.load(small, {key: value})
    message = str(caught.value)
    assert f"{key}: " in message
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("nothing", "unknown key"), ("guests.7.memory", "has 1 item"), ("guests.x", "numbered"),
        ("v8.nothing", "unknown parameter"),
        ("name.x", "without keys"), ("v8-stats.entries", "no arm"),
    ],
)  # fmt: skip
def test_paths_that_do_not_exist(small, key, words):
    with pytest.raises(ScenarioError, match=words):
        h.Scenario.load(small, {key: 5})


def test_all_that_is_wrong_at_once(small):
    with pytest.raises(ScenarioError) as caught:
        h.Scenario.load(small, {"guests.0.thp": "maybe", "seed": -1})
    assert "guests.0.thp" in str(caught.value)
    assert "seed" in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    for content, words in ((b"x = ", "TOML"), (b"\xff", "UTF-8"), (b"", "host: is missing")):
        (tmp_path / "x.toml").write_bytes(content)
        with pytest.raises(ScenarioError, match=words):
            h.Scenario.load(tmp_path / "x.toml")
    with pytest.raises(ScenarioError, match="No such file"):
        h.Scenario.load(tmp_path / "none.toml")
    with pytest.raises(ScenarioError, match="expected one of seed"):
        h.Scenario.load("nothing")
    assert issubclass(ScenarioError, HintingError)


def test_importing_hinting_does_not_import_pydantic():
    import subprocess
    import sys

    code = "import sys, hinting; sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_hosts_and_guests_of_all_kinds(tmp_path):
    path = tmp_path / "kinds.toml"
    path.write_text("""
        strategy = "page-reporting-6.1"
        kernel = "linux-6.1"
        [host]
        memory = "8GiB"
        hugepages = "2GiB"
        fragmentation_growth = 0.5
        thp_defrag = "defer"
        init_on_free = true
        oom_reap = "10ms"
        swap = "1GiB"
        effects = ["false-anonymity", "decayed-sequentiality"]
        [[guests]]
        memory = "1GiB"
        backing = "hugetlb-2M"
        [[guests]]
        memory = "1GiB"
        backing = "memfd"
        limits = { max = "300MiB" }
        oom_score_adj = -500
        [[guests]]
        memory = "1GiB"
        locked = true
        [[guests]]
        memory = "1GiB"
        prealloc = true
    """)
    arm = run(path).arms[0]
    pool, shared, locked, prealloc = (guest.held_bytes / (1 << 20) for guest in arm.guests)
    assert pool < 500
    assert shared <= 300
    assert locked > 1_024
    assert prealloc < 600


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"guests.0.backing": "hugetlb-2M"}, r"guests\.0\.backing: hugetlb-2M needs host\.hugepages of 2MiB"),
        ({"guests.0.backing": "hugetlb-1G", "host.hugepages": "1GiB"}, r"guests\.0\.backing: hugetlb-1G needs .* of 1GiB"),
        ({"guests.0.backing": "hugetlb-1G", "host.hugepages": "1GiB", "host.hugepage_size": "1GiB", "guests.0.memory": "1100MiB"},
         r"guests\.0\.memory: expected whole pages of 1GiB"),
        ({"guests.0.backing": "memfd", "v8.host_action": "free"}, r"guests\.0\.backing: strategy v8: host_action free"),
        ({"guests.0.backing": "tmpfs"}, r"guests\.0\.backing.*'anonymous', 'memfd', 'hugetlb-2M' or 'hugetlb-1G'"),
        ({"guests.0.oom_score_adj": -2000}, r"guests\.0\.oom_score_adj"),
        ({"guests.0.limits": {"min": "2GiB", "max": "1GiB"}}, r"guests\.0\.limits: limit min must not be above max"),
        ({"host.hugepages": "3GiB"}, r"host\.hugepages: .*more than the host has beside its base"),
        ({"host.effects": ["magic"]}, r"host\.effects\.0"),
    ],
)
def test_impossible_combinations(small, changes, message):
    with pytest.raises(ScenarioError, match=message):
        h.Scenario.load(small, changes)


def test_guests_share_a_slice(small):
    changes = {"host.slices": {"batch": {"max": "500MiB"}}, "guests.0.slice": "batch", "guests.0.stagger": "1s"}
    arm = run(h.Scenario.load(small, changes), strategy="none").arms[0]
    assert arm.lost is not None  # both together do not fit
    with pytest.raises(ScenarioError, match=r"guests\.0\.slice: expected one of host\.slices \(batch\), got 'other'"):
        h.Scenario.load(small, changes | {"guests.0.slice": "other"})


@pytest.mark.parametrize(
    ("changes", "fit"),
    [
        ({"reservation": 0.75}, 3),
        ({"reservation": 1.0}, 4),
        ({"overcommit": 2}, 1),  # the VMMs' own memory counts too
        ({"overcommit": 2, "overcommit_ratio": 0.53}, 2),
    ],
)
def test_admission_by_the_sum_of_all_memory(small, changes, fit):
    schedule = {"launch": "one-by-one", "criterion": "admit"} | changes
    arm = run(h.Scenario.load(small, {"schedule": schedule, "guests.0.count": 4, "host.memory": "4GiB"}), strategy="v8").arms[0]
    assert arm.guests_launched == fit


def test_launches_end_when_the_host_swaps(small):
    changes = {"schedule": {"launch": "one-by-one"}, "guests.0.count": 8, "host.memory": "2GiB", "host.swap": "4GiB"}
    arm = run(h.Scenario.load(small, changes), strategy="none").arms[0]
    assert "swapped more than 16MiB" in arm.stopped_by
    changes["schedule"] = {"launch": "one-by-one", "criterion": "boot"}
    arm = run(h.Scenario.load(small, changes), strategy="none").arms[0]
    assert arm.stopped_by == "max_guests"


def test_run_takes_a_scenario_its_file_or_its_name(small):
    by_file, by_name = h.run(small, strategy="none"), h.run(h.Scenario.load(small), strategy="none")
    assert by_file.guests().equals(by_name.guests())
    assert h.run("seed", strategy="none").arms[0].guests_launched == 3
