"""A guest's VMM: its own memory, and how reports reach it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from hinting._core.costs import Costs
from hinting._core.engine.simulation import TRANSPORTS
from hinting._core.host.host import vmm_memory_frames
from hinting.errors import HostError
from hinting.guests.memory_map import MIB_PAGES
from hinting.units import parse_duration

if TYPE_CHECKING:
    from hinting._core.host.ram import Backing
    from hinting.guest import Guest
    from hinting.host import Host

__all__ = ["BACKINGS", "check_backing", "check_transport", "populate", "vmm_frames"]

#: What guest RAM can be made of: how the host's core calls it, and the frames of a huge page if it is of those.
BACKINGS = {
    "anonymous": ("anonymous", None),
    "memfd": ("memfd", None),
    "hugetlb-2M": ("hugetlb", 512),
    "hugetlb-1G": ("hugetlb", 262144),
}


def check_backing(backing: str, locked: bool, host: Host, guest: Guest) -> str:
    """How the host's core calls it; HostError if host or strategy cannot have such a guest."""
    if backing not in BACKINGS:
        raise HostError(f"backing must be one of {', '.join(BACKINGS)}, got {backing!r}")
    made_of, page = BACKINGS[backing]
    if page is not None:
        if host.memory.pool[1] == 0 or host.memory.pool[0] != page:
            raise HostError(f"backing: {backing} needs a host with huge pages of that size, see its hugepages and hugepage_size")
        if guest.memory_map.npfn % page:
            raise HostError(f"backing: {backing} needs memory in whole pages of that size, got {guest.memory_bytes} bytes")
    if guest.strategy is not None:
        guest.strategy.check_backing(backing, locked)
    return made_of


def populate(backing: Backing, ram: Iterable[tuple[int, int]]) -> float:
    """Back all RAM before the guest starts; the VMM's time, ns. HostError if the host has not the memory: the VMM is gone."""
    ns = 0.0
    for first, end in ram:
        done = backing.populate(first, end - first)
        ns += done.stall_ns
        if not done.ok:
            backing.remove()
            raise HostError(f"prealloc: the host has no memory for all {backing.npfn} pages of the guest")
    return ns


def check_transport(transport: str, poll: int | str) -> int:
    """The time of polling, ns."""
    if transport == "shared-bitmap":
        raise HostError("transport: shared-bitmap is how the strategy hyperalloc works by itself; others need a message")
    if not isinstance(transport, str) or transport not in TRANSPORTS:
        raise HostError(f"transport must be one of {', '.join(TRANSPORTS)}, got {transport!r}")
    poll_ns = parse_duration(poll, "poll")
    if poll_ns and transport == "hypercall":
        raise HostError(f"poll: a hypercall has no queue to poll, got {poll!r}")
    return poll_ns


def vmm_frames(costs: Costs, vcpus: int, vmm: str, iothreads: int, graphics: bool) -> int:
    """Frames of a VMM beside guest RAM and page tables."""
    if vmm not in ("qemu", "firecracker"):
        raise HostError(f"vmm must be qemu or firecracker, got {vmm!r}")
    if isinstance(iothreads, bool) or not isinstance(iothreads, int) or not 0 <= iothreads <= 1024:
        raise HostError(f"iothreads must be a whole number between 0 and 1024, got {iothreads!r}")
    if vmm == "qemu":
        return vmm_memory_frames(costs, vcpus, iothreads, graphics)
    if iothreads or graphics:
        raise HostError("vmm: firecracker has neither I/O threads nor graphics")
    return int(costs["size.vmm_firecracker_mib"] * MIB_PAGES)
