from collections.abc import Iterable

from hinting._core.strategies.hooks import Strategy

STOP: int
DONE: int

class FreePageHint(Strategy):
    """The compiled hinting of one guest; the parameters are those of hinting.strategies.FreePageHint."""

    def __init__(self, *, gfp: Iterable[str], order: int, shrinker: bool) -> None: ...
    def command(self, cmd: int) -> None:
        """Write free_page_hint_cmd_id: 0 STOP, 1 DONE, else the id of a run. The driver learns it by an interrupt."""

    def shrink(self, pages: int, cpu: int = 0) -> int:
        """Call the shrinker by hand; pages that it gave back, or for 0 that it could."""

    def held(self) -> list[int]:
        """First pages of the blocks that the driver keeps, oldest first."""
