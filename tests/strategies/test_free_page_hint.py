"""Free page hints for migration: the driver's protocol by hand, and migrations with and without hints."""

import pytest

import hinting as h
from hinting import gfp, strategies
from hinting.errors import HintingError, HostError, StrategyError
from hinting.migration import FIRST_ID

MIB = 256  # pages
STOP, DONE = 0, 1


def guest_with(**parameters):
    guest = h.Guest("512MiB", strategy=strategies.FreePageHint(**parameters))
    return guest, guest.strategy_core


def run_to_rest(core):
    """Run the work item until it has nothing more to do; the blocks that it hinted."""
    hinted = []
    while True:
        core.run_thread()
        submitted = core.submitted()
        if not submitted:
            return hinted
        hinted += [block for _, blocks in submitted for block in blocks]
        core.complete_submitted()


@pytest.mark.parametrize("order", [10, 9])
def test_a_run_takes_all_free_blocks_and_done_gives_them_back(order):
    guest, core = guest_with(order=order)
    twin = h.Guest("512MiB")
    expected = []
    while (pfn := twin.alloc(order, gfp.HINT)) >= 0:
        expected.append((pfn, order))
    core.command(FIRST_ID)
    assert run_to_rest(core) == expected
    assert core.held() == [pfn for pfn, _ in expected]
    assert guest.buddyinfo()[:, 10].sum() < 8       # what the watermark keeps
    assert guest.free_pages() == twin.free_pages()
    core.command(STOP)
    assert run_to_rest(core) == []
    assert len(core.held()) == len(expected)
    core.command(DONE)
    assert run_to_rest(core) == []
    assert core.held() == []
    for pfn, _ in reversed(expected):
        twin.free(pfn, order)
    assert guest.allocator.free_lists() == twin.allocator.free_lists()
    guest.check()


def test_a_new_run_gives_back_first_what_the_last_one_kept():
    guest, core = guest_with()
    core.command(FIRST_ID)
    first = run_to_rest(core)
    core.command(FIRST_ID + 1)
    second = run_to_rest(core)
    assert sorted(first) == sorted(second)
    assert core.statistics()["runs"] == 2
    assert core.statistics()["returned_blocks"] == len(first)
    guest.check()


def test_the_ring_has_127_hints_under_way_at_most():
    guest = h.Guest("2GiB", strategy=strategies.FreePageHint())
    core = guest.strategy_core
    core.command(FIRST_ID)
    while core.statistics()["ring_full"] == 0:
        core.run_thread()
    assert len(core.held()) == 127
    core.complete_submitted()
    core.run_thread()
    assert len(core.held()) == 135
    guest.check()


def launch(strategy=None, program="550MiB", memory="1GiB"):
    sim = h.Simulation(h.Host("4GiB", fragmentation=0.0), seed=1)
    vm = sim.launch(h.Guest(memory, vcpus=2, strategy=strategy), workload=h.workloads.memhog(program))
    vm.run_until_idle()
    return sim, vm


def test_what_the_guest_has_freed_is_not_sent():
    found = {}
    for name in (None, "free-page-hint"):
        sim, vm = launch(name)
        used = sim.host.used_bytes()
        found[name] = vm.migrate().run()
        sim.run()
        assert sim.host.used_bytes() == used        # a hint frees nothing
        sim.check()
    plain, hinted = found[None], found["free-page-hint"]
    assert plain.skipped_pages == 0
    assert vm.machine.backing.rss_pages - plain.sent_pages in (0, 1)  # page 0 of a huge page is no RAM
    assert hinted.skipped_pages > 500 * MIB
    assert hinted.sent_pages + hinted.skipped_pages == pytest.approx(plain.sent_pages, abs=2 * MIB)
    assert hinted.done_s - hinted.started_s < plain.done_s - plain.started_s
    statistics = vm.guest.strategy_core.statistics()
    assert statistics["honoured_pages"] == hinted.skipped_pages
    assert vm.counters() == {"free_page_hint_cmd_id": DONE, "num_free_page_blocks": 0}


def test_rounds_send_what_was_written_meanwhile():
    sim, vm = launch()
    vm.submit(h.workloads.memhog("200MiB", repeat=40, gap="1ms", process=1), vcpu=1)
    migration = vm.migrate(bandwidth="2GiB", downtime="1ms", max_rounds=4).run()
    assert len(migration.rounds) == 4
    assert all(one.to_send >= 200 * MIB for one in migration.rounds[1:])
    assert all(one.sent + one.zero == one.to_send for one in migration.rounds)
    sim.run()
    again = vm.migrate(bandwidth="2GiB", downtime="1ms").run()
    assert len(again.rounds) == 1
    assert again.final_pages == 0


def test_free_memory_is_the_drivers_while_a_run_lasts():
    sim, vm = launch("free-page-hint")
    free = vm.guest.free_pages()
    vm.migrate(bandwidth="200MiB")
    sim.run(until=sim.now_ns + 10**8)
    assert vm.guest.buddyinfo()[:, 10].sum() < 10      # what the reserve for lower zones keeps
    assert vm.guest.free_pages() < free / 4
    sim.check()


@pytest.mark.parametrize(("shrinker", "kills"), [(True, 0), (False, 1)])
def test_a_program_that_needs_memory_meanwhile(shrinker, kills):
    sim, vm = launch(strategies.FreePageHint(shrinker=shrinker))
    migration = vm.migrate(bandwidth="200MiB")
    sim.run(until=sim.now_ns + 10**8)
    vm.submit(h.workloads.memhog("400MiB", thp=False, process=1), vcpu=1)
    migration.run()
    sim.run()
    assert vm.counts()["guest_oom_kills"] == kills
    assert (vm.guest.strategy_core.statistics()["shrunk_blocks"] > 50) == shrinker
    assert vm.guest.strategy_core.held() == []
    sim.check()


def test_pages_written_after_their_hint_are_sent():
    """What is skipped and then used is sent in a later round: every page in use at the end was sent after its last write."""
    sim, vm = launch("free-page-hint")
    migration = vm.migrate(bandwidth="300MiB", downtime="1ms")
    sim.run(until=sim.now_ns + 10**8)
    vm.submit(h.workloads.memhog("300MiB", hold="60s", process=1), vcpu=1)
    migration.run()
    assert migration.rounds[1].to_send >= 300 * MIB
    assert migration.rounds[1].sent >= 300 * MIB


def test_same_seed_same_rounds():
    runs = []
    for _ in range(2):
        sim, vm = launch("free-page-hint", program="300MiB")
        vm.submit(h.workloads.memhog("100MiB", repeat=3, gap="50ms", process=1), vcpu=1)
        migration = vm.migrate(bandwidth="500MiB").run()
        sim.run()
        runs.append((migration.rounds, migration.final_pages, sim.metrics()))
    assert runs[0][:2] == runs[1][:2]
    assert runs[0][2].equals(runs[1][2])


def test_bad_input():
    _, vm = launch()
    for parameters, message in [
        ({"bandwidth": "100KiB"}, "bandwidth must be at least"),
        ({"max_rounds": 0}, "max_rounds must be"),
        ({"downtime": "soon"}, "downtime: 'soon' is not a duration"),
    ]:
        with pytest.raises(HintingError, match=message):
            vm.migrate(**parameters)
    vm.migrate()
    with pytest.raises(HostError, match="is being migrated already"):
        vm.migrate()
    with pytest.raises(StrategyError, match="order must be one of 10, 9"):
        strategies.FreePageHint(order=8)


def overcommitted():
    """A guest of which the host has swapped a part out, as another one needs the memory."""
    sim = h.Simulation(h.Host("1500MiB", swap="2GiB", swap_device="nvme", fragmentation=0.0), seed=1)
    vm = sim.launch(h.Guest("1GiB"), workload=h.workloads.memhog("700MiB", hold="600s"))
    sim.run(until="5s")
    sim.launch(h.Guest("1GiB"), workload=h.workloads.memhog("700MiB", hold="600s"))
    sim.run(until="10s")
    return sim, vm


def test_pages_in_swap_are_read_back_and_sent():
    sim, vm = overcommitted()
    backing = vm.machine.backing
    swapped = backing.swapped_pages
    holding = backing.rss_pages + swapped
    read_before, stalled = backing.counters["swapped_in"], vm.accounts()["guest_stall"]
    assert swapped > 100 * MIB
    migration = vm.migrate(bandwidth="4GiB").run()
    first = migration.rounds[0]
    assert holding - first.sent in (0, 1)               # page 0 of a huge page is no RAM
    assert first.sent + first.zero == first.to_send
    assert first.read >= swapped                        # what is read can push out what comes later
    assert first.read <= backing.counters["swapped_in"] - read_before
    sending = holding * 4096 / 2**32
    assert migration.done_s - migration.started_s > 1.2 * sending     # it waits for the device
    assert vm.accounts()["guest_stall"] == stalled      # the guest does not
    sim.check()


def test_hints_spare_the_reads_too():
    """What is free in the guest and was swapped out is neither read nor sent."""
    first = {}
    for name in (None, "free-page-hint"):
        sim = h.Simulation(h.Host("1500MiB", swap="2GiB", swap_device="nvme", fragmentation=0.0), seed=1)
        vm = sim.launch(h.Guest("1GiB", strategy=name), workload=h.workloads.memhog("580MiB"))
        sim.run(until="5s")
        sim.launch(h.Guest("1GiB"), workload=h.workloads.memhog("900MiB", hold="600s"))
        sim.run(until="10s")
        swapped = vm.machine.backing.swapped_pages
        first[name] = vm.migrate(bandwidth="200MiB").run().rounds[0]
        sim.check()
    assert first[None].read >= swapped
    assert first["free-page-hint"].skipped > 500 * MIB
    assert first["free-page-hint"].read < first[None].read - 50 * MIB


def test_reclaim_asks_the_shrinker_before_the_guest_is_out_of_memory():
    """kswapd takes blocks back while files are read; nothing is evicted for which there was memory before the run."""
    sim, vm = launch("free-page-hint")
    vm.migrate(bandwidth="100MiB")
    sim.run(until=sim.now_ns + 10**8)
    core = vm.guest.strategy_core
    held = len(core.held())
    vm.submit(h.workloads.file_scan("100MiB", files=1), vcpu=1)
    sim.run(until=sim.now_ns + 2 * 10**9)
    assert core.statistics()["shrunk_blocks"] > 10
    assert len(core.held()) == held - core.statistics()["shrunk_blocks"]
    assert vm.counts()["pgsteal_kswapd_pages"] > 10 * 1024    # pages of blocks
    assert vm.counts()["guest_oom_kills"] == 0
    sim.check()


def test_the_shrinker_gives_whole_blocks():
    guest, core = guest_with()
    assert core.shrink(1) == 0
    core.command(FIRST_ID)
    run_to_rest(core)
    held = core.held()
    free = guest.free_pages()
    assert core.shrink(0) == len(held) * 1024           # what there is
    assert core.shrink(1) == 1024
    assert core.shrink(1025) == 2048
    assert core.held() == held[:-3]
    assert guest.free_pages() - free == 3 * 1024
    assert core.shrink(1 << 30) == (len(held) - 3) * 1024
    guest.check()


def test_allocations_that_fail_while_blocks_are_held_are_counted():
    """A huge page is not to be had while the driver has all blocks; each such attempt counts, and none before or after."""
    found = {}
    for name in (None, "free-page-hint"):
        sim, vm = launch(name, program="100MiB")
        vm.migrate(bandwidth="100MiB")
        sim.run(until=sim.now_ns + 10**8)
        fallbacks = vm.counts()["thp_fallbacks"]
        vm.submit(h.workloads.memhog("64MiB", process=1), vcpu=1)
        sim.run(until=sim.now_ns + 10**8)
        found[name] = vm.counts()["thp_fallbacks"] - fallbacks, sim.metrics().to_pylist()[1]
        sim.check()
    assert found[None][0] == found[None][1]["failed_while_isolated"] == 0
    fallbacks, metrics = found["free-page-hint"]
    assert fallbacks > 0
    assert metrics["failed_while_isolated"] == fallbacks
    assert metrics["isolated_peak"] == vm.guest.strategy_core.statistics()["most_held"] * 4     # MiB
