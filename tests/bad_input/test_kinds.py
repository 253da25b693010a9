"""Values of the wrong kind: what is not what a public function takes gives one line of a HintingError, never another error."""

import math

import numpy as np
import pytest

import hinting as h
from hinting import costs, recordings, reproduce, sweeps, units
from hinting.errors import HintingError
from hinting.workloads import memhog, program
from tests.conftest import DATA

#: Nothing of this is right for any argument below.
WRONG = [
    -1, 1.5, math.nan, math.inf, 10**30, "", "x", "-5GiB", "\u00e9\U0001f600", b"x", [], {}, object(), "1 parsec", "5GiB\0", type,
]  # fmt: skip
ONE = {"max_guests": 1}


@pytest.fixture(scope="module")
def guest():
    return h.Guest("640MiB", vcpus=2, kernel="linux-6.1", strategy="v8")


@pytest.fixture(scope="module")
def vm():
    return h.Simulation(h.Host("8GiB")).launch(h.Guest("640MiB", strategy="balloon"), boot=False)


def host(**options):
    return h.Host("8GiB", **{"swap": "1GiB", **options})


def launch(**options):
    return h.Simulation(h.Host("8GiB")).launch(h.Guest("640MiB"), **options)


def calls(guest, vm):
    """Name, call of one argument, values of WRONG that are right here."""
    numbers, sizes, empty = [-1, 1.5, 10**30], [1.5], ["", [], {}, b"x"]
    yield "Guest", h.Guest, []
    yield "Guest vcpus", lambda value: h.Guest("640MiB", vcpus=value), []
    yield "Guest kernel", lambda value: h.Guest("640MiB", kernel=value), []
    yield "Guest thp", lambda value: h.Guest("640MiB", thp=value), []
    yield "Guest costs", lambda value: h.Guest("640MiB", costs=value), []
    yield "Guest strategy", lambda value: h.Guest("640MiB", strategy=value), []
    yield "Host", h.Host, []
    yield "Host base", lambda value: host(base=value), sizes
    yield "Host fragmentation", lambda value: host(fragmentation=value), []
    yield "Host seed", lambda value: host(seed=value), []
    yield "Host costs", lambda value: host(costs=value), []
    yield "Host swap", lambda value: host(swap=value), []
    yield "Host swap_device", lambda value: host(swap_device=value), []
    yield "Host swappiness", lambda value: host(swappiness=value), []
    yield "Host page_cluster", lambda value: host(page_cluster=value), []
    yield "Host effects", lambda value: host(effects=value), [[]]
    yield "Host.add_group", h.Host("8GiB").add_group, []
    yield "Simulation", h.Simulation, []
    yield "Simulation seed", lambda value: h.Simulation(h.Host("8GiB"), seed=value), [10**30]
    yield "Simulation memory_map", lambda value: h.Simulation(h.Host("8GiB"), memory_map=value), []
    yield "launch", h.Simulation(h.Host("8GiB")).launch, []
    yield "launch limits", lambda value: launch(limits=value), []
    yield "launch transport", lambda value: launch(transport=value), []
    yield "launch vmm", lambda value: launch(vmm=value), []
    yield "launch poll", lambda value: launch(poll=value), sizes
    yield "alloc", guest.alloc, []
    yield "alloc gfp", lambda value: guest.alloc(0, value), []
    yield "alloc cpu", lambda value: guest.alloc(0, cpu=value), []
    yield "free", guest.free, []
    yield "free_list", guest.free_list, [[]]
    yield "free_many", guest.free_many, [[]]
    yield "alloc_many", guest.alloc_many, []
    yield "split", lambda value: guest.split(value, 1), []
    yield "drain", guest.drain, []
    yield "page", guest.page, []
    yield "restore", guest.restore, []
    yield "from_snapshot", h.Guest.from_snapshot, []
    yield "Snapshot.load", h.Snapshot.load, []
    yield "Snapshot.save", guest.snapshot().save, [value for value in WRONG if isinstance(value, str) and "\0" not in value]
    yield "resize", vm.resize, []
    yield "submit", vm.submit, [[]]
    yield "submit vcpu", lambda value: vm.submit(program(("MARK", {"a": 1})), vcpu=value), []
    yield "Scenario.load", h.Scenario.load, []
    yield "Scenario.load changes", lambda value: h.Scenario.load("seed", value), empty
    yield "Scenario.load strategies", lambda value: h.Scenario.load("seed", None, value), []
    yield "Scenario.from_document", h.Scenario.from_document, []
    yield "scenario host", lambda value: h.Scenario.load("seed", {"host": value}), []
    yield "scenario guests", lambda value: h.Scenario.load("seed", {"guests": value}), []
    yield "run", h.run, []
    yield "run strategy", lambda value: h.run(h.Scenario.load("seed", ONE), strategy=value), []
    yield "run seed", lambda value: h.run(h.Scenario.load("seed", ONE, ["none"]), seed=value), []
    yield "compare", lambda value: h.compare("seed", value, changes=ONE), []
    yield "open", h.open, []
    yield "kernels.load", h.kernels.load, []
    yield "kernels.for_release", h.kernels.for_release, []
    yield "strategies.find", h.strategies.find, []
    yield "strategies.find parameters", lambda value: h.strategies.find("v8", value), empty
    yield "V8", lambda value: h.strategies.V8(entries=value), []
    yield "costs.load", costs.load, []
    yield "cost", lambda value: costs.load("default", {"guest.pcp_alloc_hit": value}), numbers[1:]
    yield "Recording.open", recordings.Recording.open, []
    yield "replay", recordings.replay, []
    yield "reproduce.select", reproduce.select, [[]]
    yield "program", program, []
    yield "program op", lambda value: program((value, {})), []
    yield "program field", lambda value: program(("TOUCH", {"a": value})), [-1]
    yield "memhog", memhog, sizes
    yield "Sweep.load", sweeps.Sweep.load, []
    yield "parse_size", units.parse_size, sizes
    yield "parse_duration", units.parse_duration, sizes


def test_values_of_the_wrong_kind(guest, vm, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wrong = []
    for name, call, right in calls(guest, vm):
        for value in WRONG:
            if any(value is other or (type(value) is type(other) and value == other) for other in right):
                continue
            try:
                call(value)
            except HintingError as error:
                if str(error) and "\n" not in str(error):
                    continue
                wrong.append(f"{name} {value!r}: {str(error)!r}")
            except Exception as error:
                wrong.append(f"{name} {value!r}: {type(error).__name__}: {error}")
            else:
                wrong.append(f"{name} {value!r}: accepted")
    assert wrong == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("what", ["pages", "moment"])
def test_arrays_where_one_value_is_expected(guest, what):
    with pytest.raises(HintingError):
        guest.free(np.arange(2)) if what == "pages" else h.Guest.from_snapshot(DATA / "hackbench-768m-1cpu", at="t2")
