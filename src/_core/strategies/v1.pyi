from hinting._core.strategies.hooks import Strategy

class V1(Strategy):
    """The compiled strategy of v1 to v7; the parameters are those of hinting.strategies.V1, checked there."""

    def __init__(
        self,
        *,
        entries: int,
        threshold: int,
        remainder: str,
        track_run: bool,
        stop_allocations: bool,
        host_action: str,
        call_pages: int,
    ) -> None: ...
    def captured(self, cpu: int = 0) -> list[tuple[int, int]]:
        """Entries of a CPU's array: [(pfn, pages), ...]."""
