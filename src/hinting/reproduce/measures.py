"""What is read off an arm of an emulated experiment: the quantities that publications report.

Times are emulated seconds, memory GiB (2^30 bytes). A guest's memory is the resident set of its VMM's process, which is what
publications sample: guest RAM that is mapped, and the VMM's own memory.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hinting.errors import ReproduceError
from hinting.experiments import ArmResult, GuestResult
from hinting.units import parse_duration

__all__ = ["MEASURES", "measure"]

GIB = 1 << 30
SECOND = 1e9
MINUTE = 60e9
#: Discards that are closer than this belong to one pass.
PASS_NS = 1_000_000_000
#: Accounts of a VMM's time in the host's kernel: second-level faults, exits of its vCPUs for flushes of their translations, and
#: what it does to give memory back.
VMM_ACCOUNTS = ("guest_stall", "stolen", "vmm", "host_kernel_async")

MEASURES: dict[str, Callable[..., float]] = {}


def measure(function: Callable[..., float]) -> Callable[..., float]:
    """Enter a function (arm, **arguments) -> value among those that published rows name."""
    MEASURES[function.__name__] = function
    return function


def _marked(guest: GuestResult, mark: int, turn: int = -1) -> int:
    """When a guest set a mark, ns; turn: which time it did, from 0."""
    times = [found.t_ns for found in guest.marks if found.number == mark]
    try:
        return times[turn]
    except IndexError:
        raise ReproduceError(f"guest {guest.number} set mark {mark} {len(times)} times, there is no {turn}") from None


def _resident(arm: ArmResult, guest: int) -> tuple[np.ndarray, np.ndarray]:
    """Times (ns, ascending) and bytes of a guest that are resident from then on."""
    rows = arm.timeline["guest"].to_numpy() == guest
    return arm.timeline["t_ns"].to_numpy()[rows], arm.timeline["guest_rss_bytes"].to_numpy()[rows]


def _at(times: np.ndarray, values: np.ndarray, t_ns: int) -> float:
    """Value of a step function at a time; 0 before its first change."""
    index = int(np.searchsorted(times, t_ns, side="right")) - 1
    return float(values[index]) if index >= 0 else 0.0


def _integral(times: np.ndarray, values: np.ndarray, begin: int, end: int) -> float:
    """Integral of a step function from begin to end, in its unit times ns."""
    inside = (times > begin) & (times < end)
    edges = np.concatenate([[begin], times[inside], [end]]).astype(np.float64)
    return float(np.dot(np.concatenate([[_at(times, values, begin)], values[inside]]), np.diff(edges)))


def _passes(arm: ArmResult, after: int) -> tuple[list[float], list[float]]:
    """Seconds after the mark `after` at which each pass that gave memory back was over, and GiB resident then."""
    times, resident = _resident(arm, 0)
    start = _marked(arm.guests[0], after)
    later = times > start + PASS_NS // 2
    times, resident = times[later], resident[later]
    last = np.append(np.diff(times) > PASS_NS, True)
    return list((times[last] - start) / SECOND), list(resident[last] / GIB)


@measure
def guests_fit(arm: ArmResult) -> float:
    """Guests that were launched and held."""
    return float(arm.guests_launched)


@measure
def time_between(arm: ArmResult, *, begin: int, end: int, guest: int = 0) -> float:
    """Seconds from one mark of a guest to another."""
    found = arm.guests[guest]
    return (_marked(found, end) - _marked(found, begin)) / SECOND


@measure
def resident_at(arm: ArmResult, *, mark: int, after: str = "0s", guest: int = 0) -> float:
    """GiB of a guest that are resident a while after a mark."""
    return _at(*_resident(arm, guest), _marked(arm.guests[guest], mark) + parse_duration(after)) / GIB


@measure
def resident_after_pass(arm: ArmResult, *, mark: int, number: int) -> float:
    """GiB of the first guest that are resident after so many passes after a mark."""
    resident = _passes(arm, mark)[1]
    return resident[number - 1] if number <= len(resident) else resident[-1]


@measure
def time_of_last_pass(arm: ArmResult, *, mark: int) -> float:
    """Seconds from a mark of the first guest until the last pass that gave memory back was over."""
    return _passes(arm, mark)[0][-1]


@measure
def footprint(arm: ArmResult, *, begin: int, end: int) -> float:
    """GiB*min of all guests together, from the first guest's first mark `begin` to the last mark `end` of any guest."""
    start = min(_marked(guest, begin, 0) for guest in arm.guests)
    stop = max(_marked(guest, end) for guest in arm.guests)
    return sum(_integral(*_resident(arm, guest.number), start, stop) for guest in arm.guests) / GIB / MINUTE


@measure
def peak(arm: ArmResult) -> float:
    """Most GiB of all guests together that are resident at a time."""
    guest, resident = (arm.timeline[name].to_numpy() for name in ("guest", "guest_rss_bytes"))
    changes = np.zeros(len(resident), np.int64)
    for number in np.unique(guest[guest >= 0]):
        changes[guest == number] = np.diff(resident[guest == number], prepend=0)
    return float(np.cumsum(changes).max(initial=0)) / GIB


@measure
def vmm_cpu(arm: ArmResult) -> float:
    """Seconds of CPU that all VMMs spend in the host's kernel for the guests' memory."""
    return sum(guest.accounts[name] for guest in arm.guests for name in VMM_ACCOUNTS if name in guest.accounts) / SECOND
