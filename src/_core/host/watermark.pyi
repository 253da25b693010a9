from collections.abc import Iterable
from typing import NamedTuple

__all__ = ["Watermarks", "host_watermarks", "host_zones"]

class Watermarks(NamedTuple):
    min: int
    low: int
    high: int

def host_zones(frames: int) -> tuple[int, int, int]: ...
def host_watermarks(
    zones: Iterable[int], *, thp: bool = True, scale_factor: int = 10, min_kbytes: int | None = None
) -> tuple[int, list[Watermarks]]: ...
