"""Migrating a guest while it runs: rounds of pre-copy, what they send, and what hints of free pages spare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hinting._core.strategies.free_page_hint import DONE, STOP, FreePageHint
from hinting.errors import HintingError
from hinting.units import PAGE_BYTES, parse_duration, parse_size

if TYPE_CHECKING:
    from hinting.simulation import Simulation
    from hinting.vm import VM

__all__ = ["Migration", "Round"]

#: The host sends in steps of so long, ns.
TICK_NS = 10_000_000
#: First command id of a hinting run, as QEMU counts them.
FIRST_ID = 0x80000000


@dataclass(frozen=True)
class Round:
    """One round. to_send: pages in its bitmap at its begin. sent, zero, skipped: data pages sent, pages that were never backed
    (announced, not sent), data pages that hints spared. read: of those sent, pages that the host had swapped out and read
    back. ended_s: emulated time of its end.
    """

    to_send: int
    sent: int
    read: int
    zero: int
    skipped: int
    ended_s: float


class Migration:
    """A pre-copy migration under way; made by VM.migrate.

    Every page of RAM is in the first round, what was written meanwhile in each further one. When what is left can be sent
    within the downtime, or after max_rounds, the guest stops and the rest is sent; here it only goes on, on this host.
    Pages that the host has swapped out are read back one by one before they are sent, and stay in memory.
    Follows QEMU 8.2 (ram_save_iterate); post-copy, compression and throttling of the guest are not emulated.
    """

    def __init__(
        self, simulation: Simulation, vm: VM, *, bandwidth: int | str, downtime: int | str, max_rounds: int
    ) -> None:
        self.simulation, self.vm = simulation, vm
        self.bandwidth = parse_size(bandwidth, "bandwidth")
        self.downtime_ns = parse_duration(downtime, "downtime")
        self.max_rounds = max_rounds
        if self.bandwidth * TICK_NS < PAGE_BYTES * 10**9:
            raise HintingError(f"bandwidth must be at least a page in 10 ms, got {bandwidth!r} in a second")
        if isinstance(max_rounds, bool) or not isinstance(max_rounds, int) or max_rounds < 1:
            raise HintingError(f"max_rounds must be a whole number, 1 or more, got {max_rounds!r}")
        if not vm.is_running:
            raise HintingError(f"guest {vm.number + 1} is {'lost' if vm.is_lost else 'shut down'}")
        self.rounds: list[Round] = []
        self.started_s = simulation.now
        self.done_s: float | None = None
        self.final_pages = 0
        self._carry = 0.0
        self._late_ns = 0.0
        self._id = FIRST_ID - 1
        self._before = {"sent": 0, "read": 0, "zero": 0, "skipped": 0}
        self._backing = vm.machine.backing
        self._backing.start_migration(vm.guest.memory_map.ram)
        self._begin_round()
        self._routine = simulation.every(TICK_NS, self._tick)

    @property
    def is_done(self) -> bool:
        """Whether the guest runs at its destination."""
        return self.done_s is not None

    @property
    def sent_pages(self) -> int:
        """Data pages sent in all rounds and in the final one."""
        return sum(one.sent for one in self.rounds) + self.final_pages

    @property
    def skipped_pages(self) -> int:
        """Data pages that hints spared."""
        return sum(one.skipped for one in self.rounds)

    def run(self) -> Migration:
        """Let time pass until it is done."""
        while not self.is_done:
            self.simulation.run(until=self.simulation.now_ns + TICK_NS)
        return self

    def _command(self, cmd: int) -> None:
        """Tell the guest's driver, if it has the feature."""
        core = self.vm.guest.strategy_core
        if isinstance(core, FreePageHint):
            core.command(cmd)
            self.vm.machine.config_interrupt()

    def _begin_round(self) -> None:
        self._to_send = self._backing.begin_round()
        self._id += 1
        self._command(self._id)

    def _end_round(self) -> None:
        self._backing.end_round()
        self._command(STOP)
        now = self._backing.migration
        done = {name: now[name] - before for name, before in self._before.items()}
        self.rounds.append(Round(to_send=self._to_send, ended_s=self.simulation.now, **done))
        self._before = {name: now[name] for name in self._before}

    def _send(self, pages: int) -> None:
        """A tick's share; a read from swap that took longer is missing in the next ticks."""
        within = TICK_NS - self._late_ns
        took = self.vm.machine.send_pages(pages, within) if within > 0 else 0.0
        self._late_ns = max(took - within, 0.0)

    def _send_rest(self) -> None:
        """The guest stands still: all that is left goes out at once."""
        self._backing.begin_round()
        self._backing.end_round()
        while self.vm.is_running and self._backing.migration["left"]:
            self.vm.machine.send_pages(1 << 40, float("inf"))
        if self.vm.is_running:
            self.final_pages = self._backing.migration["sent"] - self._before["sent"]

    def _tick(self) -> None:
        if not self.vm.is_running:
            self._finish()
            return
        budget = self.bandwidth * TICK_NS / 10**9 / PAGE_BYTES + self._carry
        self._carry = budget - int(budget)
        self._send(int(budget))
        if not self.vm.is_running:
            self._finish()
            return
        now = self._backing.migration
        if now["left"]:
            return
        self._end_round()
        if now["written"] * PAGE_BYTES <= self.bandwidth * self.downtime_ns / 10**9 or len(self.rounds) >= self.max_rounds:
            self._send_rest()
            self._finish()
        else:
            self._begin_round()

    def _finish(self) -> None:
        self.done_s = self.simulation.now
        self._routine.cancel()
        if self.vm.is_running:
            self._backing.end_migration()
            self._command(DONE)
