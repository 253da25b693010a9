"""Plain Python policies: a policy object for each guest, the line of a fault, and the watchdog for endless hooks."""

from __future__ import annotations

import threading
import traceback
import weakref
from pathlib import Path
from typing import Any

from hinting._core.strategies.external import External
from hinting._core.strategies.faults import Fault
from hinting._core.strategies.python_hooks import PythonHooks
from hinting.errors import StrategyError
from hinting.strategies.user import PythonStrategy, place_of

__all__ = ["line_of", "python_core", "watch"]

_PACKAGE = str(Path(__file__).resolve().parents[1])
_RUNNING: weakref.WeakSet[Any] = weakref.WeakSet()
_WATCH_S = 0.2


def python_core(spec: PythonStrategy) -> External:
    """A new policy object with the parameters as attributes, behind the border."""
    policy: Any = object.__new__(spec.plain)
    for name in spec.parameters():
        setattr(policy, name, getattr(spec, name))
    settings = spec.settings()
    limit = getattr(spec, "time_limit_s", 10.0)
    if isinstance(limit, bool) or not isinstance(limit, int | float) or not limit > 0:
        raise StrategyError(f"strategy {spec.name}: time_limit_s must be a number above 0, got {limit!r}")
    hooks = PythonHooks(policy, settings["batch"], limit, settings, lambda fault: _place(spec, fault))
    core = External(spec.name)
    core.hold(hooks)
    watch(hooks)
    return core


def _place(spec: PythonStrategy, fault: Fault) -> str:
    """Where in the policy's source an exception or a refused request came from."""
    if fault.raised is not None and (line := line_of(fault.raised)):
        return line
    return place_of(spec.hooks[fault.hook]) if fault.hook in spec.hooks else ""


def line_of(raised: BaseException) -> str:
    """`file.py:12` of the last line outside this package that an exception came through, or nothing."""
    for frame in reversed(traceback.extract_tb(raised.__traceback__)):
        if not frame.filename.startswith(_PACKAGE) and not frame.filename.endswith(".pyx"):
            return f"{Path(frame.filename).name}:{frame.lineno}"
    return ""


def watch(hooks: Any) -> None:
    """Let the watchdog look after these hooks, from now on."""
    start = not _RUNNING
    _RUNNING.add(hooks)
    if start:
        threading.Thread(target=_watchdog, name="hinting-watchdog").start()


def _watchdog() -> None:
    """End hooks that take longer than their limit, as long as the program runs and there are any hooks at all."""
    main = threading.main_thread()
    while main.is_alive() and len(_RUNNING):
        main.join(_WATCH_S)
        for hooks in list(_RUNNING):
            hooks.interrupt_if_late()
        hooks = None
