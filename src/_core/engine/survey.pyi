import numpy as np
from numpy.typing import NDArray

class Survey:
    """Samples of the guests of one Engine."""

    def __init__(self, every_ns: int, most: int = 0) -> None: ...
    def times(self) -> NDArray[np.int64]:
        """When the samples were taken, ns."""

    def pageblocks(self) -> NDArray[np.void]:
        """Pageblocks that were not as in the sample before, as a structured array."""

    def free_blocks(self) -> NDArray[np.void]:
        """Free blocks by order of every living guest in every sample, as a structured array."""
