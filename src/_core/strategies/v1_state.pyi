from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hinting._core.strategies.v1 import V1

def state(strategy: V1) -> dict[str, NDArray[np.int64]]:
    """What the strategy knows."""

def set_state(strategy: V1, values: Mapping[str, Any]) -> None:
    """Take over a state that `state` gave."""
