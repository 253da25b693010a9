from hinting._core.strategies.hooks import Strategy

class V9(Strategy):
    """The compiled v9 strategy; the parameters are those of hinting.strategies.V9, checked there."""

    @property
    def counted(self) -> bool: ...
    def __init__(
        self,
        *,
        entries: int,
        threshold: int,
        min_order: int,
        barrier: int,
        run_in: str,
        lost_answers: bool,
        fail_every: int,
        return_position: str,
        host_action: str,
        call_pages: int,
        wake_latency_ns: int,
        counted: bool,
    ) -> None: ...
    def captured(self, cpu: int = 0) -> list[int]:
        """Blocks noted for a CPU: [pfn, ...]."""

    def counters_by_name(self) -> dict[str, int]:
        """The nine counters by the names of the code, KiB."""
