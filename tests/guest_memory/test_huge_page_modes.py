"""The three settings of a guest's huge pages: what programs get, and the watermarks that the kernel sets with them."""

import pytest

import hinting as h
from hinting.errors import GuestError


def low(guest):
    return [guest.allocator.zone_state(zone)["watermark"][1] for zone in guest.allocator.zones()]


def faults(thp):
    sim = h.Simulation(h.Host("4GiB"), seed=1)
    vm = sim.launch(h.Guest("1GiB", thp=thp), boot=False, workload=h.workloads.memhog("64MiB"))
    sim.run()
    return vm.counts()["thp_faults"]


def test_only_always_gives_huge_pages_unasked():
    assert faults("always") == 32
    assert faults("madvise") == faults("never") == 0


def test_watermarks_are_raised_where_there_may_be_huge_pages():
    always, madvise, never = (h.Guest("1GiB", thp=thp) for thp in ("always", "madvise", "never"))
    assert low(madvise) == low(always)
    assert sum(low(madvise)) > 2 * sum(low(never))
    assert madvise.thp == "madvise"


def test_a_small_guest_has_none():
    assert h.Guest("448MiB", thp="madvise").thp == "never"


def test_other_settings_are_refused():
    with pytest.raises(GuestError, match="always, madvise, never, got 'defer'"):
        h.Guest("1GiB", thp="defer")
