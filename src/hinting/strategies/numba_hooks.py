"""Hooks compiled by Numba: each becomes a C function whose address the hook table takes.

`self` in a hook is the record of the CPU that runs it: the fields of state() and the parameters (a choice among texts
as its number). `guest` has the methods below; each is one call of a C function of hinting._core.api. Numba is imported
when this module is, that is when the first such strategy is made.
"""

from __future__ import annotations

import dis
import re
from pathlib import Path
from typing import Any

import numpy as np

from hinting._core.strategies.external import External
from hinting._core.strategies.faults import Fault
from hinting.errors import StrategyError
from hinting.records import fill_parameters, layout_of, record_of
from hinting.strategies.user import HOOKS, NumbaStrategy, place_of

try:
    from hinting.strategies.numba_guest import GUEST_METHODS, compile_hook
except ModuleNotFoundError as error:
    raise StrategyError("strategies compiled by Numba need Numba: pip install 'hinting[numba]' "
                        "(or write @strategy(numba=False) for plain Python)") from error

__all__ = ["NumbaHooks", "numba_core"]

#: Compiled hooks by class and layout of the state.
_COMPILED: dict[tuple[type, np.dtype, np.dtype | None], dict[str, Any]] = {}


class NumbaHooks:
    """The state of one guest's strategy, and the compiled hooks that work on it.

    state: a structured array with one record a CPU. shared: one record for the guest, None without shared().
    """

    def __init__(self, spec: NumbaStrategy) -> None:
        self.spec = spec
        described = spec.state() if hasattr(spec, "state") else {}
        self.layout = record_of(spec, described, f"strategy {spec.name}: state()", StrategyError)
        self.shared_layout: np.dtype | None = None
        if hasattr(spec, "shared"):
            self.shared_layout = layout_of(spec.shared(), f"strategy {spec.name}: shared()", StrategyError)
        self.compiled = _compiled(spec, self.layout, self.shared_layout)
        self.state: np.ndarray | None = None
        self.shared: np.ndarray | None = None

    def prepare(self, core: External, n_cpus: int, n_pages: int) -> None:
        """Allocate the state for a guest and fill the core's table."""
        offset = self.shared_layout.itemsize if self.shared_layout is not None else 0
        offset = (offset + 63) // 64 * 64
        memory = np.zeros(offset + n_cpus * self.layout.itemsize + 64, np.uint8)
        memory = memory[-memory.ctypes.data % 64:]      # as aligned as the fields expect
        self.state = memory[offset : offset + n_cpus * self.layout.itemsize].view(self.layout)
        if self.shared_layout is not None:
            self.shared = memory[: self.shared_layout.itemsize].view(self.shared_layout)
        fill_parameters(self.state, self.spec)
        setup = getattr(self.spec, "setup", None)
        if setup is not None:
            setup(self.state)
        addresses = {name: hook.address for name, hook in self.compiled.items()}
        core.fill_addresses(addresses, self.spec.settings(), memory.ctypes.data, self)

    def counters(self) -> dict[str, int]:
        """The class's counters, summed over the CPUs: fields by name, by label, or what its function makes of them."""
        chosen = getattr(self.spec, "counters", ())
        if callable(chosen):
            return dict(chosen(self.state))
        labels = chosen if isinstance(chosen, dict) else {field: field for field in chosen}
        return {label: int(self.state[field].sum()) for field, label in labels.items()}  # type: ignore[index]

    def where(self, fault: Fault) -> str:
        """The line that a fault comes from, or the lines that it can come from."""
        hook = self.spec.hooks.get(fault.hook)
        if hook is None:
            return ""
        if fault.raised is not None and fault.raised.__traceback__ is not None:
            frame = fault.raised.__traceback__
            while frame.tb_next is not None:
                frame = frame.tb_next
            if frame.tb_frame.f_code.co_filename == hook.__code__.co_filename:
                return place_of(hook, frame.tb_lineno)
        lines = sorted(_lines_of(hook, fault.ask)) if fault.ask else []
        return place_of(hook, lines[0]) + "".join(f" or {line}" for line in lines[1:]) if lines else place_of(hook)


def numba_core(spec: NumbaStrategy) -> External:
    """The compiled hooks with a state of their own, behind the border."""
    core = External(spec.name)
    core.hold(NumbaHooks(spec))
    return core


def _lines_of(hook: Any, method: str) -> set[int]:
    """Lines of a hook that call this method of its guest."""
    return {instruction.positions.lineno for instruction in dis.get_instructions(hook)
            if instruction.argval == method and instruction.positions and instruction.positions.lineno}


def _compiled(spec: NumbaStrategy, layout: np.dtype, shared: np.dtype | None) -> dict[str, Any]:
    key = (type(spec), layout, shared)
    if key not in _COMPILED:
        _COMPILED[key] = {name: _compile(spec, name, layout, shared) for name in spec.hooks}
    return _COMPILED[key]


def _compile(spec: NumbaStrategy, name: str, layout: np.dtype, shared: np.dtype | None) -> Any:
    hook = spec.hooks[name]
    try:
        return compile_hook(hook, len(HOOKS[name]), layout, shared, spec.boundscheck)
    except Exception as error:  # whatever Numba's passes raise: not all of it is a NumbaError
        text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
        file = re.escape(Path(hook.__code__.co_filename).name)
        lines = re.findall(rf'File "(?:[^"]*/)?{file}", line (\d+)', text)
        place = place_of(hook, int(lines[-1])) if lines else place_of(hook)
        raise StrategyError(f"strategy {spec.name}: {name} ({place}) does not compile: "
                            f"{_reason(error, text, layout)}") from error


#: Lines of Numba's messages that say where it was, not what is wrong.
_NOISE = re.compile(r"$|Failed in|No (conversion|implementation|match)|>>>|There are|- |Overload in|Intrinsic in|"
                    r"With argument|Rejected as|raised from|None$|During|File |\w+Error: Failed in")


def _reason(error: Exception, text: str, layout: np.dtype) -> str:
    """The one line of Numba's message that says what is wrong, with what would be legal."""
    found = re.search(r"Unknown attribute '(\w+)' of type Guest", text)
    if found:
        return f"guest has no {found[1]}, expected one of {', '.join(GUEST_METHODS)}"
    found = re.search(r"GuestType'>, '(\w+)'\) for Guest", text)
    if found and re.search(r"missing a required argument|too many positional|unexpected keyword", text):
        return f"guest.{found[1]} takes ({GUEST_METHODS[found[1]][1]})"
    if "shared" in text and re.search(r"\(none\)\.|of type none", text):
        return "guest.shared is used: expected a method shared() that says its fields, as state() does"
    if isinstance(error, KeyError):     # Numba's lookup of a field
        return f"self has no field {error}, expected one of {', '.join(layout.names or ())}"
    for line in text.splitlines():
        if not _NOISE.match(line.strip()):
            return re.sub(r"^\w+Error: ", "", line.strip())
    return text.splitlines()[0] if text else type(error).__name__
