"""The shape that meta.json must have: checked once, so that all later code can rely on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hinting import kernels
from hinting._core.kernel import Kernel
from hinting._core.limits import MAX_CPUS
from hinting.errors import KernelError, RecordingError

__all__ = ["check_meta"]

_PAGES = (0, 1 << 31)
_COUNT = (0, (1 << 31) - 1)
_ANY = (-(1 << 62), 1 << 62)

#: Numbers that every zone has, with their limits.
_ZONE = {
    "zone_idx": (0, 3),
    "zone_start_pfn": _PAGES,
    "spanned_pages": (1, 1 << 31),
    "managed_pages": _PAGES,
    "present_pages": _PAGES,
    "watermark_boost": _COUNT,
    "flags": (0, 0xFFFF),
    "pageset_batch": _COUNT,
}
#: Lists of numbers that every zone has, with the fewest and the most elements.
_ZONE_LISTS = {"watermark": (3, 16), "lowmem_reserve": (4, 16), "nr_free": (11, 11), "vm_stat": (1, 256)}
_HINTING_COUNTERS = (
    "total_freed", "captured", "scanned", "total_isolated", "tail_isolated", "failed_isolation", "reallocated",
    "free_non_buddy", "guest_returned",
)  # fmt: skip
#: Numbers of a per-CPU page set, each in some kernels only.
_PCP = {
    "count": _COUNT,
    "high": _COUNT,
    "batch": _COUNT,
    "free_factor": (0, 31),
    "high_min": _COUNT,
    "high_max": _COUNT,
    "alloc_factor": (0, 31),
    "free_count": _COUNT,
    "flags": (0, 0xFF),
    "vm_stat_diff_free": (-0x7FFF, 0x7FFF),
}


def _whole(where: str, holder: Any, key: Any, low: int, high: int) -> None:
    value = holder[key]
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise RecordingError(f"{where}[{key!r}] must be a whole number between {low} and {high}, got {value!r}")


def _get(where: str, holder: Any, key: str, kind: type) -> Any:
    """A member that must be there and of a kind."""
    if not isinstance(holder, dict):
        raise RecordingError(f"{where} must be an object, got {holder!r}")
    if key not in holder:
        raise RecordingError(f"{where}: key {key!r} is missing")
    if not isinstance(holder[key], kind):
        raise RecordingError(f"{where}[{key!r}] must be a {kind.__name__}, got {holder[key]!r}")
    return holder[key]


def _check_zone(where: str, zone: Any) -> None:
    for key, limits in _ZONE.items():
        _get(where, zone, key, int)
        _whole(where, zone, key, *limits)
    for key, (least, most) in _ZONE_LISTS.items():
        values = _get(where, zone, key, list)
        if not least <= len(values) <= most:
            raise RecordingError(f"{where}[{key!r}] must have {least} to {most} elements, got {len(values)}")
        for i in range(len(values)):
            _whole(f"{where}[{key!r}]", values, i, *(_ANY if key == "vm_stat" else _PAGES))
    if "nr_reserved_highatomic" in zone:
        _whole(where, zone, "nr_reserved_highatomic", *_PAGES)


def _check_page_sets(where: str, sets: list[Any], zones: list[int], ncpus: int, kernel: Kernel) -> None:
    """One page set for each zone and CPU, with the limits that the kernel keeps in it."""
    found = [(pcp["zone_idx"], pcp["cpu"]) for pcp in sets]
    for key in ((zone, cpu) for zone in zones for cpu in range(ncpus)):
        if found.count(key) != 1:
            raise RecordingError(f"{where}: expected one page set for zone {key[0]} and cpu {key[1]}, got {found.count(key)}")
    for i, pcp in enumerate(sets):
        for name in ("high", "batch", *(("high_min", "high_max") if kernel.pcp_tuning == "auto-tuned" else ())):
            _get(f"{where}[{i}]", pcp, name, int)


def _check_moment(where: str, state: Any, ncpus: int, kernel: Kernel) -> None:
    zones = _get(where, state, "zones", list)
    if not 1 <= len(zones) <= 4:
        raise RecordingError(f"{where}['zones'] must have 1 to 4 zones, got {len(zones)}")
    for i, zone in enumerate(zones):
        _check_zone(f"{where}['zones'][{i}]", zone)
    known = [zone["zone_idx"] for zone in zones]
    if len(set(known)) != len(known):
        raise RecordingError(f"{where}['zones']: a zone_idx occurs twice: {known}")
    for i, pcp in enumerate(_get(where, state, "pcp", list)):
        at = f"{where}['pcp'][{i}]"
        if _get(at, pcp, "zone_idx", int) not in known:
            raise RecordingError(f"{at}['zone_idx'] must be one of {known}, got {pcp['zone_idx']!r}")
        _get(at, pcp, "cpu", int)
        _whole(at, pcp, "cpu", 0, ncpus - 1)
        for key, limits in _PCP.items():
            if key in pcp:
                _whole(at, pcp, key, *limits)
    _check_page_sets(f"{where}['pcp']", state["pcp"], known, ncpus, kernel)
    if "watermark_boost_factor" in _get(where, state, "globals", dict):
        _whole(f"{where}['globals']", state["globals"], "watermark_boost_factor", *_COUNT)


def _check_hinting(where: str, meta: Any) -> None:
    """What a kernel with hinting v8 adds: the build, and the counters at both moments."""
    build = _get(where, meta, "hinting", dict)
    at = f"{where}['hinting']"
    for key, limits in {"max_fgpt_entries": (2, 1 << 20), "min_order": (0, 10)}.items():
        _get(at, build, key, int)
        _whole(at, build, key, *limits)
    _get(at, build, "drop_nonbuddy_in_scan", int)
    for moment in ("t0", "t1"):
        at = f"{where}[{moment!r}]['hinting']"
        counters = _get(at, _get(f"{where}[{moment!r}]", meta[moment], "hinting", dict), "counters_kb", dict)
        for key in _HINTING_COUNTERS:
            _get(f"{at}['counters_kb']", counters, key, int)
            _whole(f"{at}['counters_kb']", counters, key, *_ANY)


def check_meta(meta: Any, file: Path) -> None:
    """Refuse a description that lacks something or says what cannot be; RecordingError names file and key."""
    where = f"{file}: meta"
    for key, kind in {"kernel": str, "cpus": int, "types": list, "npfn": int, "t0": dict, "t1": dict}.items():
        _get(where, meta, key, kind)
    _whole(where, meta, "cpus", 1, MAX_CPUS)
    _whole(where, meta, "npfn", 1, 1 << 31)
    if meta.get("rows_total") is not None:
        _whole(where, meta, "rows_total", *_ANY)
    if not 1 <= len(meta["types"]) <= 256 or not all(isinstance(name, str) for name in meta["types"]):
        raise RecordingError(f"{where}['types'] must be 1 to 256 names, got {meta['types']!r}")
    try:
        kernel = kernels.load(kernels.for_release(meta["kernel"]))
    except KernelError as error:
        raise RecordingError(f"{file}: {error}") from None
    for key in ("t0", "t1"):
        _check_moment(f"{where}[{key!r}]", meta[key], meta["cpus"], kernel)
    if "hinting" in meta:
        _check_hinting(where, meta)
