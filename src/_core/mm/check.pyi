from hinting._core.mm.allocator import Allocator

def check(allocator: Allocator, on_their_way: bool = False) -> None:
    """Verify all invariants; raises CheckError naming the first that fails.

    on_their_way: blocks may have passed the free hook without having reached a list.
    """

def isolated_pages(allocator: Allocator) -> list[int]:
    """Pages held outside the lists by isolation, by zone."""
