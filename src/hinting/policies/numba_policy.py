"""on_report of a policy, compiled by Numba."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from hinting._core.engine.host_policy import GUEST_DTYPE, HOST_DTYPE, RAISED, RANGE_DTYPE
from hinting.errors import PolicyError
from hinting.policies.host import HostPolicy
from hinting.records import fill_parameters, record_of
from hinting.strategies.user import place_of

try:
    import numba
    from numba import types
except ModuleNotFoundError as error:
    raise PolicyError("policies compiled by Numba need Numba: pip install 'hinting[numba]' (or write @policy without numba=True)"
                      ) from error

__all__ = ["compile_policy"]

_COMPILED: dict[tuple[type, np.dtype], Any] = {}


def compile_policy(spec: HostPolicy, policy: Any) -> dict[str, Any]:
    """Arguments of the core: the address of the compiled on_report, its state, and the hook in Python.

    The policy object gets the state's record as `state`. Raises PolicyError for what does not compile.
    """
    layout = record_of(spec, _described(spec), f"policy {spec.name}: state()", PolicyError)
    state = np.zeros(1, layout)
    fill_parameters(state, spec)
    record = state.view(np.recarray)[0]
    policy.state = record
    key = (type(spec), layout)
    if key not in _COMPILED:
        _COMPILED[key] = _compile(spec, layout)
    hook = spec.hooks["on_report"]

    def again(host: Any, guest: Any, ranges: Any) -> Any:
        with np.errstate(all="raise"):  # as compiled code does
            return hook(record, host, guest, ranges)

    return {"address": _COMPILED[key].address, "state": state.ctypes.data, "owner": (state, _COMPILED[key]), "again": again}


def _described(spec: HostPolicy) -> Any:
    """What the class's state() says, {} without one."""
    if not hasattr(spec.plain, "state"):
        return {}
    try:
        return spec.plain.state()
    except TypeError as error:
        raise PolicyError(f"policy {spec.name}: state() must be a static method without arguments: {error}") from error


def _compile(spec: HostPolicy, layout: np.dtype) -> Any:
    hook = spec.hooks["on_report"]
    user = numba.njit(boundscheck=spec.boundscheck)(hook)
    blocks = numba.from_dtype(RANGE_DTYPE)
    try:
        user.compile((numba.from_dtype(layout), numba.from_dtype(HOST_DTYPE), numba.from_dtype(GUEST_DTYPE), blocks[::1]))
    except Exception as error:  # whatever Numba's passes raise: not all of it is a NumbaError
        text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
        said = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith(("Failed", "During", "File"))]
        reason = f"no record has a field {error}" if isinstance(error, KeyError) else (said or [type(error).__name__])[0]
        raise PolicyError(f"policy {spec.name}: on_report ({place_of(hook)}) does not compile: {reason}") from error

    @numba.cfunc(types.int32(types.voidptr, types.voidptr, types.voidptr, types.voidptr, types.int64))
    def entry(state, host, guest, ranges, n):  # type: ignore[no-untyped-def]
        answer = RAISED
        try:
            answer = user(numba.carray(state, 1, layout)[0], numba.carray(host, 1, HOST_DTYPE)[0],
                          numba.carray(guest, 1, GUEST_DTYPE)[0], numba.carray(ranges, n, RANGE_DTYPE))
        except Exception:
            answer = RAISED
        return np.int32(answer)

    return entry
