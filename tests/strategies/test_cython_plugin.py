"""A third party's Cython package is built against the public declarations and used like a built-in strategy."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import hinting
from hinting import Guest, Host, Simulation, workloads
from hinting.errors import StrategyError
from hinting.strategies import base

from .harness import assert_sound, churn, environment

PACKAGE = Path(__file__).with_name("cython_plugin")


@pytest.fixture(scope="module")
def eager(tmp_path_factory):
    """The built package's strategy class."""
    pytest.importorskip("Cython")
    folder = tmp_path_factory.mktemp("plugin")
    shutil.copytree(PACKAGE, folder, dirs_exist_ok=True)
    done = subprocess.run([sys.executable, "setup.py", "-q", "build_ext", "--inplace"], cwd=folder, env=environment(),
                          capture_output=True, text=True, check=False)
    if "no C compiler" in done.stderr or "Python.h" in done.stderr:
        pytest.skip("no C compiler")
    assert done.returncode == 0, done.stderr
    sys.path.insert(0, str(folder / "src"))
    known = dict(base._REGISTRY)
    try:
        import eager

        yield eager.Eager
    finally:
        sys.path.remove(str(folder / "src"))
        base._REGISTRY.clear()
        base._REGISTRY.update(known)


def test_it_runs_in_a_simulation(eager):
    sim = Simulation(Host("4GiB"), seed=1)
    vm = sim.launch(Guest("1GiB", strategy=eager(min_order=9)), workload=workloads.memhog("512MiB"))
    sim.run()
    sim.check()
    assert_sound(vm.guest)
    assert vm.counters()["reported"] == vm.counts()["reports"] > 100
    assert vm.counts()["returned_frames"] > 100_000


def test_its_parameters_are_checked_like_those_of_built_in_strategies(eager):
    with pytest.raises(StrategyError, match="eager: min_order must be a whole number between 0 and 10, got 11"):
        eager(min_order=11)
    assert base.find("eager", {"min_order": "8"}) == eager(min_order=8)


def test_its_queue_is_finite_and_nothing_leaks(eager):
    guest = Guest("1GiB", strategy=eager(min_order=0))
    churn(guest)
    guest.drain()
    assert guest.counters()["reported"] == 256      # nobody answers: every ticket is under way
    assert guest.counters()["refused"] > 0
    assert guest.strategy_core.complete_submitted() == 256
    assert_sound(guest)


def test_the_public_declarations_cimport_nothing_private():
    text = (Path(hinting.get_include()) / "hinting" / "_core" / "api.pxd").read_text()
    code = text.split('"""')[2]
    imports = [line for line in code.splitlines() if "cimport" in line]
    assert imports == ["from libc.stddef cimport size_t", "from libc.stdint cimport int64_t, uint32_t"]
    for line in text.splitlines():
        if line.startswith("cdef ") and "(" in line and "new_core" not in line:
            assert line.rstrip(":").endswith("noexcept nogil"), line
