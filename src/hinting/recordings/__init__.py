"""Recordings of real kernels: the allocator's state at two moments, and every event between them."""

from hinting.recordings.reader import EVENT_COLUMNS, Recording, is_recording
from hinting.recordings.replay import LEVELS, Difference, ReplayResult, replay
from hinting.recordings.snapshot import allocator_of, lists_of

__all__ = [
    "EVENT_COLUMNS",
    "LEVELS",
    "Difference",
    "Recording",
    "ReplayResult",
    "allocator_of",
    "is_recording",
    "lists_of",
    "replay",
]
