"""Twins: two guests that were made alike, one driven in batches and one page by page."""

from hinting import Guest, gfp

__all__ = ["KERNELS", "assert_alike", "gfp_number", "state", "twins"]

KERNELS = ("linux-5.0", "linux-6.1", "linux-6.12")
MEMORY = "512MiB"


def twins(kernel: str, **options) -> tuple[Guest, Guest]:
    return Guest(MEMORY, kernel=kernel, **options), Guest(MEMORY, kernel=kernel, **options)


def gfp_number(guest: Guest, request: gfp.Gfp) -> int:
    return gfp.value(request, guest.allocator.kernel)


def state(guest: Guest) -> dict:
    """Everything that decides what the allocator does next."""
    allocator = guest.allocator
    zones = allocator.zones()
    return {
        "free": allocator.free_lists(),
        "pcp": allocator.pcp_lists(),
        "zones": [allocator.zone_state(zone) for zone in zones],
        "pcp state": [allocator.pcp_state(zone, cpu) for zone in zones for cpu in range(allocator.ncpus)],
        "types": allocator.block_types(),
        "stalls": (allocator.allocstall, allocator.kswapd_wakeups),
        "counters": guest.counters(),
    }


def assert_alike(one: Guest, other: Guest) -> None:
    found, expected = state(one), state(other)
    for name, value in expected.items():
        assert found[name] == value, name
    one.check()
