from collections.abc import Callable
from typing import Any

from hinting._core.guard import Guard

GUEST_DTYPE: Any
HOST_DTYPE: Any
RANGE_DTYPE: Any
DECISIONS: tuple[str, ...]
RAISED: int

class HostPolicy(Guard):
    """The hooks of a policy, as the engine calls them; one simulation each."""

    def __init__(
        self,
        policy: Any,
        name: str,
        time_limit_s: float,
        *,
        merges: bool,
        lazily: bool,
        locate: Callable[[str, BaseException | None], str],
        address: int = 0,
        state: int = 0,
        owner: Any = None,
        again: Callable[..., Any] | None = None,
    ) -> None: ...
    @property
    def fault(self) -> Exception | None:
        """What the policy was stopped for."""

    def sees_host(self) -> Any:
        """The record of the host as it is now."""

    def sees_guests(self) -> Any:
        """Records of the guests that run, as they are now."""

    def sees_guest(self, number: int) -> Any:
        """The record of one guest as it is now."""

    def asked_victim(self, why: str) -> int | None:
        """The number of the guest that choose_victim names, None for nobody."""

    def check(self) -> None:
        """Raise what the policy was stopped for, once."""

    def ask(self, hook: str, *arguments: Any) -> Any:
        """What a hook returns; None once the policy was stopped."""

    def refuse(self, hook: str, value: Any, expected: str) -> None:
        """Stop the policy: a hook has returned what it may not."""

    def tick(self) -> None:
        """Bring averages up to date."""

    def drop_postponed(self, number: int, max_age_ns: int, goal: int) -> None:
        """Take what was deferred that long ago from a guest, and more, oldest first, until the host has `goal` free pages."""

    def reclaim(self, number: int, pages: int) -> int:
        """Evict so many pages of a guest; returns how many went."""

    def has_period(self, number: int) -> bool:
        """Whether the guest's strategy works by a period or delay."""

    def set_period(self, number: int, ns: int) -> None:
        """Change it, from the next time on."""

    def can_resize(self, number: int) -> bool:
        """Whether the guest's strategy can change its memory."""
