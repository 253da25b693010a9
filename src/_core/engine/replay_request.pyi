from hinting._core.engine.replay import Events, Replay
from hinting._core.mm.allocator import Allocator

class RequestReplay(Replay):
    """pressure: reclaim or compaction acted, take their recorded effects as inputs."""

    def __init__(self, allocator: Allocator, events: Events, *, pressure: bool = False) -> None: ...
