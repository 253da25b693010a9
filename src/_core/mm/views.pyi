import numpy as np
from numpy.typing import NDArray

from hinting._core.mm.allocator import Allocator

def pagetypeinfo(allocator: Allocator) -> NDArray[np.int64]:
    """Free blocks by zone, migratetype and order, shape (4, 5, 11), counted by walking the lists."""
