"""Memory by phases: a list of them, and the phases of a renderer."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from hinting._core.engine.ops import NO_THP
from hinting.units import PAGE_BYTES
from hinting.workloads.memhog import MARK_DONE, MARK_HELD, MARK_START
from hinting.workloads.registry import SEED, workload
from hinting.workloads.rows import interleave, join, parts, random, rows
from hinting.workloads.rules import Bytes, Flag, Number, PhaseList, Span, Whole

__all__ = ["spec_blender", "spec_phases"]

#: Time between two bursts of touches.
STEP = 100_000_000


@workload
def spec_phases(
    phases: Annotated[tuple, PhaseList("[duration, resident memory, memory touched a second, working set] of each phase")] = (
        (60_000_000_000, 2**30, 256 * 2**20, 512 * 2**20),
        (60_000_000_000, 256 * 2**20, 64 * 2**20, 128 * 2**20),
    ),
    *,
    repeat: Annotated[int, Whole("times that the list is run", low=1, high=10_000)] = 1,
    thp: Annotated[bool, Flag("huge pages, if the guest's setting allows them")] = True,
) -> np.ndarray:
    """One process whose resident memory follows a list of phases; in each it goes round its working set.

    Source: user supplied.
    """
    room = max(1, max(resident for _, resident, _, _ in phases) // PAGE_BYTES)
    out = [rows("SPAWN"), rows("MMAP", a=room, flags=0 if thp else NO_THP)]
    present = 0
    for duration, resident, rate, working_set in tuple(phases) * repeat:
        want = resident // PAGE_BYTES
        out.append(rows("MARK", a=MARK_START))
        if want > present:
            out.append(rows("TOUCH", a=present, b=want - present))
        elif want < present:
            out.append(rows("UNMAP", a=want, b=present - want))
        present = want
        turns = max(1, duration // STEP)
        wss = min(working_set // PAGE_BYTES, want)
        each = min(wss, rate // PAGE_BYTES * STEP // 10**9)
        at = np.arange(turns) * each % max(1, wss - each + 1)
        sleep = rows("SLEEP", turns, a=parts(duration, turns))
        out.append(interleave(rows("TOUCH", turns, a=at, b=each), sleep) if each else sleep)
    return join(*out, rows("EXIT"), rows("MARK", a=MARK_DONE))


@workload
def spec_blender(
    size: Annotated[int, Bytes("memory at its peak", low=2**20)] = int(8.4 * 2**30) // PAGE_BYTES * PAGE_BYTES,
    *,
    load: Annotated[int, Span("time in which the scene is loaded", low=10**9)] = 130_000_000_000,
    plateau: Annotated[int, Span("time of rendering", low=10**9)] = 360_000_000_000,
    idle: Annotated[int, Span("time between two runs")] = 360_000_000_000,
    repeat: Annotated[int, Whole("runs", low=1, high=1000)] = 3,
    tiles: Annotated[float, Number("share of the memory that tiles use, given back and taken anew", high=0.5)] = 0.1,
    thp: Annotated[bool, Flag("huge pages, if the guest's setting allows them")] = True,
    seed: Annotated[int, SEED] = 0,
) -> np.ndarray:
    """Load a scene, render it on a plateau, exit, idle; repeated.

    Source: 526.blender_r of SPEC CPU 2017 as HyperAlloc ran it: three runs of 490 s, peak 8.4 GiB.
    """
    rng = random(seed)
    pages = size // PAGE_BYTES
    scene = pages - int(pages * tiles)
    steps, turns = int(load // 10**9), int(plateau // 10**9)
    grown = parts(scene, steps)
    tile = parts(pages - scene, turns)
    most = np.minimum(pages - scene, tile + rng.integers(0, max(1, (pages - scene) // 2), turns))
    loading = interleave(
        rows("TOUCH", steps, a=np.cumsum(grown) - grown, b=grown), rows("COMPUTE", steps, a=parts(load, steps))
    )
    rendering = interleave(
        rows("TOUCH", turns, region=1, b=most),
        rows("COMPUTE", turns, a=parts(plateau, turns)),
        rows("UNMAP", turns, region=1, b=most),
    )
    if pages == scene:
        rendering = rows("COMPUTE", turns, a=parts(plateau, turns))
    once = join(
        rows("MARK", a=MARK_START),
        rows("SPAWN"),
        rows("MMAP", a=scene, flags=0 if thp else NO_THP),
        rows("MMAP", region=1, a=max(1, pages - scene), flags=0 if thp else NO_THP),
        loading,
        rows("MARK", a=MARK_HELD),
        rows("TOUCH", region=1, b=pages - scene),
        rendering,
        rows("EXIT"),
        rows("MARK", a=MARK_DONE),
        rows("SLEEP", a=idle),
    )
    return np.tile(once, repeat)[:-1]
