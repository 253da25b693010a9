"""Two programs in C to hold the emulator's speed against, compiled when they are asked for.

`buddy_floor` is a bare buddy allocator with free page hinting (the least that page-granular emulation can cost),
`realkernel` is the kernel of this machine at the same work. Both report ns per 4 KiB page.
"""

import os
import shlex
import statistics
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

__all__ = ["Timing", "YardstickError", "build", "measure", "merge", "parse", "run"]

HERE = Path(__file__).resolve().parent


class YardstickError(RuntimeError):
    """A yardstick cannot be compiled or run; the message says why in one line."""


class Timing(NamedTuple):
    """One mode over its repeats, in ns per 4 KiB page."""

    minimum: float
    median: float
    maximum: float


def build(name: str, folder: Path, *, native: bool = False) -> Path:
    """Compile `buddy_floor` or `realkernel` into `folder` and return the program; CC names the compiler."""
    compiler = shlex.split(os.environ.get("CC", "cc"))
    program = folder / name
    flags = ["-std=c11", "-O3", *(["-march=native"] if native else [])]
    try:
        done = subprocess.run([*compiler, *flags, str(HERE / f"{name}.c"), "-o", str(program)], capture_output=True, text=True)
    except OSError:
        raise YardstickError(f"no C compiler found ({compiler[0]}): install gcc or clang (Debian: apt-get install gcc)") from None
    if done.returncode:
        reason = next((line for line in done.stderr.splitlines() if "error" in line), f"exit status {done.returncode}")
        raise YardstickError(f"{compiler[0]} cannot compile {name}.c: {reason}")
    return program


def parse(text: str) -> dict[str, Timing]:
    """Read a program's output: a name and three numbers a line, separated by tabs; lines with # are skipped."""
    timings = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, *numbers = line.split("\t")
            timings[name] = Timing(*map(float, numbers))
    return timings


def run(program: Path, *arguments: int) -> dict[str, Timing]:
    """Run a compiled yardstick (its own arguments: size, repeats) and return the timing of each mode."""
    done = subprocess.run([str(program), *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        raise YardstickError(f"{program.name} failed: {done.stderr.strip() or f'exit status {done.returncode}'}")
    return parse(done.stdout)


def merge(rounds: Iterable[dict[str, Timing]]) -> dict[str, Timing]:
    """Put several rounds together: smallest minimum, median of the medians, largest maximum of each mode."""
    seen: dict[str, list[Timing]] = {}
    for timings in rounds:
        for name, timing in timings.items():
            seen.setdefault(name, []).append(timing)
    return {
        name: Timing(min(t.minimum for t in found), statistics.median(t.median for t in found), max(t.maximum for t in found))
        for name, found in seen.items()
    }


def measure(*, rounds: int = 3, native: bool = False) -> tuple[dict[str, Timing], dict[str, Timing]]:
    """Run both at 1 GiB, turn about, and return (bare C buddy, kernel of this machine)."""
    with tempfile.TemporaryDirectory() as folder:
        floor = build("buddy_floor", Path(folder), native=native)
        kernel = build("realkernel", Path(folder), native=native)
        turns = [(run(floor, 18, 3), run(kernel, 1, 1)) for _ in range(rounds)]
    return merge(floor for floor, _ in turns), merge(kernel for _, kernel in turns)
