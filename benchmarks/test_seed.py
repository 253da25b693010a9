"""Both arms of `hinting run seed`, with and without huge pages in the guests."""

import pytest

from hinting.experiments import run
from hinting.scenarios import Scenario
from hinting.units import size_pages


@pytest.mark.parametrize("thp", ["always", "never"])
@pytest.mark.parametrize("strategy", ["none", "v8"])
def test_seed_arm(benchmark, strategy, thp):
    """One arm; the pages are those that the guests' programs touch."""
    scenario = Scenario.load("seed", {"thp": thp}, [strategy])
    result = benchmark.pedantic(run, (scenario,), rounds=3, warmup_rounds=1)
    arm = result.arms[0]
    benchmark.extra_info["guests"] = arm.guests_launched
    benchmark.extra_info["pages"] = (arm.guests_launched + 1) * size_pages(scenario.setting()["program"])
    benchmark.extra_info["emulated_s"] = arm.emulated_s
