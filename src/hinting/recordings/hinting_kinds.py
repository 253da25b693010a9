"""The strategies that recorded kernels ran, and what a replay has to know of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hinting._core.engine.replay import Events
from hinting._core.engine.replay_hinting import HintingReplay
from hinting._core.engine.replay_reporting import ReportingReplay
from hinting._core.mm.allocator import Allocator
from hinting.recordings.reader import Recording
from hinting.recordings.reporting_state import reporting_differences, reporting_of
from hinting.recordings.v8_state import v8_differences, v8_of

__all__ = ["KINDS", "HintingKind", "kind_of"]

_Replay = HintingReplay | ReportingReplay


def _v8(recording: Recording, allocator: Allocator, core: Any, events: Events, _judged: bool) -> HintingReplay:
    return HintingReplay(allocator, core, events, pressure=not recording.undisturbed)


def _reporting(recording: Recording, allocator: Allocator, core: Any, events: Events, judged: bool) -> ReportingReplay:
    by_steps = judged or recording.ncpus > 1
    return ReportingReplay(allocator, core, events, step_by_step=by_steps, pressure=not recording.undisturbed)


@dataclass(frozen=True)
class HintingKind:
    """A strategy in recordings.

    is_in: whether a recording has it. is_own: it is the emulated one at request level too, where only its moments are
    inputs. core_of: (recording, allocator) -> the compiled strategy as it was at the start, attached. replay:
    (recording, allocator, core, events, judged) -> the replay. differences: (recording, allocator, core) -> what of the
    strategy does not end as recorded, in words.
    """

    name: str
    is_in: Callable[[Recording], bool]
    is_own: bool
    core_of: Callable[[Recording, Allocator], Any]
    replay: Callable[[Recording, Allocator, Any, Events, bool], _Replay]
    differences: Callable[[Recording, Allocator, Any], list[str]]


KINDS = (
    HintingKind("hinting v8", lambda recording: recording.has_v8, False, v8_of, _v8, v8_differences),
    HintingKind(
        "page reporting", lambda recording: recording.has_reporting, True, reporting_of, _reporting, reporting_differences
    ),
)


def kind_of(recording: Recording) -> HintingKind | None:
    """The strategy that a recording has, if any."""
    return next((kind for kind in KINDS if kind.is_in(recording)), None)
