from hinting._core.strategies.runs_strategy import Runs

class V8MaxOrder(Runs):
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
