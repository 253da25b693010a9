from hinting._core.engine.replay import Events
from hinting._core.mm.allocator import Allocator

def state_level(allocator: Allocator, events: Events, stop: int = -1) -> dict[str, int]:
    """Replay at state level; returns the tally."""
