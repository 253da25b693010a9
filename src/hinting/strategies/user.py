"""Strategies of users: `@strategy` turns a class with hooks into one that is used like the built-in ones.

Compiled by Numba (the default) or called in batches as plain Python (`numba=False`). The class says its parameters
with `parameter(...)`, its settings as attributes, and what it does in hooks; docs/write-a-strategy.md explains all.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any, ClassVar, overload

from hinting._core.strategies.external import ACTIONS, PAGE_COMPOUND, PAGE_FREE, PAGE_OTHER, PAGE_USED, External
from hinting.errors import HintingError, StrategyError
from hinting.strategies.base import StrategySpec

__all__ = ["HOOKS", "PAGE_COMPOUND", "PAGE_FREE", "PAGE_OTHER", "PAGE_USED", "SETTINGS", "NumbaStrategy",
           "PythonStrategy", "UserStrategy", "body_of", "fields_of", "name_of", "place_of", "strategy", "strategy_of"]

#: Hooks and their arguments besides self. Plain Python gets arrays for pfn and order.
HOOKS = {
    "on_free": ("guest", "cpu", "pfn", "order"),
    "on_alloc": ("guest", "cpu", "pfn", "order"),
    "on_merged": ("guest", "cpu", "pfn", "order"),
    "on_thread": ("guest", "cpu"),
    "on_timer": ("guest", "cpu"),
    "on_host_done": ("guest", "cpu", "ticket"),
}
#: Hooks that something outside the strategy calls first.
STARTING = ("on_free", "on_alloc", "on_merged", "on_timer")

#: Settings, as attributes or as parameters of the class, with their defaults and lowest value.
SETTINGS: dict[str, tuple[Any, int]] = {
    "timer_ns": (0, 0),
    "wake_latency_ns": (10_000, 0),
    "call_pages": (0, 0),
    "step_budget": (0, 0),
    "descriptors": (0, 0),
    "batch": (512, 1),
}


class UserStrategy(StrategySpec):
    """Base of what `@strategy` makes: the parameters; the hooks stay in the class as it was written."""

    #: The class as it was written.
    plain: ClassVar[type]
    #: Its hooks.
    hooks: ClassVar[dict[str, FunctionType]]

    def settings(self) -> dict[str, Any]:
        """Settings as the cores take them. Raises StrategyError for one that is out of range."""
        values: dict[str, Any] = {}
        for key, (default, low) in SETTINGS.items():
            value = getattr(self, key, default)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value < 1 << 40:
                raise StrategyError(f"strategy {self.name}: {key} must be a whole number of at least {low}, "
                                    f"got {value!r}")
            values[key] = value
        action = getattr(self, "host_action", "dontneed")
        if action not in ACTIONS:
            raise StrategyError(f"strategy {self.name}: host_action must be one of {', '.join(ACTIONS)}, "
                                f"got {action!r}")
        values["host_action"] = ACTIONS[action]
        values["synchronous"] = bool(getattr(self, "synchronous", False))
        return values


class PythonStrategy(UserStrategy):
    """A strategy whose hooks are called as plain Python, once for a filled batch."""

    def core(self) -> External:
        """A new policy object for one guest, behind the border."""
        from hinting.strategies.python_hooks import python_core

        return python_core(self)


class NumbaStrategy(UserStrategy):
    """A strategy whose hooks Numba compiles; `self` in a hook is the record of the CPU that runs it."""

    boundscheck: ClassVar[bool] = True

    def core(self) -> External:
        """The compiled hooks with a new state for one guest."""
        from hinting.strategies.numba_hooks import numba_core

        return numba_core(self)


@overload
def strategy(cls: type, /) -> type[UserStrategy]: ...
@overload
def strategy(*, numba: bool = True, boundscheck: bool = True) -> Callable[[type], type[UserStrategy]]: ...
def strategy(cls: type | None = None, /, *, numba: bool = True, boundscheck: bool = True) -> Any:
    """Make a strategy of a class with hooks.

    numba: compile the hooks, else call them as plain Python in batches. boundscheck: an index outside an array of the
    state is an error; without it such an index corrupts memory.

    Raises StrategyError that names the hook and its line, the legal signature and what was given.

    >>> import hinting
    >>> @hinting.strategy(numba=False)
    ... class CountFrees:
    ...     def setup(self, n_cpus):
    ...         self.pages = 0
    ...     def on_free(self, guest, cpu, pfns, orders):
    ...         self.pages += int((1 << orders).sum())
    ...     def counters(self):
    ...         return {"pages": self.pages}
    >>> guest = hinting.Guest("1GiB", strategy=CountFrees())
    """
    if cls is None:
        return lambda plain: strategy_of(plain, numba, boundscheck)
    return strategy_of(cls, numba, boundscheck)


def strategy_of(plain: type, numba: bool, boundscheck: bool) -> type[UserStrategy]:
    """What `@strategy` returns for a class."""
    if not isinstance(plain, type):
        raise StrategyError(f"@strategy expects a class with hooks, got {plain!r}")
    if issubclass(plain, StrategySpec):
        raise StrategyError(f"@strategy: {plain.__name__} is a strategy already: put what is shared into a plain class")
    name = name_of(plain, "strategy", "a guest's strategy starts with", StrategyError)
    hooks = _hooks(plain, name, numba)
    body = {key: value for key, value in body_of(plain).items() if key not in hooks}
    fields = fields_of(plain, body)
    body |= {"name": name, "plain": plain, "hooks": hooks, "source": getattr(plain, "source", "") or place_of(plain),
             "__annotations__": fields}
    if numba:
        body["boundscheck"] = boundscheck
    made = type(plain.__name__, (NumbaStrategy if numba else PythonStrategy,), body)
    return dataclasses.dataclass(frozen=True, kw_only=True)(made)


def name_of(plain: type, kind: str, starts: str, error: type[HintingError]) -> str:
    """The name that a user's class has or gets, V8Again as v8-again. kind, starts: for the error, also if it has an __init__."""
    name = plain.__dict__.get("name") or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", plain.__name__).lower()
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise error(f"{kind} name must be letters, digits, - and _, got {name!r} ({place_of(plain)})")
    if "__init__" in plain.__dict__:
        raise error(f"{kind} {name}: __init__ ({place_of(plain.__dict__['__init__'])}) is made from the parameters: "
                    f"use setup() for what {starts}")
    return name


def body_of(plain: type) -> dict[str, Any]:
    """Everything the class and the plain classes above it define."""
    body: dict[str, Any] = {}
    for base in reversed(plain.__mro__[:-1]):
        body |= {key: value for key, value in base.__dict__.items() if key not in ("__dict__", "__weakref__")}
    return body


def fields_of(plain: type, body: dict[str, Any]) -> dict[str, Any]:
    """Types of the parameters among the class's attributes, Any where it says none."""
    kinds = _annotations(plain)
    found = {key: kinds.get(key, Any) for key, value in body.items() if isinstance(value, dataclasses.Field)}
    return {key: Any if isinstance(kind, str) else kind for key, kind in found.items()}


def _annotations(plain: type) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for base in reversed(plain.__mro__[:-1]):
        found |= inspect.get_annotations(base)
    return found


def _hooks(plain: type, name: str, numba: bool) -> dict[str, FunctionType]:
    """The hooks of a class, with signatures that were checked."""
    found = {key: getattr(plain, key) for key in dir(plain) if key.startswith("on_")}
    for key, hook in found.items():
        if key not in HOOKS:
            raise StrategyError(f"strategy {name}: unknown hook {key} ({place_of(hook)}), "
                                f"expected one of {', '.join(HOOKS)}")
        if not isinstance(hook, FunctionType):
            raise StrategyError(f"strategy {name}: {key} must be a function, got {hook!r}")
        arguments = HOOKS[key] if numba else [{"pfn": "pfns", "order": "orders"}.get(a, a) for a in HOOKS[key]]
        given = inspect.signature(hook)
        plain_ones = [p for p in given.parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        if len(plain_ones) != len(arguments) + 1 or len(given.parameters) != len(plain_ones):
            raise StrategyError(f"strategy {name}: {key} ({place_of(hook)}) must be "
                                f"{key}(self, {', '.join(arguments)}), got {key}{given}")
    if not set(found) & set(STARTING):
        raise StrategyError(f"strategy {name} ({place_of(plain)}): no hook that anything calls, "
                            f"expected at least one of {', '.join(STARTING)}")
    return found


def place_of(thing: Any, line: int | None = None) -> str:
    """`file.py:12` of a function or class, or just its module if there is no source."""
    try:
        if isinstance(thing, FunctionType):
            file, first = thing.__code__.co_filename, thing.__code__.co_firstlineno
        else:
            file, first = inspect.getsourcefile(thing) or "", 0
            if line is None:
                first = inspect.getsourcelines(thing)[1]
    except (OSError, TypeError):
        return getattr(thing, "__module__", "?")
    return f"{Path(file).name}:{line if line is not None else first}"
