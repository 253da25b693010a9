"""Filters of a design: comparisons of axes, as `program <= "4GiB" and (thp == "always" or *.entries < 500)`."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hinting.errors import SweepError
from hinting.results.columns import number

__all__ = ["compile_filter"]

_COMPARE: dict[type, Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Eq: operator.eq,
    ast.NotEq: operator.ne, ast.In: lambda a, b: a in b, ast.NotIn: lambda a, b: a not in b,
}  # fmt: skip
_ARITHMETIC: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv, ast.Mod: operator.mod,
}  # fmt: skip

Values = Mapping[str, Any]


def compile_filter(text: str, axes: Sequence[str]) -> Callable[[Values], bool]:
    """A filter as a function of the axes' values. Raises SweepError for what is none.

    Axes go by their names; sizes and durations may be text ("4GiB"). An axis that does not apply to a point (a
    parameter of another strategy) is None, and every comparison with it but == None and != None is false.

    >>> fits = compile_filter('program <= "4GiB" and v8.entries != 7', ["program", "v8.entries"])
    >>> fits({"program": "2GiB", "v8.entries": 7}), fits({"program": 2**32, "v8.entries": 8})
    (False, True)
    """
    names: dict[str, str] = {}

    def placeholder(found: re.Match[str]) -> str:
        if found["text"]:
            return found["text"]
        return names.setdefault(found["axis"], f"_axis{len(names)}")

    known = "|".join(re.escape(name) for name in sorted(axes, key=len, reverse=True))
    pattern = rf"(?P<text>\"[^\"]*\"|'[^']*')|(?<![\w.*])(?P<axis>{known or '(?!)'})(?![\w.])"
    try:
        tree = ast.parse(re.sub(pattern, placeholder, text).strip(), mode="eval").body
    except (SyntaxError, ValueError):
        raise SweepError(f"where {text!r}: expected comparisons such as 'thp == \"always\" and vcpus < 4'") from None
    check = _built(tree, {place: name for name, place in names.items()}, text, axes)

    def admits(values: Values) -> bool:
        try:
            return bool(check(values))
        except (TypeError, ZeroDivisionError) as error:
            raise SweepError(f"where {text!r}: {error}") from None

    return admits


def _built(node: ast.AST, names: Mapping[str, str], text: str, axes: Sequence[str]) -> Callable[[Values], Any]:
    def build(part: ast.AST) -> Callable[[Values], Any]:
        return _built(part, names, text, axes)

    match node:
        case ast.BoolOp(op=joined, values=parts):
            checks, every = [build(part) for part in parts], isinstance(joined, ast.And)
            return lambda v: all(check(v) for check in checks) if every else any(check(v) for check in checks)
        case ast.UnaryOp(op=ast.Not(), operand=part):
            inner = build(part)
            return lambda v: not inner(v)
        case ast.UnaryOp(op=ast.USub(), operand=part):
            inner = build(part)
            return lambda v: -inner(v)
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _ARITHMETIC:
            apply, first, second = _ARITHMETIC[type(sign)], build(left), build(right)
            return lambda v: _none_through(apply, first(v), second(v))
        case ast.Compare(left=left, ops=signs, comparators=others) if all(type(sign) in _COMPARE for sign in signs):
            sides = [build(part) for part in (left, *others)]
            return lambda v: _compared([side(v) for side in sides], signs)
        case ast.Constant(value=value):
            constant = number(value)
            return lambda v: constant
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            items = [build(part) for part in parts]
            return lambda v: [item(v) for item in items]
        case ast.Name(id=name) if name in names:
            axis = names[name]
            return lambda v: number(v[axis])
    raise SweepError(f"where {text!r}: {ast.unparse(node)!r} is no axis, value or comparison, expected axes of "
                     f"{', '.join(axes)}")


def _none_through(apply: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    return None if left is None or right is None else apply(left, right)


def _compared(values: list[Any], signs: Sequence[ast.cmpop]) -> bool:
    for left, sign, right in zip(values, signs, values[1:], strict=False):
        if (left is None or right is None) and not isinstance(sign, (ast.Eq, ast.NotEq, ast.In, ast.NotIn)):
            return False
        if not _COMPARE[type(sign)](left, right):
            return False
    return True
