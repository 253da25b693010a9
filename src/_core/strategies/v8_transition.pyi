from hinting._core.strategies.hooks import Strategy

class V8Transition(Strategy):
    """The compiled strategy; the parameters are those of hinting.strategies.V8Transition, checked there."""

    def __init__(
        self, *, entries: int, return_position: str, host_action: str, call_pages: int, wake_latency_ns: int
    ) -> None: ...
    def counters_by_name(self) -> dict[str, int]:
        """What the counters of v8-stats would say, KiB."""
