"""When launches one by one end: a kill, swap, or the overcommit rule; and the estimate beside the simulated number."""

import pytest

from hinting.errors import HintingError
from hinting.experiments import run
from hinting.experiments.capacity import Capacity, check_sensitivity, estimate, sensitivity, simulated_sensitivity
from hinting.scenarios import Scenario


def seed_with(strategy, **changes):
    changes = {key.replace("__", "."): value for key, value in changes.items()}
    return run(Scenario.load("seed", {"host.swap": "4GiB", "schedule.criterion": "no-swap"} | changes, [strategy])).arms[0]


@pytest.mark.parametrize(("base", "guests"), [("0.95GiB", 3), ("1.2GiB", 2)])
def test_guests_without_swapping_hang_on_the_hosts_own_needs(base, guests):
    """Acceptance test 4, with guests that cost the 4.6 GiB of its estimate: at least 5 fit with hinting."""
    setting = {"host__memory": "15GiB", "host__base": base, "costs__overrides": {"size.guest_base_mib": 550}}
    arm = seed_with("none", **setting)
    assert arm.guests_launched == guests
    assert "swapped more than 16MiB" in arm.stopped_by
    assert seed_with("v8", **setting, guests__0__count=6).guests_launched >= 5


def test_swap_does_not_change_the_count_by_kills_of_the_seed_experiment_without_it():
    arm = run("seed", strategy="none").arms[0]
    assert arm.guests_launched == 3
    assert "killed guest" in arm.stopped_by


def test_admission_by_the_overcommit_rule():
    arm = seed_with("none", schedule__criterion="admit", schedule__overcommit=2, host__swap="8GiB", guests__0__count=4)
    assert arm.guests_launched == 3
    assert "vm.overcommit_memory=2 refuses" in arm.stopped_by
    assert seed_with("none", schedule__criterion="admit", schedule__overcommit=0, guests__0__count=1).guests_launched == 1


def test_bad_swap_in_a_scenario():
    for changes, message in (
        ({"host.swap_device": "nvme"}, "has no slots"),
        ({"host.swap": "1GiB", "host.swap_device": "tape"}, "swap_device"),
        ({"host.swap": "1GiB", "host.swap_device": "hdd", "host.swap_tails": True}, "tails are known"),
        ({"schedule.criterion": "slow"}, "criterion"),
        ({"schedule.swap_tolerance": "some"}, "swap_tolerance"),
    ):
        with pytest.raises(HintingError, match=message):
            Scenario.load("seed", changes)


def test_the_estimate_of_the_worked_example():
    assert estimate("15GiB", "0.95GiB", "4.6GiB", "0.7GiB") == Capacity(3, 14)
    assert estimate("15GiB", "1.2GiB", "4.6GiB", "0.7GiB") == Capacity(2, 14)
    assert estimate("4GiB", "0.95GiB", "4.6GiB", "0.7GiB") == Capacity(0, 0)
    assert {step: found.without for step, found in sensitivity("15GiB", "0.95GiB", "4.6GiB", "0.7GiB").items()} == {
        -256: 3,
        0: 3,
        256: 2,
    }
    with pytest.raises(HintingError, match="resident must be"):
        estimate("15GiB", "1GiB", "4GiB", "5GiB")


SWAPPING = {
    "host.memory": "2GiB", "host.base": "200MiB", "host.swap": "8GiB", "guests.0.memory": "1GiB", "guests.0.count": 5,
    "guests.0.workloads.0.size": "700MiB", "schedule.criterion": "slo",
}  # fmt: skip


def test_a_slowdown_ends_the_launches():
    """Without hinting the third guest has to wait for the first one's garbage to be written to swap."""
    arm = run(Scenario.load("seed", SWAPPING, ["none"])).arms[0]
    assert 1 <= arm.guests_launched < 5
    assert f"guest {arm.guests_launched + 1} ran " in arm.stopped_by
    assert "times as long as alone, the limit is 1.2" in arm.stopped_by
    assert run(Scenario.load("seed", SWAPPING | {"schedule.slowdown_limit": 1000}, ["none"])).arms[0].guests_launched == 5


def test_a_guest_of_another_group_is_held_against_one_of_its_own():
    """The second group's program is ten times as long: it is no slower than alone."""
    document = Scenario.load("seed", SWAPPING | {"guests.0.count": 1}, ["none"]).document()
    second = document["guests"][0] | {"workloads": [{"name": "memhog", "size": "100MiB", "repeat": 20, "gap": "1s"}]}
    document |= {"guests": [document["guests"][0], second], "keys": {}}
    arm = run(Scenario.from_document(document)).arms[0]
    assert (arm.guests_launched, arm.stopped_by) == (2, "max_guests")


def test_the_number_hangs_on_the_hosts_own_needs():
    result = run(Scenario.load("seed", {"host.memory": "15GiB", "host.base": "1.1GiB"}, ["none"]))
    by_base = simulated_sensitivity(result)["none"]
    assert list(by_base) == [-256, 0, 256]
    assert by_base[-256] >= by_base[0] == result.arms[0].guests_launched >= by_base[256]
    less = run(Scenario.load("seed", {"host.memory": "15GiB", "host.base": "870.4MiB"}, ["none"]))
    assert by_base[-256] == less.arms[0].guests_launched
    with pytest.raises(HintingError, match="launches all its guests"):
        check_sensitivity(Scenario.load("three-writers"))
    with pytest.raises(HintingError, match="slowdown_limit"):
        Scenario.load("seed", {"schedule.slowdown_limit": 0.5})
