from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hinting._core.strategies.v8 import V8

def state(strategy: V8) -> dict[str, NDArray[np.int64]]:
    """Captured and isolated arrays, counters and where each CPU's thread stands."""

def set_state(strategy: V8, values: Mapping[str, Any]) -> None:
    """Take over a state that `state` gave."""
