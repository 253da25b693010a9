from hinting._core.strategies.hooks import Strategy

RESIZE: int
SCAN: int

class HyperAlloc(Strategy):
    """The compiled HyperAlloc of one guest; the parameters are those of hinting.strategies.HyperAlloc."""

    def __init__(self, *, order: int, trees: int) -> None: ...
    @property
    def is_short(self) -> bool:
        """Whether a resize has not got all frames that it wants."""

    def is_at_work(self, ticket: int) -> bool:
        """Whether the VMM is at work for this ticket."""

    def frames(self) -> dict[str, list[int]]:
        """First pages of the frames by state: {"evicted": [...], "hard": [...], "installed": [...]}."""
