from typing import Any

from numpy.typing import NDArray

from hinting._core.mm.allocator import Allocator

def state(allocator: Allocator) -> dict[str, NDArray[Any]]:
    """The whole state as {name: NumPy array}, see state_arrays; PageError if a page is just being freed."""
