from hinting._core.strategies.v8 import V8

class V8Early(V8):
    """The compiled strategy; the parameters are those of hinting.strategies.V8Early, checked there."""

    def __init__(
        self, *, entries: int, min_order: int, host_action: str, call_pages: int, wake_latency_ns: int
    ) -> None: ...
