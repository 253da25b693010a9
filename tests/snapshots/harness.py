"""Guests with a past, and random operations that two guests must answer alike.

`used_guest` makes a guest whose lists, per-CPU lists, pageblocks and (with v8) captured arrays are all in use. `play`
does random operations on several guests at once and fails at the first answer that differs; `assert_same` compares
everything that a guest has.
"""

from __future__ import annotations

from random import Random

import numpy as np

from hinting import Guest, gfp

KERNELS = ("linux-5.0", "linux-6.1", "linux-6.12")
GFPS = (gfp.KERNEL, gfp.HIGHUSER_MOVABLE, gfp.HIGHUSER_MOVABLE, gfp.RECLAIMABLE, gfp.ATOMIC, gfp.TRANSHUGE_LIGHT)
ORDERS = (0,) * 24 + (1, 1, 2, 2, 3, 3, 4, 5, 7, 9, 9, 10)


class Player:
    """Random operations; `held` are the blocks that are allocated."""

    def __init__(self, seed: int, held: list[tuple[int, int]] | None = None):
        self.random = Random(seed)
        self.held = list(held or [])

    def play(self, guests: list[Guest], steps: int) -> None:
        """The same random operations on all guests, which must answer alike."""
        random = self.random
        for _ in range(steps):
            cpu = random.randrange(guests[0].vcpus)
            chance = random.random()
            if chance < 0.55:
                order, kind = random.choice(ORDERS), random.choice(GFPS)
                pfn = same(guest.alloc(order, kind, cpu) for guest in guests)
                if pfn >= 0:
                    self.held.append((pfn, order))
            elif chance < 0.96 and self.held:
                at = random.randrange(len(self.held))
                self.held[at], self.held[-1] = self.held[-1], self.held[at]
                pfn, order = self.held.pop()
                same(guest.free(pfn, order, cpu) for guest in guests)
            elif chance < 0.97:
                same(guest.drain(cpu) for guest in guests)
            elif chance < 0.98:
                same(guest.allocator.fold(cpu) for guest in guests)
            elif chance < 0.983:
                self.burst(guests, cpu)
            self.serve(guests, cpu, chance < 0.7)

    @staticmethod
    def burst(guests: list[Guest], cpu: int) -> None:
        """A process that uses some pages and exits."""
        same(pages := [guest.alloc_many(150, gfp=gfp.HIGHUSER_MOVABLE, cpu=cpu).tolist() for guest in guests])
        same(guest.free_many(pages[0], cpu=cpu) for guest in guests)

    def serve(self, guests: list[Guest], cpu: int, answer: bool) -> None:
        """Let the strategy's threads run, one step at a time; the host may take its time to answer."""
        if guests[0].strategy is None:
            return
        cores = [guest.strategy_core for guest in guests]
        under_way = same(core.in_flight() for core in cores)
        if not answer:
            return
        if self.random.random() < 0.3:
            same(core.settle() for core in cores)
        elif under_way and under_way[0][1] is not None:
            ticket, worker = under_way[0]
            if same(core.reported(ticket) for core in cores):
                same(core.host_done(worker) for core in cores)
            else:
                same(core.run_thread(worker) for core in cores)
        elif same(core.submitted() for core in cores):
            same(core.complete_submitted(cpu) for core in cores)
        elif not under_way and same(core.is_woken(cpu) for core in cores):
            same(core.run_thread(cpu) for core in cores)


def same(answers):
    first, *others = list(answers)
    assert all(other == first for other in others)
    return first


def used_guest(kernel: str, strategy=None, memory: str = "512MiB", vcpus: int = 2, steps: int = 6000, seed: int = 1):
    """A guest with a past, and the player that knows its allocated blocks."""
    guest = Guest(memory, vcpus=vcpus, kernel=kernel, strategy=strategy)
    player = Player(seed)
    player.play([guest], steps)
    return guest, player


def play_until_reported(guest: Guest, player: Player) -> None:
    """Until blocks are at the host, or on their way."""
    core = guest.strategy_core
    for _ in range(20_000):
        if core.submitted() or any(core.reported(ticket) for ticket, _ in core.in_flight()):
            return
        player.play([guest], 1)
    raise AssertionError("the strategy reports nothing")


def assert_same(one: Guest, other: Guest) -> None:
    """Every page, every list in order, every counter and setting."""
    assert one.allocator.free_lists() == other.allocator.free_lists()
    assert one.allocator.pcp_lists() == other.allocator.pcp_lists()
    assert one.allocator.block_types() == other.allocator.block_types()
    for zone in range(4):
        assert one.allocator.zone_state(zone) == other.allocator.zone_state(zone)
        for cpu in range(one.vcpus):
            assert one.allocator.pcp_state(zone, cpu) == other.allocator.pcp_state(zone, cpu)
    assert (one.allocator.kswapd_wakeups, one.allocator.allocstall) == (
        other.allocator.kswapd_wakeups, other.allocator.allocstall)
    assert_same_arrays(one.allocator.state(), other.allocator.state())
    assert one.strategy == other.strategy
    if one.strategy is not None:
        assert_same_arrays(one.strategy_core.state(), other.strategy_core.state())
        assert one.counters() == other.counters()
        assert one.strategy_core.statistics() == other.strategy_core.statistics()
        assert one.strategy_core.work == other.strategy_core.work
    other.check()


def assert_same_arrays(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert one.keys() == other.keys()
    for name, array in one.items():
        assert np.array_equal(array, other[name]), name
        assert array.dtype == other[name].dtype, name


def assert_same_pages(one: Guest, other: Guest, step: int = 1) -> None:
    """What every page is, in words."""
    for pfn in range(0, one.allocator.npfn, step):
        assert one.page(pfn) == other.page(pfn)
