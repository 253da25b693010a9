from hinting._core.engine.replay import Events
from hinting._core.engine.replay_request import RequestReplay
from hinting._core.mm.allocator import Allocator
from hinting._core.strategies.v8 import V8

class HintingReplay(RequestReplay):
    """strategy: attached to the allocator and loaded with the captured array of the start."""

    def __init__(self, allocator: Allocator, strategy: V8, events: Events, *, pressure: bool = False) -> None: ...
    def answers(self) -> dict[str, int]:
        """How many decisions were recorded, how many of ours were the same, and the first that was not."""
