"""A guest with a strategy, driven by hand: blocks of known pages, and what holds after a strategy was stopped."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import hinting
from hinting import Guest
from hinting._core.mm.check import isolated_pages

ROOT = Path(__file__).resolve().parents[2]
V8_NUMBA = f"{ROOT / 'examples' / 'v8_numba.py'}:V8Numba"


def whole_block(guest: Guest) -> list[int]:
    """1024 allocated single pages of one 4 MiB block, in order."""
    first = guest.alloc(order=10)
    assert first >= 0
    guest.split(first, 10)
    return list(range(first, first + 1024))


def huge_pairs(guest: Guest, n: int) -> list[int]:
    """n allocated 2 MiB blocks in ascending order, both halves of each 4 MiB block among them."""
    frames = [guest.alloc(order=9, gfp=hinting.gfp.TRANSHUGE_LIGHT) for _ in range(n + 64)]
    known = set(frames)
    return sorted(frame for frame in frames if frame >= 0 and frame ^ 512 in known)[:n]


def churn(guest: Guest, n: int = 2000) -> None:
    """Allocate and free n pages, so that every hook of a strategy has something to do."""
    pages = [guest.alloc() for _ in range(n)]
    for page in pages:
        guest.free(page)


def assert_sound(guest: Guest) -> None:
    """Every invariant holds and no block is left outside the lists."""
    guest.check()
    assert sum(isolated_pages(guest.allocator)) == 0


def environment() -> dict[str, str]:
    """For another Python that imports the hinting under test, wherever it starts."""
    return os.environ | {"PYTHONPATH": os.pathsep.join([hinting.get_include(), os.environ.get("PYTHONPATH", "")])}


def hinting_command(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `hinting` with arguments."""
    code = "from hinting.cli import main; main()"
    return subprocess.run([sys.executable, "-c", code, *arguments], cwd=cwd, env=environment(), capture_output=True,
                          text=True, check=False)
