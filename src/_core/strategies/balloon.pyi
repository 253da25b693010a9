from collections.abc import Iterable

from hinting._core.strategies.hooks import Strategy

STATS_TICKET: int
STATS: dict[str, int]

class Balloon(Strategy):
    """The compiled balloon of one guest; the parameters are those of hinting.strategies.Balloon."""

    def __init__(
        self,
        *,
        gfp: Iterable[str],
        order: int,
        request_blocks: int,
        oom_pages: int,
        retry_ns: int,
        inhibited: bool,
        huge_backing: bool,
        by_shrinker: bool = False,
    ) -> None: ...
    def resize(self, pages: int) -> None:
        """Set the target by hand: pages that shall be in the balloon."""

    def shrink(self, pages: int, cpu: int = 0) -> int:
        """Call the shrinker by hand; pages that it will free, or for 0 that it could."""

    def oom(self, cpu: int = 0) -> int:
        """Call the OOM notifier by hand; pages that it will free."""

    def pages(self) -> list[int]:
        """First pages of the blocks in the balloon, in the order in which the device was told."""

    @property
    def target_pages(self) -> int:
        """num_pages of the device's configuration: what the host wants."""

    @property
    def actual_pages(self) -> int:
        """actual of the device's configuration: what the driver last wrote."""

    @property
    def awaits_statistics(self) -> bool:
        """Whether the statistics buffer is on its way to the host."""

    def guest_statistics(self) -> dict[str, int]:
        """What the statistics queue last brought, by QEMU's names: bytes, numbers of faults; empty before the first time."""
