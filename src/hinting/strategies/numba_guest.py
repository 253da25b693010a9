"""The guest inside a compiled hook: a Numba type whose methods call the C functions of hinting._core.api."""

from __future__ import annotations

import ctypes
from typing import Any

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils, errors
from numba.extending import intrinsic, make_attribute_wrapper, models, overload_method, register_model

from hinting._core import api
from hinting._core.strategies.external import STOPPED, raised_address
from hinting._core.strategies.faults import CompiledHookStopped

__all__ = ["GUEST_METHODS", "GuestType", "compile_hook"]


class GuestType(types.Type):
    """The guest of a hook, with the strategy's shared record if it has one."""

    def __init__(self, shared: Any) -> None:
        self.shared = shared
        super().__init__(name="Guest" if shared is types.none else f"Guest with {shared}")


@register_model(GuestType)
class _GuestModel(models.StructModel):
    def __init__(self, dmm: Any, fe_type: GuestType) -> None:
        super().__init__(dmm, fe_type, [("pointer", types.voidptr), ("shared", fe_type.shared)])


make_attribute_wrapper(GuestType, "pointer", "pointer")
make_attribute_wrapper(GuestType, "shared", "shared")


@intrinsic
def _guest(typingctx: Any, pointer: Any, shared: Any) -> Any:
    """A guest from its pointer and the shared record."""
    kind = GuestType(shared)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        guest = cgutils.create_struct_proxy(kind)(context, builder)
        guest.pointer, guest.shared = arguments
        return guest._getvalue()

    return kind(pointer, shared), generate


@intrinsic
def _behind(typingctx: Any, pointer: Any, n_bytes: Any) -> Any:
    """The address n_bytes behind a pointer."""
    return types.voidptr(types.voidptr, types.int64), lambda context, builder, signature, arguments: builder.gep(
        arguments[0], [arguments[1]])


@numba.njit
def _go_on(answer: int) -> int:
    if answer == STOPPED:
        raise CompiledHookStopped("the strategy was stopped")
    return answer


@numba.njit
def _yes(answer: int) -> bool:
    return _go_on(answer) == 1


@numba.njit
def _or_minus_1(answer: int) -> int:
    return max(-1, _go_on(answer))


@numba.njit
def _none(answer: int) -> None:
    _go_on(answer)


@numba.njit
def _head_and_order(answer: int) -> tuple[int, int]:
    return (-1, 0) if _go_on(answer) < 0 else (answer & 0xFFFFFFFF, answer >> 32 & 0xFF)


@numba.njit
def _kind_head_order(answer: int) -> tuple[int, int, int]:
    _go_on(answer)
    return answer >> 40, answer & 0xFFFFFFFF, answer >> 32 & 0xFF


_I, _L = ctypes.c_int, ctypes.c_int64

#: Methods: name of the C function, arguments, C types of answer and arguments, and what a hook gets for the answer.
GUEST_METHODS: dict[str, tuple[str, str, Any, tuple[Any, ...], Any]] = {
    "block": ("block", "pfn", _L, (_L,), _head_and_order),
    "page": ("page", "pfn", _L, (_L,), _kind_head_order),
    "isolate": ("isolate", "pfn, order", _I, (_L, _L), _yes),
    "report": ("report", "", _I, (), _or_minus_1),
    "reported": ("reported", "ticket, i", _L, (_I, _L), _head_and_order),
    "put_back": ("put_back", "pfn, order, tail=False", _I, (_L, _L, _I), _none),
    "put_back_all": ("put_back_all", "ticket, tail=False", _I, (_I, _I), _none),
    "release": ("release", "tail=False", _I, (_I,), _none),
    "drain": ("drain", "cpu", _L, (_I,), _go_on),
    "wake": ("wake", "", _I, (), _none),
    "first": ("first", "zone, migratetype, order", _L, (_I, _I, _I), _or_minus_1),
    "next": ("next_block", "pfn", _L, (_L,), _or_minus_1),
    "mark_reported": ("mark_reported", "pfn, order", _I, (_L, _L), _yes),
    "is_reported": ("is_reported", "pfn", _I, (_L,), _yes),
    "work": ("work", "captured, compared=0", _I, (_L, _L), _none),
    "free_blocks": ("free_blocks", "zone, order", _L, (_I, _I), _go_on),
    "free_pages": ("free_pages", "zone", _L, (_I,), _go_on),
    "watermark": ("watermark", "zone, which", _L, (_I, _I), _go_on),
    "zone": ("zone", "pfn", _I, (_L,), _or_minus_1),
    "migratetype": ("migratetype", "pfn", _I, (_L,), _go_on),
    "n_pages": ("n_pages", "", _L, (), _go_on),
    "n_cpus": ("n_cpus", "", _I, (), _go_on),
}


def _method(name: str, call: Any, n: int, convert: Any) -> None:
    """Teach Numba a method of the guest with n arguments."""

    def checked(*given: Any) -> None:
        whole = types.Integer | types.Boolean | types.Literal | types.Omitted | int
        if not all(isinstance(kind, whole) for kind in given):
            raise errors.NumbaTypeError(f"guest.{name} takes whole numbers, got {', '.join(map(str, given))}")

    if n == 0:
        def method(guest):  # type: ignore[no-untyped-def]
            return lambda guest: convert(call(guest.pointer))
    elif name == "release":
        def method(guest, tail=False):  # type: ignore[no-untyped-def,misc]
            checked(tail)
            return lambda guest, tail=False: convert(call(guest.pointer, tail))
    elif n == 1:
        def method(guest, a):  # type: ignore[no-untyped-def,misc]
            checked(a)
            return lambda guest, a: convert(call(guest.pointer, a))
    elif name == "put_back_all":
        def method(guest, ticket, tail=False):  # type: ignore[no-untyped-def,misc]
            checked(ticket, tail)
            return lambda guest, ticket, tail=False: convert(call(guest.pointer, ticket, tail))
    elif name == "work":
        def method(guest, captured, compared=0):  # type: ignore[no-untyped-def,misc]
            checked(captured, compared)
            return lambda guest, captured, compared=0: convert(call(guest.pointer, captured, compared))
    elif n == 2:
        def method(guest, a, b):  # type: ignore[no-untyped-def,misc]
            checked(a, b)
            return lambda guest, a, b: convert(call(guest.pointer, a, b))
    elif name == "put_back":
        def method(guest, pfn, order, tail=False):  # type: ignore[no-untyped-def,misc]
            checked(pfn, order, tail)
            return lambda guest, pfn, order, tail=False: convert(call(guest.pointer, pfn, order, tail))
    else:
        def method(guest, a, b, c):  # type: ignore[no-untyped-def,misc]
            checked(a, b, c)
            return lambda guest, a, b, c: convert(call(guest.pointer, a, b, c))
    overload_method(GuestType, name)(method)


for _name, (_function, _, _answer, _arguments, _convert) in GUEST_METHODS.items():
    _call = ctypes.CFUNCTYPE(_answer, ctypes.c_void_p, *_arguments)(api.addresses()[_function])
    _method(_name, _call, len(_arguments), _convert)


@intrinsic
def _call_hook(typingctx: Any, hook: Any, pointer: Any, arguments: Any) -> Any:
    """Call a compiled hook; an exception goes to the border with the guest's pointer, instead of to standard error."""
    signature = hook.get_call_type(typingctx, arguments.types, {})

    def generate(context: Any, builder: Any, own_signature: Any, given: Any) -> Any:
        compiled = hook.dispatcher.get_compile_result(signature)
        context.active_code_library.add_linking_library(compiled.library)
        status, _ = context.call_internal_no_propagate(
            builder, compiled.fndesc, signature, cgutils.unpack_tuple(builder, given[2]))
        with builder.if_then(status.is_error, likely=False):
            python = context.get_python_api(builder)
            state = python.gil_ensure()
            context.call_conv.raise_error(builder, python, status)
            kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t])
            raised = builder.inttoptr(context.get_constant(types.intp, raised_address()), kind.as_pointer())
            builder.call(raised, [given[1]])
            python.gil_release(state)
        return context.get_dummy_value()

    return types.none(hook, pointer, arguments), generate


def compile_hook(hook: Any, n: int, layout: np.dtype, shared: np.dtype | None, boundscheck: bool) -> Any:
    """The C function of a hook with n arguments besides self."""
    user = numba.njit(boundscheck=boundscheck)(hook)
    kind = GuestType(numba.from_dtype(shared) if shared is not None else types.none)
    user.compile((numba.from_dtype(layout), kind, *[types.int64] * (n - 1)))    # first alone: errors are the hook's own
    offset = (shared.itemsize + 63) // 64 * 64 if shared is not None else 0
    if shared is None:
        @numba.njit
        def shared_of(state):  # type: ignore[no-untyped-def]
            return None
    else:
        @numba.njit
        def shared_of(state):  # type: ignore[no-untyped-def]
            return numba.carray(state, 1, shared)[0]

    @numba.njit
    def record_of(state, cpu):  # type: ignore[no-untyped-def]
        return numba.carray(_behind(state, offset), 256, layout)[cpu]

    c = types.voidptr, types.voidptr, types.int32
    if n == 4:
        signature = types.void(*c, types.uint32, types.int32)

        def entry(state, guest, cpu, pfn, order):  # type: ignore[no-untyped-def]
            _call_hook(user, guest, (record_of(state, cpu), _guest(guest, shared_of(state)),
                                    np.int64(cpu), np.int64(pfn), np.int64(order)))
    elif n == 3:
        signature = types.void(*c, types.int32)

        def entry(state, guest, cpu, ticket):  # type: ignore[no-untyped-def,misc]
            _call_hook(user, guest, (record_of(state, cpu), _guest(guest, shared_of(state)),
                                    np.int64(cpu), np.int64(ticket)))
    else:
        signature = types.void(*c)

        def entry(state, guest, cpu):  # type: ignore[no-untyped-def,misc]
            _call_hook(user, guest, (record_of(state, cpu), _guest(guest, shared_of(state)), np.int64(cpu)))
    return numba.cfunc(signature)(entry)
