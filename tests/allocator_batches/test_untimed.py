"""A guest on its host without virtual time: what is touched, reported and returned."""

import pytest

from allocator_batches.harness import assert_alike, gfp_number, twins
from hinting import Guest, Host, gfp, strategies
from hinting._core.engine.untimed import Untimed
from hinting.errors import HostError, PageError, StrategyError


def put_on(host: Host, guest: Guest) -> Untimed:
    backing = host.memory.add_guest(guest.memory_map.npfn, ram_frames=guest.memory_map.pages)
    return Untimed(guest.allocator, guest.strategy_core, backing)


@pytest.fixture
def host():
    return Host("4GiB", thp=False)


def test_without_strategy_nothing_returns(host):
    guest, _ = twins("linux-5.0")
    untimed = put_on(host, guest)
    pfns = untimed.alloc(5000, 0, gfp_number(guest, gfp.HIGHUSER_MOVABLE))
    assert untimed.backing.rss_pages == 5000
    untimed.free(pfns, 0)
    assert untimed.backing.rss_pages == 5000
    assert not untimed.tick()
    untimed.run_thread()
    assert untimed.outcome["reports"] == 0
    host.check()


@pytest.mark.parametrize("order", [0, 3, 9])
@pytest.mark.parametrize("kernel", ["linux-5.0", "linux-6.1", "linux-6.12"])
def test_every_page_returns(host, kernel, order):
    guest, _ = twins(kernel, strategy=strategies.V8(entries=50, idle_flush="1s"))
    untimed = put_on(host, guest)
    n = 8192 >> order
    for _ in range(2):
        pfns = untimed.alloc(n, order, gfp_number(guest, gfp.HIGHUSER_MOVABLE))
        assert pfns.size == n
        assert untimed.backing.rss_pages == 8192
        untimed.free(pfns, order)
        guest.drain()
        assert untimed.tick()
        assert untimed.tick()
        assert untimed.backing.rss_pages == 0
    assert untimed.outcome["returned_frames"] == untimed.backing.counters["faults_4k"] == 2 * 8192
    guest.check()
    host.check()


def test_chooses_as_the_allocator_alone(host):
    guest, single = twins("linux-6.1")
    user = gfp_number(guest, gfp.HIGHUSER_MOVABLE)
    untimed = put_on(host, guest)
    pfns = untimed.alloc(3000, 0, user)
    assert pfns.tolist() == [single.alloc(0, user) for _ in range(3000)]
    untimed.free(pfns[:1700], 0)
    single.free_many(pfns[:1700])
    assert untimed.cycles(20, 0, user, burst=30) == 20
    for _ in range(20):
        for pfn in [single.alloc(0, user) for _ in range(30)]:
            single.free(pfn)
    assert_alike(guest, single)


@pytest.mark.parametrize("order", [0, 4])
def test_stops_where_the_host_has_no_frame(order):
    host = Host("1200MiB", base="1GiB", thp=False)
    guest, _ = twins("linux-6.1")
    untimed = put_on(host, guest)
    pfns = untimed.alloc(1 << 17, order, gfp_number(guest, gfp.HIGHUSER_MOVABLE))
    assert 0 < pfns.size << order <= untimed.backing.rss_pages < (pfns.size + 1) << order
    guest.check()
    host.check()
    untimed.free(pfns, order)
    guest.drain()
    assert untimed.cycles(3, order, gfp_number(guest, gfp.HIGHUSER_MOVABLE)) == 3


def test_refuses_what_does_not_belong_together(host):
    guest, other = twins("linux-5.0", strategy="v8")
    backing = host.memory.add_guest(guest.memory_map.npfn)
    with pytest.raises(StrategyError, match="attached to the guest's allocator"):
        Untimed(guest.allocator, other.strategy_core, backing)
    with pytest.raises(PageError, match="at least the guest's"):
        Untimed(guest.allocator, guest.strategy_core, host.memory.add_guest(100))
    untimed = Untimed(guest.allocator, guest.strategy_core, backing)
    pfn = guest.alloc()
    with pytest.raises(PageError, match="occurs twice"):
        untimed.free([pfn, pfn], 0)
    backing.remove()
    with pytest.raises(HostError, match="is gone"):
        untimed.alloc(1, 0, 0)
