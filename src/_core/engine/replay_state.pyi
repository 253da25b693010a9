from hinting._core.engine.replay import Events, Replay
from hinting._core.mm.allocator import Allocator

class StateReplay(Replay):
    """reporting: the recording has page reporting, whose put backs mark blocks."""

    def __init__(self, allocator: Allocator, events: Events, *, reporting: bool = False) -> None: ...
