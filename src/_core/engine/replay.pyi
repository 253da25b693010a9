from collections.abc import Mapping, Sequence

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

def request_level(allocator: Allocator, events: Events, stop: int = -1, pressure: bool = False) -> dict[str, int]:
    """Replay at request level; returns the tally."""
