"""What each strategy of the hinting lineage adds to a page-free: the same frees with none and with each.

`test_free` times frees of single pages together with all that follows from them: scans, isolation, discards on the host
and the return of the blocks. `test_hook` times frees whose strategy is full and has nobody to serve it, or notes and
never reaches its threshold: the price of the hook.
"""

import pytest

from conftest import PAGES
from hinting import strategies

NAMES = ("none", *(name for name in strategies.names() if name.startswith("v")))


@pytest.mark.parametrize("frees", ["in order", "shuffled"])
@pytest.mark.parametrize("strategy", NAMES)
def test_free(benchmark, make_rig, shuffled, strategy, frees):
    """A program's 1 GiB goes back, page by page; what is still captured stays so."""
    if strategy == "v8-early":
        pytest.skip("the guest loses most of its memory in the first round")
    rig = make_rig("linux-5.0", strategies.find(strategy))
    benchmark.extra_info["pages"] = PAGES

    def touched():
        pfns = rig.untimed.alloc(PAGES, 0, rig.user)
        assert pfns.size == PAGES
        return (pfns if frees == "in order" else pfns[shuffled], 0), {}

    benchmark.pedantic(rig.untimed.free, setup=touched, rounds=5, warmup_rounds=1)
    benchmark.extra_info["reported_pages"] = rig.untimed.outcome["reported_pages"] / 6
    rig.guest.check()
    rig.host.check()


@pytest.mark.parametrize("strategy", NAMES)
def test_hook(benchmark, make_rig, shuffled, strategy):
    if strategy in ("v1", "v7", "v8.5-max-order", "v8.9-async", "v9"):
        pytest.skip("works its array off in the freeing context: there is no hook alone")
    rig = make_rig("linux-5.0", strategies.find(strategy))
    benchmark.extra_info["pages"] = PAGES

    def allocated():
        return (rig.guest.alloc_many(PAGES, 0, rig.user)[shuffled],), {}

    benchmark.pedantic(rig.guest.free_many, setup=allocated, rounds=9, warmup_rounds=1)
    assert rig.untimed.outcome["reports"] == 0
