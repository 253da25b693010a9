"""What a user's strategy did that none may do: one line that names it, its hook, its line and what is legal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["CompiledHookStopped", "Fault", "StrategyStopped", "message"]


class StrategyStopped(BaseException):
    """Ends a hook whose strategy was stopped; no `except Exception` of the hook catches it."""


class CompiledHookStopped(Exception):
    """The same for hooks that Numba compiles, where only an Exception can be raised."""


@dataclass(frozen=True)
class Fault:
    """The first fault of a strategy. page: what pfn was then. blocks: isolated blocks that nobody would put back."""

    strategy: str
    owner: Any
    kind: str
    hook: str
    cpu: int
    ask: str
    pfn: int
    order: int
    blocks: int
    budget: int
    npfn: int
    ncpus: int
    page: str
    raised: BaseException | None


def message(fault: Fault) -> str:
    """One line: strategy, hook, CPU, place in the source if it is known, what is wrong and what is legal."""
    where = getattr(fault.owner, "where", None)
    place = where(fault) if where is not None else ""
    return (f"strategy {fault.strategy}: {fault.hook} on CPU {fault.cpu}{f' ({place})' if place else ''} "
            f"{_TEXTS[fault.kind](fault)}")


def _raised(fault: Fault) -> str:
    return f"raised {type(fault.raised).__name__}: {fault.raised}"


def _order(fault: Fault) -> str:
    if 0 <= fault.order <= 10:
        return (f"asked for {fault.ask}({fault.pfn}, order {fault.order}): expected a pfn that is a multiple of "
                f"{1 << fault.order}")
    return f"asked for {fault.ask} with order {fault.order}: expected 0 to 10"


def _not_free(fault: Fault) -> str:
    what = "expected the first page of a free block" if fault.order < 0 else "expected a free block of this order"
    order = "" if fault.order < 0 else f", order {fault.order}"
    return f"asked for {fault.ask}({fault.pfn}{order}): {what}, it is {fault.page}"


def _not_held(fault: Fault) -> str:
    return (f"asked for put_back({fault.pfn}, order {fault.order}): expected a block that this call isolated or, in "
            f"on_host_done, a block of its report; it is {fault.page}")


def _leak(fault: Fault) -> str:
    return (f"returned with {fault.blocks} isolated block(s), the first (pfn {fault.pfn}, order {fault.order}): "
            f"expected report() or put_back() for each")


def _kept(fault: Fault) -> str:
    return (f"returned without putting back {fault.blocks} block(s) of its report, the first (pfn {fault.pfn}, "
            f"order {fault.order}): expected put_back() for each, or put_back_all(ticket)")


_TEXTS = {
    "raised": _raised,
    "order": _order,
    "not_free": _not_free,
    "not_held": _not_held,
    "leak": _leak,
    "kept": _kept,
    "steps": lambda f: f"made more than {f.budget} requests in one call: it seems to loop for ever (step_budget)",
    "time": lambda f: "did not return in time: it seems to loop for ever (time_limit_s)",
    "pfn": lambda f: f"asked for {f.ask or 'a page'} with pfn {f.pfn}: expected 0 to {f.npfn - 1}",
    "cpu": lambda f: f"asked for {f.ask}({f.pfn}): expected a CPU from 0 to {f.ncpus - 1}",
    "zone": lambda f: f"asked for {f.ask or 'a zone'} with zone {f.pfn}: expected 0 to 3",
    "type": lambda f: f"asked for {f.ask or 'a watermark'} with number {f.pfn}: expected "
                      f"{'a migratetype from 0 to 4' if f.ask else '0 (min), 1 (low) or 2 (high)'}",
    "not_done": lambda f: f"asked for {f.ask or 'reported'} with ticket {f.pfn}: expected the ticket "
                          f"{'that on_host_done was given' if f.ask else 'of a report under way'}",
    "no_thread": lambda f: "woke the CPU's thread: expected a strategy with an on_thread hook",
    "not_now": lambda f: f"asked for {f.ask}: on_merged runs in the middle of a free and must leave per-CPU lists "
                         f"alone",
    "no_memory": lambda f: "isolated more blocks than there is memory for",
}
