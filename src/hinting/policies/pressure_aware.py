"""The default answer to "what if the host has memory to spare?"."""

from __future__ import annotations

from typing import Any

from hinting.parameters import parameter
from hinting.policies.host import policy

__all__ = ["PressureAware"]


@policy
class PressureAware:
    """Reports are discarded at once while less than twice the high watermark is free on the host, else deferred: a guest that
    uses the memory again soon finds it still there, and what it does not use goes when the host runs short, or when max_age is
    over.
    """

    name = "pressure-aware"
    source = "host slack: Linux's watermarks"

    max_age: int = parameter(60_000_000_000, "how long what was deferred may stay", unit="ns", low=1, high=10**15)

    def on_report(self, host: Any, guest: Any, ranges: Any) -> str:
        """Defer while there is slack."""
        return "discard" if host.free < 2 * host.wmark_high else "defer"
