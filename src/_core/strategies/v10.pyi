from hinting._core.strategies.hooks import Strategy

class V10(Strategy):
    """The compiled strategy of v10 to v12; the parameters are those of hinting.strategies.V10 and V12."""

    @property
    def counted(self) -> bool: ...
    def __init__(
        self,
        *,
        min_order: int,
        threshold: int,
        batch: int,
        delay_ns: int,
        return_position: str,
        host_action: str,
        call_pages: int,
        wait: str,
        is_v12: bool,
        counted: bool,
    ) -> None: ...
    def bits(self) -> dict[int, int]:
        """Bits that are set, by zone: {zone index: count}."""

    def bit(self, zone: int, number: int) -> bool:
        """Whether a bit of a zone's bitmap is set."""

    def counts(self) -> dict[int, int]:
        """The zones' counters: {zone index: count}."""
