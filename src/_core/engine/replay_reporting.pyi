from hinting._core.engine.replay import Events
from hinting._core.engine.replay_request import RequestReplay
from hinting._core.mm.allocator import Allocator
from hinting._core.strategies.page_reporting import PageReporting

class ReportingReplay(RequestReplay):
    """strategy: attached to the allocator. step_by_step: the recorded decisions set the pace and are judged."""

    def __init__(
        self, allocator: Allocator, strategy: PageReporting, events: Events, *, step_by_step: bool, pressure: bool = False
    ) -> None: ...
    def answers(self) -> dict[str, int]:
        """How many decisions were recorded, how many of ours were the same, and the first that was not."""
