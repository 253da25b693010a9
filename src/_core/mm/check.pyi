from hinting._core.mm.allocator import Allocator

def check(allocator: Allocator) -> None:
    """Verify all invariants; raises CheckError naming the first that fails."""

def isolated_pages(allocator: Allocator) -> list[int]:
    """Pages held outside the lists by isolation, by zone."""
