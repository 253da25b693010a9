"""The classic balloon: requests and their order, out of puff, the OOM notifier, total RAM, the device's side."""

import pytest

import hinting as h
from hinting import gfp, strategies
from hinting._core.mm.check import isolated_pages
from hinting.errors import GuestError, OpError, StrategyError
from hinting.workloads import program

MIB = 256  # pages


def guest_with(**parameters):
    """A booted-looking guest without virtual time, its balloon driven by hand."""
    guest = h.Guest("512MiB", strategy=strategies.Balloon(**parameters))
    return guest, guest.strategy_core


def in_balloon(core):
    return core.statistics()["in_balloon"]


def run_to_rest(core):
    """Answer requests until the work item sleeps; their sizes."""
    sizes = []
    while request := core.run_thread():
        sizes.append(len(request))
        core.host_done()
    return sizes


def test_a_request_has_the_allocators_pages_newest_first():
    guest, core = guest_with()
    twin = h.Guest("512MiB")
    expected = [twin.alloc(0, gfp.BALLOON) for _ in range(256)]
    core.resize(1000)
    assert core.run_thread() == [(pfn, 0) for pfn in reversed(expected)]
    assert core.pages() == expected[::-1]
    assert guest.page(expected[0]).startswith("allocated")


@pytest.mark.parametrize(("pages", "sizes"), [(255, [255]), (256, [256]), (257, [256, 1]), (1000, [256, 256, 256, 232])])
def test_a_round_is_one_request(pages, sizes):
    guest, core = guest_with()
    core.resize(pages)
    assert run_to_rest(core) == sizes
    assert core.actual_pages == core.target_pages == in_balloon(core) == pages
    core.resize(0)
    assert run_to_rest(core) == [min(256, pages - 256 * i) for i in range(len(sizes))]
    assert core.counters() == {"balloon_inflate": pages, "balloon_deflate": pages, "num_pages": 0, "actual": 0}
    guest.check()


def test_the_device_is_told_before_pages_are_free():
    guest, core = guest_with()
    twin = h.Guest("512MiB")
    order = [twin.alloc(0, gfp.BALLOON) for _ in range(300)]
    core.resize(300)
    run_to_rest(core)
    told = core.pages()
    assert told == order[255::-1] + order[:255:-1]
    core.resize(200)
    request = [pfn for pfn, _ in core.run_thread()]
    assert request == told[:199:-1]                 # what the device heard of last leaves first
    assert all(guest.page(pfn).startswith("allocated") for pfn in request)
    core.host_done()
    for pfn in reversed(request):
        twin.free(pfn)
    assert guest.allocator.free_lists() == twin.allocator.free_lists()
    assert guest.allocator.pcp_lists() == twin.allocator.pcp_lists()


def test_out_of_puff_pauses_and_then_tells_what_there_is():
    guest, core = guest_with()
    core.resize(1 << 20)
    sizes = run_to_rest(core)                       # by hand the pause is a sleep
    assert set(sizes) == {256}
    assert core.statistics()["out_of_puff"] == 1
    rest = core.run_thread()
    assert 0 < len(rest) < 256
    core.host_done()
    for zone in guest.allocator.zones():
        state = guest.allocator.zone_state(zone)
        assert state["counter"] <= state["watermark"][1] + state["lowmem_reserve"][3]
    before = in_balloon(core)
    assert core.run_thread() == []
    assert in_balloon(core) == before
    guest.check()


@pytest.mark.parametrize("deflate_on_oom", [False, True])
def test_total_ram_is_lowered_unless_the_balloon_deflates_on_oom(deflate_on_oom):
    guest, core = guest_with(deflate_on_oom=deflate_on_oom)

    def total():
        return sum(guest.allocator.zone_state(zone)["managed"] for zone in guest.allocator.zones())

    before = total()
    core.resize(10 * MIB)
    run_to_rest(core)
    assert before - total() == (0 if deflate_on_oom else 10 * MIB)
    core.resize(0)
    run_to_rest(core)
    assert total() == before


def test_a_call_of_the_oom_notifier_releases_256_pages_at_most():
    guest, core = guest_with(deflate_on_oom=True)
    assert core.oom() == 0
    core.resize(300)
    run_to_rest(core)
    assert core.oom() == 256
    assert core.oom() == 0                          # the one before is not answered yet
    assert [len(blocks) for _, blocks in core.submitted()] == [256]
    assert core.complete_submitted() == 1
    assert core.oom() == 44
    core.complete_submitted()
    assert core.oom() == 0
    assert core.statistics()["oom_notified"] == 2
    assert core.statistics()["oom_released_pages"] == 300
    assert core.target_pages == 300
    guest.check()


def launch(memory="1GiB", host="4GiB", fragmentation=0.0, vcpus=1, thp="always", workload=None, **parameters):
    sim = h.Simulation(h.Host(host, fragmentation=fragmentation), seed=1)
    vm = sim.launch(h.Guest(memory, vcpus=vcpus, thp=thp, strategy=strategies.Balloon(**parameters)), workload=workload)
    sim.run()
    return sim, vm


@pytest.mark.parametrize(("deflate_on_oom", "kills"), [(False, 1), (True, 0)])
def test_a_program_that_needs_the_balloons_memory(deflate_on_oom, kills):
    sim, vm = launch(target="700MiB", deflate_on_oom=deflate_on_oom, vcpus=2)
    vm.submit(h.workloads.memhog("512MiB", thp=False), vcpu=1)
    sim.run()
    sim.check()
    assert vm.counts()["guest_oom_kills"] == kills
    counters, statistics = vm.counters(), vm.guest.strategy_core.statistics()
    assert (counters["actual"] < counters["num_pages"]) == deflate_on_oom
    assert counters["balloon_deflate"] == statistics["oom_released_pages"]


def test_the_guest_gives_and_gets_memory_in_virtual_time():
    sim, vm = launch(workload=h.workloads.memhog("600MiB"))
    used = sim.host.used_bytes()
    vm.resize("512MiB")
    sim.run()
    assert vm.counters()["actual"] == 512 * MIB
    assert 500 << 20 < used - sim.host.used_bytes() <= 512 << 20
    vm.resize("1GiB")
    sim.run()
    assert vm.counters()["actual"] == 0
    assert used - sim.host.used_bytes() > 500 << 20  # MADV_WILLNEED backs nothing
    sim.check()


def test_single_pages_split_huge_pages_and_blocks_do_not():
    refaults = []
    for order in (0, 9):
        sim, vm = launch(workload=h.workloads.memhog("600MiB"), order=order)
        splits = vm.machine.backing.counters["thp_splits"]
        vm.resize("700MiB")
        sim.run()
        assert (vm.machine.backing.counters["thp_splits"] > splits) == (order == 0)
        vm.resize("1GiB")
        vm.submit(h.workloads.memhog("600MiB"))
        before = vm.machine.backing.counters["faults_4k"]
        sim.run()
        refaults.append(vm.machine.backing.counters["faults_4k"] - before)
        sim.check()
    assert refaults[0] > 250 * MIB                  # a block discarded page by page comes back page by page
    assert refaults[1] < 16 * MIB


def fragmented(**parameters):
    """(simulation, vm): every second page of the guest's free memory is in use, the rest is what a balloon gets."""
    sim, vm = launch(memory="512MiB", **parameters)
    vm.submit(h.workloads.memhog("300MiB"))
    sim.run()
    held = vm.guest.alloc_many(60 * MIB, 0, gfp.HIGHUSER_MOVABLE)
    vm.guest.free_many(held[::2])
    return sim, vm


def test_pieces_of_a_large_backing_page():
    """Host spec 3.5: discarded when all pieces came in, forgotten when another backing page's piece comes."""
    sim, vm = fragmented(backing_page=1 << 21)
    before = vm.counts()["returned_frames"]
    vm.machine.resize(20 * MIB)
    sim.run()
    statistics = vm.guest.strategy_core.statistics()
    returned = vm.counts()["returned_frames"] - before
    assert vm.counters()["actual"] == 20 * MIB
    assert statistics["ignored_pages"] > 15 * MIB
    assert returned <= 20 * MIB - statistics["ignored_pages"]
    sim, vm = fragmented()
    vm.machine.resize(20 * MIB)
    sim.run()
    assert vm.guest.strategy_core.statistics()["ignored_pages"] == 0


@pytest.mark.parametrize(("request_size", "is_returned"), [(1, True), (256, False)])
def test_whole_backing_pages_are_discarded(request_size, is_returned):
    """One PFN a request, pages come ascending. 256, each request backwards: two of them out of step interrupt a page."""
    sim, vm = launch(memory="512MiB", workload=h.workloads.memhog("200MiB"), backing_page=1 << 21, request=request_size)
    splits = vm.machine.backing.counters["thp_splits"]
    vm.machine.resize(100 * MIB)
    sim.run()
    assert (vm.counts()["returned_frames"] > 60 * MIB) == is_returned
    assert vm.machine.backing.counters["thp_splits"] == splits


def test_an_inhibited_device_discards_nothing():
    sim, vm = launch(workload=h.workloads.memhog("600MiB"), inhibited=True)
    vm.resize("512MiB")
    sim.run()
    assert vm.counters()["actual"] == 512 * MIB
    assert vm.counts()["returned_frames"] == 0
    assert vm.guest.strategy_core.statistics()["ignored_pages"] == 512 * MIB


def test_the_books_balance_after_every_slice():
    sim = h.Simulation(h.Host("2GiB"), seed=2)
    vm = sim.launch(h.Guest("1GiB", vcpus=2, thp="never", strategy=strategies.Balloon(deflate_on_oom=True, stats_period="100ms")))
    vm.submit(h.workloads.memhog("300MiB", repeat=3, gap="100ms"), vcpu=1)
    vm.submit(program(("RESIZE", {"a": 700 * MIB}), ("SLEEP", {"a": 400_000_000}), ("RESIZE", {"a": 100 * MIB})))
    core, steps = vm.guest.strategy_core, 0
    while sim.step():
        steps += 1
        counters = vm.counters()
        assert counters["balloon_inflate"] - counters["balloon_deflate"] == in_balloon(core)
        if steps % 100 == 0:
            sim.check()
            assert in_balloon(core) == len(set(core.pages()))
    sim.check()
    assert steps > 1000
    assert counters["balloon_deflate"] > 0
    assert sum(isolated_pages(vm.guest.allocator)) == 0


def test_same_seed_same_bytes():
    runs = []
    for _ in range(2):
        sim, vm = launch(target="600MiB", workload=h.workloads.memhog("300MiB"), stats_period="1s")
        runs.append((sim.timeline(), sim.metrics(), vm.guest.strategy_core.pages()))
    assert runs[0][0].equals(runs[1][0])
    assert runs[0][1].equals(runs[1][1])
    assert runs[0][2] == runs[1][2]


def test_statistics_have_an_age():
    sim, vm = launch()
    assert vm.guest.strategy_core.guest_statistics() == {}
    sim = h.Simulation(h.Host("4GiB"), seed=1)
    vm = sim.launch(h.Guest("1GiB", strategy=strategies.Balloon(stats_period="5s")))
    sim.run(until="4.9s")
    core = vm.guest.strategy_core
    assert core.guest_statistics() == {}
    sim.run(until="14.9s")
    assert core.statistics()["polls"] == 2
    sim.run(until="15.1s")
    first = core.guest_statistics()
    assert first["stat-free-memory"] == vm.guest.free_pages() * 4096
    assert first["stat-available-memory"] < first["stat-free-memory"] < first["stat-total-memory"]
    vm.resize("800MiB")
    sim.run(until="19.9s")
    assert core.guest_statistics() == first
    sim.run(until="20.1s")
    assert first["stat-total-memory"] - core.guest_statistics()["stat-total-memory"] == 224 << 20


def test_an_unreachable_target_does_not_keep_a_run_alive():
    sim, vm = launch()
    vm.resize("64MiB")
    sim.run()
    assert vm.is_idle
    tries = vm.guest.strategy_core.statistics()["out_of_puff"]
    assert tries > 0
    sim.run(until=sim.now_ns + 1_000_000_000)
    assert 4 <= vm.guest.strategy_core.statistics()["out_of_puff"] - tries <= 5  # every 200 ms
    vm.resize("1GiB")
    sim.run()
    assert vm.counters()["actual"] == 0


@pytest.mark.parametrize(("parameters", "message"), [
    ({"order": 3}, "order must be one of 0, 9, got 3"),
    ({"request": 0}, "request must be a whole number between 1 and"),
    ({"retry": 0}, "retry must be a whole number between 1"),
    ({"target": -1}, "target must be a whole number between 0"),
    ({"target": "2 apples"}, "target: '2 apples' is not a size"),
    ({"policy": "fair"}, "policy must be one of 'none', 'proxmox', 'mom'"),
    ({"policy": "proxmox"}, "policy proxmox needs minimum"),
    ({"backing_page": 8192}, "backing_page must be one of 4096, 2097152"),
    ({"deflate_on_oom": 1}, "deflate_on_oom must be one of False, True"),
])  # fmt: skip
def test_parameters_are_checked(parameters, message):
    with pytest.raises(StrategyError, match=message):
        strategies.Balloon(**parameters)


def test_targets_are_checked():
    _, vm = launch()
    for memory in ("0", "2GiB"):
        with pytest.raises(GuestError, match="memory must be between 1 page and the guest's 262144 pages"):
            vm.resize(memory)
    sim = h.Simulation(h.Host("4GiB"))
    with pytest.raises(StrategyError, match="target must be at most the guest's 1073741824 bytes"):
        sim.launch(h.Guest("1GiB", strategy=strategies.Balloon(target="2GiB")))
    with pytest.raises(OpError, match="a must be at most the guest's 262144 pages"):
        vm.submit(program(("RESIZE", {"a": 1 << 20})))


@pytest.mark.parametrize("strategy", [None, "v8"])
def test_only_a_strategy_that_can_resizes(strategy):
    vm = h.Simulation(h.Host("4GiB")).launch(h.Guest("1GiB", strategy=strategy))
    with pytest.raises(StrategyError, match="its strategy must be one that can"):
        vm.resize("512MiB")
    with pytest.raises(StrategyError, match="its strategy must be one that can"):
        vm.submit(program(("RESIZE", {"a": 5})))
