from collections.abc import Mapping
from typing import Any

class Kernel:
    """A kernel profile for the cores."""

    @property
    def name(self) -> str: ...
    @property
    def gfp(self) -> dict[str, int]: ...
    def __init__(self, name: str, table: Mapping[str, Any]) -> None: ...
    @property
    def pcp_orders(self) -> list[int]:
        """Orders that have per-CPU lists, ascending."""

    @property
    def has_bulk(self) -> bool:
        """Whether the bulk interface exists."""

    @property
    def pcp_tuning(self) -> str:
        """How refills and drains are sized: "fixed", "free-factor" or "auto-tuned"."""

    @property
    def min_free_kbytes_max(self) -> int:
        """Upper clamp of min_free_kbytes, KiB."""
