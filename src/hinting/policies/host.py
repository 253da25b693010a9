"""Policies of the host: what becomes of a report, whose memory is wanted, who may start. `@policy` makes one of a class.

Hooks, all optional; pages where nothing else is said:

on_report(self, host, guest, ranges): "discard" (the guest's memory is given back now), "defer", "ignore" or "free" (MADV_FREE).
choose_victim(self, host, guests, why): the guest to take memory from (why: "reclaim") or to kill ("oom"); None for nobody, or
for whom the kernel would kill. admit(self, host, guest): whether a guest may start. period(self, host, guest): the period of the
guest's reporting in ns or as "500ms"; None: as it is. setup(self): what it starts with.

host: now_ns, pages, free, wmark_min, wmark_low, wmark_high, swap, swap_used, psi_some, psi_full (percent over ten seconds).
guest: number, memory (configured), held, rss, swapped, deferred, discarded, refaulted, refault_rate (pages a second over ten
seconds), psi_some. ranges: the blocks of the report, with pfn and order. guests: all that run.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any, ClassVar, overload

from hinting.errors import HintingError, PolicyError
from hinting.parameters import Parameters, read
from hinting.strategies import plugins
from hinting.strategies.user import body_of, fields_of, name_of, place_of
from hinting.units import parse_duration, parse_size

__all__ = ["HOOKS", "HostPolicy", "find_policy", "policy", "policy_names"]

#: Hooks and their arguments besides self.
HOOKS = {
    "on_report": ("host", "guest", "ranges"),
    "choose_victim": ("host", "guests", "why"),
    "admit": ("host", "guest"),
    "period": ("host", "guest"),
}
#: How guest memory is given back.
KINDS = ("dontneed", "free")

_REGISTRY: dict[str, type[HostPolicy]] = {}


@dataclasses.dataclass(frozen=True, kw_only=True)
class HostPolicy(Parameters):
    """Base of what `@policy` makes: the parameters and settings; the hooks stay in the class as it was written."""

    _kind: ClassVar[str] = "policy"
    _error: ClassVar[type[HintingError]] = PolicyError
    #: The class as it was written.
    plain: ClassVar[type]
    #: Its hooks.
    hooks: ClassVar[dict[str, FunctionType]] = {}
    #: Whether on_report is compiled.
    compiled: ClassVar[bool] = False
    #: Check indices in it.
    boundscheck: ClassVar[bool] = True

    def time(self, setting: str, default: int | str) -> int:
        """A setting that is a time above 0, ns."""
        value = getattr(self, setting, default)
        try:
            ns = parse_duration(value, setting)
        except HintingError as error:
            raise PolicyError(f"policy {self.name}: {error}") from None
        if ns < 1:
            raise PolicyError(f"policy {self.name}: {setting} must be above 0, got {value!r}")
        return ns

    def size(self, setting: str, default: int | str) -> int:
        """A setting that is a size, bytes."""
        try:
            return parse_size(getattr(self, setting, default), setting)
        except HintingError as error:
            raise PolicyError(f"policy {self.name}: {error}") from None

    def choice(self, setting: str, legal: tuple[Any, ...]) -> Any:
        """A setting with the first legal value as default."""
        value = getattr(self, setting, legal[0])
        if value not in legal:
            raise PolicyError(f"policy {self.name}: {setting} must be one of {', '.join(map(repr, legal))}, got {value!r}")
        return value

    def settings(self) -> dict[str, Any]:
        """All settings, checked."""
        limit = getattr(self, "time_limit_s", 10.0)
        if isinstance(limit, bool) or not isinstance(limit, (int, float)) or not limit > 0:
            raise PolicyError(f"policy {self.name}: time_limit_s must be a number above 0, got {limit!r}")
        return {
            "discard_kind": self.choice("discard_kind", KINDS),
            "merge_ranges": bool(self.choice("merge_ranges", (False, True))),
            "max_age": self.time("max_age", "60s"),
            "interval": self.time("interval", "1s"),
            "reclaim_step": self.size("reclaim_step", "64MiB"),
            "time_limit_s": float(limit),
        }

    def __post_init__(self) -> None:
        super().__post_init__()
        self.settings()


@overload
def policy(cls: type, /) -> type[HostPolicy]: ...
@overload
def policy(*, numba: bool = False, boundscheck: bool = True) -> Callable[[type], type[HostPolicy]]: ...
def policy(cls: type | None = None, /, *, numba: bool = False, boundscheck: bool = True) -> Any:
    """Make a policy of a class with hooks; see the top of this module for them.

    Settings, as attributes or parameters of the class: discard_kind ("dontneed" or "free": what "discard" does); merge_ranges
    (adjacent blocks of a report are given back by one call); max_age ("60s": how long what was deferred may stay); interval
    ("1s": how often period and choose_victim are asked); reclaim_step ("64MiB": how much a victim loses); time_limit_s
    (wall-clock time of one call). numba: compile on_report, which then returns 0 (discard), 1 (defer), 2 (ignore) or 3 (free)
    and has the parameters and the fields of state() in `self`.

    Raises PolicyError that names the hook and its line, the legal signature and what was given.

    >>> import hinting
    >>> @hinting.policy
    ... class Generous:
    ...     def on_report(self, host, guest, ranges):
    ...         return "ignore" if host.free > host.pages / 2 else "discard"
    >>> host = hinting.Host("4GiB", policy=Generous())
    """
    if cls is None:
        return lambda plain: _policy_of(plain, numba, boundscheck)
    return _policy_of(cls, numba, boundscheck)


def _policy_of(plain: type, numba: bool, boundscheck: bool) -> type[HostPolicy]:
    if not isinstance(plain, type):
        raise PolicyError(f"@policy expects a class with hooks, got {plain!r}")
    name = name_of(plain, "policy", "it starts with", PolicyError)
    hooks = _hooks(plain, name)
    if numba and "on_report" not in hooks:
        raise PolicyError(f"policy {name} ({place_of(plain)}): numba=True compiles on_report, which it has not")
    body = {key: value for key, value in body_of(plain).items() if key not in hooks and key not in ("setup", "state")}
    body |= {"name": name, "plain": plain, "hooks": hooks, "compiled": numba, "boundscheck": boundscheck,
             "__annotations__": fields_of(plain, body), "source": getattr(plain, "source", "") or place_of(plain)}
    made: type[HostPolicy] = dataclasses.dataclass(frozen=True, kw_only=True)(type(plain.__name__, (HostPolicy,), body))
    if not plugins.is_reading_file():
        _register(made)
    return made


def _hooks(plain: type, name: str) -> dict[str, FunctionType]:
    """The hooks of a class, with signatures that were checked."""
    for key in dir(plain):
        if key.startswith("on_") and key not in HOOKS:
            raise PolicyError(f"policy {name}: unknown hook {key} ({place_of(getattr(plain, key))}), "
                              f"expected one of {', '.join(HOOKS)}")
    found = {key: getattr(plain, key) for key in HOOKS if hasattr(plain, key)}
    for key, hook in found.items():
        if not isinstance(hook, FunctionType):
            raise PolicyError(f"policy {name}: {key} must be a function, got {hook!r}")
        given = inspect.signature(hook)
        plain_ones = [p for p in given.parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        if len(plain_ones) != len(HOOKS[key]) + 1 or len(given.parameters) != len(plain_ones):
            raise PolicyError(f"policy {name}: {key} ({place_of(hook)}) must be {key}(self, {', '.join(HOOKS[key])}), "
                              f"got {key}{given}")
    if not found and not any(hasattr(plain, setting) for setting in ("discard_kind", "merge_ranges")):
        raise PolicyError(f"policy {name} ({place_of(plain)}): nothing that anything asks for, expected one of "
                          f"{', '.join(HOOKS)}, discard_kind, merge_ranges")
    return found


def _register(cls: type[HostPolicy]) -> None:
    """Make a policy known by its name; the same class may come again, as when a notebook cell is run twice."""
    other = _REGISTRY.get(cls.name)
    own = f"{cls.plain.__module__}.{cls.plain.__qualname__}"
    taken = own if other is None else f"{other.plain.__module__}.{other.plain.__qualname__}"
    if taken != own:
        raise PolicyError(f"policy name {cls.name!r} of {own} is taken by {taken}: set another `name`")
    _REGISTRY[cls.name] = cls


def policy_names() -> tuple[str, ...]:
    """Names of all policies of the host."""
    return tuple(sorted(_REGISTRY))


def find_policy(name: str, parameters: Mapping[str, Any] | None = None) -> HostPolicy:
    """A policy by name or as `path/to/file.py:Class`. Raises PolicyError naming what is unknown and what is legal."""
    if plugins.is_file(name):
        spec: type[HostPolicy] = plugins.from_file(name, HostPolicy)
    elif name in _REGISTRY:
        spec = _REGISTRY[name]
    else:
        raise PolicyError(f"unknown policy {name!r}, expected one of {', '.join(policy_names())}, or path/to/file.py:Class")
    legal = spec.parameters()
    for key in parameters or {}:
        if key not in legal:
            raise PolicyError(f"policy {name}: unknown parameter {key!r}, expected one of {', '.join(legal) or 'none'}")
    return spec(**{key: read(legal[key], value) for key, value in (parameters or {}).items()})
