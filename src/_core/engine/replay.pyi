from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hinting._core.mm.allocator import Allocator

class Events:
    """The columns of a recording as C arrays, in the order in which the rows take effect."""

    def __init__(
        self,
        columns: Mapping[str, NDArray[np.generic]],
        types: Sequence[str],
        order: NDArray[np.int64] | None = None,
    ) -> None: ...
    def __len__(self) -> int: ...
    @property
    def kinds(self) -> NDArray[np.uint8]:
        """Kind of every row."""

def effect_order(events: Events, ncpus: int) -> NDArray[np.int64]:
    """Row numbers in the order in which the rows change the lists."""

class Replay:
    """A replay under way. Its level is the class; `advance` goes on row by row, `result` says what came of it so far."""

    def __init__(self, allocator: Allocator, events: Events) -> None: ...
    @property
    def at(self) -> int:
        """Rows before this one have been replayed."""

    def advance(self, stop: int = -1) -> None:
        """Replay up to the row `stop` (in the order of the events given), -1: to the end."""

    def result(self) -> dict[str, Any]:
        """The tally so far, by name."""
