from hinting._core.engine.replay import Events
from hinting._core.mm.allocator import Allocator
from hinting._core.strategies.page_reporting import PageReporting

def reporting_level(
    allocator: Allocator, strategy: PageReporting, events: Events, stop: int = -1
) -> tuple[dict[str, int], dict[str, int]]:
    """Replay at hinting level; returns (tally of the requests, answers)."""
