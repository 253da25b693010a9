from hinting._core.strategies.hooks import Strategy

class V8MaxOrder(Strategy):
    """The compiled strategy; the parameters are those of hinting.strategies.V8MaxOrder, checked there."""

    def __init__(
        self,
        *,
        entries: int,
        min_order: int,
        asynchronous: bool,
        return_position: str,
        host_action: str,
        call_pages: int,
    ) -> None: ...
    def counters_by_name(self) -> dict[str, int]:
        """The nine counters by the names of the code, KiB."""
