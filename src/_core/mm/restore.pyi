from collections.abc import Mapping
from typing import Any

from hinting._core.kernel import Kernel
from hinting._core.mm.allocator import Allocator

def from_state(kernel: Kernel, state: Mapping[str, Any]) -> Allocator:
    """A new allocator in the state that these arrays describe; PageError for whatever contradicts itself."""
