from hinting._core.strategies.hooks import Strategy

class VirtioMem(Strategy):
    """The compiled virtio-mem of one guest; the parameters are those of hinting.strategies.VirtioMem."""

    def __init__(self, *, sb_order: int, base: int, retry_first_ns: int, retry_most_ns: int) -> None: ...
    def resize(self, pages: int) -> None:
        """Set the request by hand: pages that shall be unplugged."""

    def plugged(self) -> dict[int, bool]:
        """Sub-blocks of the device's memory as {first pfn: is plugged}, ascending."""
