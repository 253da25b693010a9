"""Both arms of `hinting run seed`, with and without huge pages in the guests."""

import pytest

from hinting.experiments.seed import SeedSetting, run_seed
from hinting.units import size_pages


@pytest.mark.parametrize("thp", ["always", "never"])
@pytest.mark.parametrize("strategy", ["none", "v8"])
def test_seed_arm(benchmark, strategy, thp):
    """One arm; the pages are those that the guests' programs touch."""
    setting = SeedSetting(thp=thp, strategies=(strategy,))
    result = benchmark.pedantic(run_seed, (setting,), rounds=3, warmup_rounds=1)
    arm = result.arms[0]
    benchmark.extra_info["guests"] = arm.guests_launched
    benchmark.extra_info["pages"] = (arm.guests_launched + 1) * size_pages(setting.program, "program")
    benchmark.extra_info["emulated_s"] = arm.emulated_s
