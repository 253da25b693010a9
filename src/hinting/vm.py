"""A guest that was launched: what it does, what may be asked of it, and what it counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from hinting.errors import GuestError, SnapshotError
from hinting.guest import Guest
from hinting.units import PAGE_BYTES, parse_duration, size_pages

if TYPE_CHECKING:
    from hinting._core.engine.guest import Machine
    from hinting.migration import Migration
    from hinting.simulation import Simulation

__all__ = ["END_NS", "VM", "Mark", "OomKill"]

#: A time that never comes.
END_NS = 2**63 - 1


@dataclass(frozen=True)
class Mark:
    """A moment that a guest's program noted.

    number: given by the program. t_ns: emulated time. host_used_bytes: memory in use on the host. held_bytes: what
    this guest costs the host, its VMM and page tables included.
    """

    number: int
    t_ns: int
    host_used_bytes: int
    held_bytes: int


@dataclass(frozen=True)
class OomKill:
    """A process that the guest's OOM killer ended. t_ns: emulated time. rss_pages: what it had in memory."""

    t_ns: int
    process: int
    rss_pages: int


class VM:
    """A guest that was launched on a host."""

    def __init__(self, simulation: Simulation, guest: Guest, machine: Machine) -> None:
        self._simulation = simulation
        self.guest = guest
        self.machine = machine
        self.launched_ns = simulation.now_ns

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise SnapshotError("a launched guest cannot be copied, pickled or saved with its programs: guest.snapshot() keeps "
                            "its memory")

    def submit(self, ops: np.ndarray | Sequence[np.ndarray], *, vcpu: int = 0) -> None:
        """Append rows (hinting.workloads.OP_DTYPE) to what a vCPU does; OpError names the first row that is wrong.

        ops: of one vCPU, or a list with the rows of each vCPU from `vcpu` on.
        """
        if isinstance(vcpu, bool) or not isinstance(vcpu, int) or not 0 <= vcpu < self.guest.vcpus:
            raise GuestError(f"cpu must be between 0 and {self.guest.vcpus - 1}, got {vcpu!r}")
        threads = ops if isinstance(ops, (list, tuple)) else [ops]
        for i, rows in enumerate(threads):
            self.machine.append(rows, vcpu + i)

    def run_until_idle(self, timeout: int | str | None = None) -> bool:
        """Let time pass until this guest has done all its rows or is gone; False if the timeout came first."""
        end = END_NS if timeout is None else self._simulation.now_ns + parse_duration(timeout, "timeout")
        self._simulation.run_until_idle(self, end)
        return self.machine.is_idle

    def resize(self, memory: int | str) -> None:
        """Ask the guest, as the host's operator would, to make do with so much memory from now on.

        memory: bytes or "2GiB", up to the guest's configured memory. How far and how fast it gets there is the strategy's
        affair. Raises StrategyError if the guest's strategy cannot resize it.
        """
        configured = self.guest.memory_bytes // PAGE_BYTES
        pages = size_pages(memory, "memory")
        if not 0 < pages <= configured:
            raise GuestError(f"memory must be between 1 page and the guest's {configured} pages, got {pages} ({memory!r})")
        self.machine.resize(configured - pages)

    def migrate(
        self, *, bandwidth: int | str = "1GiB", downtime: int | str = "300ms", max_rounds: int = 30
    ) -> Migration:
        """Begin to migrate the guest to another host while it runs, and count what is sent.

        bandwidth: bytes a second. downtime: what is left must be sent within it when the guest stops. max_rounds: after
        which it stops anyway. Raises HintingError naming what is wrong, HostError if the guest is being migrated already.
        """
        from hinting.migration import Migration

        return Migration(self._simulation, self, bandwidth=bandwidth, downtime=downtime, max_rounds=max_rounds)

    @property
    def number(self) -> int:
        """Number of the guest on its host, from 0."""
        return self.machine.number

    @property
    def is_lost(self) -> bool:
        """Whether the host's OOM killer ended this guest."""
        return self.machine.is_lost

    @property
    def is_running(self) -> bool:
        """Neither killed nor shut down."""
        return not self.is_lost and self.machine.shut_down_at_ns is None

    def shut_down(self) -> None:
        """End the guest now, as when its VMM is stopped: programs do not go on, all that it cost the host is free again.

        Swap is given back without I/O. What was measured stays; nothing happens to a guest that is lost or was shut down.
        """
        self.machine.shut_down()

    @property
    def is_idle(self) -> bool:
        """Nothing left to do."""
        return self.machine.is_idle

    def marks(self) -> list[Mark]:
        """The marks that the guest's programs set, in order."""
        return [Mark(n, t, used * PAGE_BYTES, held * PAGE_BYTES) for n, t, used, held in self.machine.marks()]

    def processes(self) -> dict[int, tuple[int, int]]:
        """{process: (rss_pages, table_pages)} of the processes that live; shared pages count for each of them."""
        return self.machine.processes()

    def page_cache(self) -> np.ndarray:
        """The guest's cached pages, structured: file, index, pfn, flags (1 active, 2 referenced, 4 dirty).

        The inactive list comes first, then the active one; each begins with the page that reclaim takes first.
        """
        return self.machine.page_cache()

    def oom_kills(self) -> list[OomKill]:
        """Processes that the guest's OOM killer ended, in order; the rest of their rows was skipped."""
        return [OomKill(*kill) for kill in self.machine.oom_kills()]

    def counters(self) -> dict[str, int]:
        """The strategy's counters under the kernel's labels."""
        return self.guest.counters()

    def counts(self) -> dict[str, int]:
        """Counts since launch: faults, reports, kills; memory in pages."""
        return self.machine.counts()

    def accounts(self) -> dict[str, float]:
        """CPU time by account, ns."""
        return self.machine.accounts()

    def memory_counts(self) -> dict[str, int]:
        """Counts of its memory on the host since launch: faults, discards, swap; in pages or calls."""
        return self.machine.backing.counters

    def stalls(self) -> dict[str, float]:
        """ns that the guest waited for memory: reclaim (its own), swap (reads), high (memory.high of its cgroup)."""
        return self.machine.backing.stalls

    def pressure(self) -> float:
        """Share of its life so far in which at least one vCPU waited for memory of the host (PSI "some")."""
        until = self._simulation.engine.reached
        measured = self.machine.measured(until)
        lived = measured["ended_at"] - self.launched_ns
        return min(1.0, measured["psi_some_ns"] / lived) if lived > 0 else 0.0
