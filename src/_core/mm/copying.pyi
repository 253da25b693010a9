from hinting._core.mm.allocator import Allocator

def copy_of(allocator: Allocator) -> Allocator:
    """An independent allocator in exactly the same state, without hooks."""

def exchange(one: Allocator, other: Allocator) -> None:
    """Exchange the states of two allocators of the same kernel and size; each keeps its hooks."""
