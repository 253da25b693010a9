"""A guest's VMM: its own memory, and how reports reach it."""

from __future__ import annotations

from hinting._core.costs import Costs
from hinting._core.engine.simulation import TRANSPORTS
from hinting._core.host.host import vmm_memory_frames
from hinting.errors import HostError
from hinting.guests.memory_map import MIB_PAGES
from hinting.units import parse_duration

__all__ = ["check_transport", "vmm_frames"]


def check_transport(transport: str, poll: int | str) -> int:
    """The time of polling, ns."""
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
