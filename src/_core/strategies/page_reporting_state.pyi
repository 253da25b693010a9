from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hinting._core.strategies.page_reporting import PageReporting

def state(strategy: PageReporting) -> dict[str, NDArray[np.int64]]:
    """What the strategy knows."""

def set_state(strategy: PageReporting, values: Mapping[str, Any]) -> None:
    """Take over a state that `state` gave."""
