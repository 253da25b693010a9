"""Everything that decides what a guest does next, to show that a refused call left it as it was."""

from typing import Any

import hinting

__all__ = ["state_of"]


def state_of(guest: hinting.Guest) -> dict[str, Any]:
    allocator = guest.allocator
    zones = allocator.zones()
    return {
        "free lists": allocator.free_lists(),
        "per-CPU lists": allocator.pcp_lists(),
        "zones": [allocator.zone_state(zone) for zone in zones],
        "per-CPU state": [allocator.pcp_state(zone, cpu) for zone in zones for cpu in range(allocator.ncpus)],
        "block types": allocator.block_types(),
        "counters": guest.counters(),
        "captured": guest.strategy_core.captured() if guest.strategy_core is not None else [],
    }
