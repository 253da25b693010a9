from hinting._core.strategies.hooks import Strategy

class Runs(Strategy):
    """A strategy whose state begins with a runs_t."""

    def counters_by_name(self) -> dict[str, int]:
        """The nine counters by the names of the code, KiB."""
