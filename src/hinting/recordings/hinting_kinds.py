"""The strategies that recorded kernels ran, and what level hinting has to know of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hinting._core.engine.replay_hinting import hinting_level
from hinting._core.engine.replay_reporting import reporting_level
from hinting.errors import HintingError
from hinting.recordings.reader import Recording
from hinting.recordings.reporting_state import reporting_differences, reporting_of
from hinting.recordings.v8_state import v8_differences, v8_of

__all__ = ["KINDS", "HintingKind", "kind_of"]


@dataclass(frozen=True)
class HintingKind:
    """A strategy in recordings.

    is_in: whether a recording has it. core_of: (recording, allocator) -> the compiled strategy as it was at the start,
    attached. replay: (allocator, core, events, stop) -> (tally, answers). differences: (recording, allocator, core) ->
    what of the strategy does not end as recorded, in words.
    """

    name: str
    is_in: Callable[[Recording], bool]
    core_of: Callable[..., Any]
    replay: Callable[..., tuple[dict[str, int], dict[str, int]]]
    differences: Callable[..., list[str]]


KINDS = (
    HintingKind("hinting v8", lambda recording: recording.has_v8, v8_of, hinting_level, v8_differences),
    HintingKind("page reporting", lambda recording: recording.has_reporting, reporting_of, reporting_level,
                reporting_differences),
)


def kind_of(recording: Recording) -> HintingKind:
    """The strategy that a recording has; HintingError if it has none."""
    for kind in KINDS:
        if kind.is_in(recording):
            return kind
    raise HintingError(f"{recording.path}: level hinting needs a recording of a kernel with "
                       f"{' or '.join(kind.name for kind in KINDS)}, this one is of {recording.meta['kernel']} without")
