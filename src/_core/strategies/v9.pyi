from hinting._core.strategies.runs_strategy import Runs

class V9(Runs):
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
