from collections.abc import Mapping, Sequence

from hinting._core.strategies.hooks import Strategy

class V8(Strategy):
    """The compiled v8 strategy; the parameters are those of hinting.strategies.V8, checked there."""

    @property
    def counted(self) -> bool: ...
    def __init__(
        self,
        *,
        entries: int,
        min_order: int,
        drain: str,
        scan_drop_non_buddy: bool,
        dedup: str,
        return_position: str,
        host_action: str,
        call_pages: int,
        wake_latency_ns: int,
        idle_flush_ns: int,
        isolation_cap: int,
        isolate_min_order: int,
        counted: bool,
    ) -> None: ...
    def captured(self, cpu: int = 0) -> list[tuple[int, int, int]]:
        """Entries of a CPU's captured array: [(pfn, order, zone), ...]."""

    def load(self, cpu: int, captured: Sequence[tuple[int, int, int]], counters: Mapping[str, int] | None) -> None:
        """Take over a CPU's captured array [(pfn, order, zone), ...] and, if given, the nine counters (KiB)."""

    def counters_by_name(self) -> dict[str, int]:
        """The nine counters by the names of the code, KiB."""

    def remove_device(self) -> None:
        """The balloon driver is removed: pages are captured and blocks isolated as before, but nothing is reported."""
