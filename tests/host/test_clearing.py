"""Memory that is cleared when it is freed (init_on_free), not when it is taken."""

import pytest

import hinting as h
from hinting import metrics, workloads

BLOCK = 512


@pytest.mark.parametrize("thp", [True, False])
def test_clearing_moves_to_the_discard(make_host, profile, thp):
    plain, clear = (make_host(thp=thp, init_on_free=flag).add_guest(4 * BLOCK) for flag in (False, True))
    unit = profile["mem.clear_2m"] if thp else BLOCK * profile["mem.clear_4k"]
    assert plain.touch(0, 2 * BLOCK).stall_ns - clear.touch(0, 2 * BLOCK).stall_ns == pytest.approx(2 * unit)
    assert clear.discard(0, BLOCK).host_ns - plain.discard(0, BLOCK).host_ns == pytest.approx(unit)
    # Pages of a huge folio are freed, and cleared, when it is split or all of it is unmapped.
    more = clear.discard(BLOCK, 100).host_ns - plain.discard(BLOCK, 100).host_ns
    assert more == pytest.approx(0 if thp else 100 * profile["mem.clear_4k"])
    more = clear.discard(BLOCK + 100, 412).host_ns - plain.discard(BLOCK + 100, 412).host_ns
    assert more == pytest.approx((512 if thp else 412) * profile["mem.clear_4k"])


def test_reclaim_clears_what_it_frees(make_host, profile):
    took = []
    for flag in (False, True):
        host = make_host(6_000, watermarks=(100, 200, 300), swap_frames=1 << 14, thp=False, init_on_free=flag)
        guest = host.add_guest(8 * BLOCK, group=host.add_group())
        guest.touch(0, 1_000)
        took.append(guest.reclaim(1_000))
    assert took[0][0] == took[1][0] == 1_000
    assert took[1][1] - took[0][1] == pytest.approx(1_000 * profile["mem.clear_4k"], rel=0.01)


def test_nothing_is_cleared_twice():
    twice = []
    for flag in (False, True):
        sim = h.Simulation(h.Host("4GiB", init_on_free=flag), seed=1)
        sim.launch(h.Guest("1GiB", strategy="v8"), workload=workloads.memhog("256MiB", repeat=2, gap="5s"))
        sim.run(until="60s")
        table = metrics.tidy(sim.metrics()).to_pylist()
        twice.append(sum(row["value"] for row in table if row["metric"] == "double_clearing" and row["guest"] == 0))
    assert twice[0] > 0
    assert twice[1] == 0
