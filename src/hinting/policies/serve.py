"""A policy at work on a simulation: its object, what the host does in its name now and then."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

import numpy as np

from hinting._core.engine.host_policy import GUEST_DTYPE
from hinting._core.engine.host_policy import HostPolicy as Core
from hinting.errors import AdmissionError, HintingError
from hinting.strategies.python_hooks import line_of, watch
from hinting.strategies.user import place_of
from hinting.units import PAGE_BYTES, parse_duration

if TYPE_CHECKING:
    from hinting.policies.host import HostPolicy
    from hinting.simulation import Simulation
    from hinting.vm import VM

__all__ = ["Served"]


class Served:
    """A policy that serves one simulation.

    Below twice the host's high watermark of free memory the host is short: what was deferred goes, and choose_victim is asked
    whose memory to take. The victim's balloon (or what else resizes it) is set lower by a step; without one the host evicts
    so much of it to swap. With a step more than that free again, guests get their memory back.
    """

    def __init__(self, spec: HostPolicy) -> None:
        self.spec = spec
        settings = spec.settings()
        self.interval, self.max_age = settings["interval"], settings["max_age"]
        self.step = settings["reclaim_step"] // PAGE_BYTES
        self.policy: Any = object.__new__(spec.plain)
        for name in spec.parameters():
            setattr(self.policy, name, getattr(spec, name))
        compiled: dict[str, Any] = {}
        if spec.compiled:
            from hinting.policies.numba_policy import compile_policy

            compiled = compile_policy(spec, self.policy)
        self.core = Core(self.policy, spec.name, settings["time_limit_s"], merges=settings["merge_ranges"],
                         lazily=settings["discard_kind"] == "free", locate=self._locate, **compiled)
        #: Memory that each guest has less than it was launched with, pages.
        self.taken: dict[int, int] = {}

    def begin(self, simulation: Simulation) -> None:
        """The simulation is there: set up, and look at it from now on."""
        self.simulation = simulation
        watch(self.core)
        if hasattr(self.policy, "setup"):
            self.core.ask("setup")
            self.core.check()
        self.routine = simulation.every(self.interval, self.tick)

    def _locate(self, hook: str, raised: BaseException | None) -> str:
        """The line that a fault comes from."""
        function = self.spec.hooks.get(hook) or getattr(self.spec.plain, hook)
        if raised is not None:
            frames = traceback.extract_tb(raised.__traceback__)
            own = [frame.lineno for frame in frames if frame.filename == function.__code__.co_filename]
            return place_of(function, own[-1]) if own else line_of(raised) or place_of(function)
        return place_of(function)

    def admit(self, pages: int) -> None:
        """AdmissionError if the policy does not want a guest of so many pages."""
        if "admit" not in self.spec.hooks:
            return
        guest = np.zeros(1, GUEST_DTYPE).view(np.recarray)[0]
        guest.number, guest.memory = len(self.simulation.vms), pages
        answer = self.core.ask("admit", self.core.sees_host(), guest)
        if self.core.fault is None and not isinstance(answer, (bool, np.bool_)):
            self.core.refuse("admit", answer, "True or False")
        self.core.check()
        if not answer:
            raise AdmissionError(f"policy {self.spec.name} does not admit guest {len(self.simulation.vms)}")

    def tick(self) -> None:
        """Once an interval."""
        if self.core.fault is not None:
            self.routine.cancel()
            return
        self.core.tick()
        host = self.core.sees_host()
        running = [vm for vm in self.simulation.vms if vm.is_running]
        for vm in running:
            self.core.drop_postponed(vm.number, self.max_age, 2 * host.wmark_high)
        if "choose_victim" in self.spec.hooks:
            self._reclaim()
        if "period" in self.spec.hooks:
            for vm in running:
                self._set_period(vm)
        self.core.check()

    def _reclaim(self) -> None:
        host = self.core.sees_host()
        if host.free >= 2 * host.wmark_high:
            self._give_back(int(host.free - 2 * host.wmark_high))
            return
        victim = self.core.asked_victim("reclaim")
        if victim is None:
            return
        vm = self.simulation.vms[victim]
        if not self.core.can_resize(victim):
            self.core.reclaim(victim, self.step)
            return
        left = vm.guest.memory_bytes // PAGE_BYTES - self.taken.get(victim, 0) - self.step
        if left > 0:
            self.taken[victim] = self.taken.get(victim, 0) + self.step
            vm.resize(left * PAGE_BYTES)

    def _give_back(self, spare: int) -> None:
        """The guest that was asked for most gets a step back, if a step more is to spare."""
        taken = {number: pages for number, pages in self.taken.items() if pages and self.simulation.vms[number].is_running}
        if not taken or spare < 2 * self.step:
            return
        number = max(taken, key=lambda guest: (taken[guest], -guest))
        self.taken[number] -= self.step
        vm = self.simulation.vms[number]
        vm.resize(vm.guest.memory_bytes - self.taken[number] * PAGE_BYTES)

    def _set_period(self, vm: VM) -> None:
        if not self.core.has_period(vm.number):
            return
        wanted = self.core.ask("period", self.core.sees_host(), self.core.sees_guest(vm.number))
        if wanted is None:
            return
        try:
            ns = 0 if isinstance(wanted, bool) else parse_duration(wanted, "period")
        except HintingError:
            ns = 0
        if ns < 1:
            self.core.refuse("period", wanted, "a time above 0 in ns or as '500ms', or None")
            return
        self.core.set_period(vm.number, ns)
