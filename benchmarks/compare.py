"""Print the emulator's speed beside a bare C buddy allocator and the kernel of this machine, as ns per 4 KiB page.

    python benchmarks/compare.py [BENCH.json] [--rounds N]

BENCH.json is what pytest-benchmark wrote in the same run (`make bench`). A benchmark says how many pages one round of
it handles in `benchmark.extra_info["pages"]`. The yardsticks are compiled as the cores are: portable, or for the CPU
of this machine with HINTING_NATIVE=1. Machines are noisy: quote medians, and only ratios out of one run.
"""

import argparse
import json
import os
import platform
import sys
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from yardsticks import Timing, YardstickError, measure


class Row(NamedTuple):
    """A benchmark of ours, and the modes of the yardsticks that together do the same work."""

    title: str
    floor: tuple[str, ...]
    kernel: tuple[str, ...] = ()


LIFE_IN_KERNEL = ("first_touch", "dontneed_4m")
ROWS = {
    "test_page_life_in_order": Row("page life, in order", ("alloc_touch", "free_in_order_hinting"), LIFE_IN_KERNEL),
    "test_page_life_shuffled": Row("page life, shuffled", ("alloc_touch", "free_shuffled_hinting"), LIFE_IN_KERNEL),
    "test_alloc_free_pair": Row("alloc and free pair", ("alloc_free_pair",)),
    "test_burst": Row("bursts of 100 pages", ("burst_hinting",)),
}


def read_ours(path: Path | None) -> dict[str, dict[str, float]]:
    """Median ns per page by benchmark and, within it, by its parameters ("" if it has none)."""
    if path is None or not path.exists() or not path.stat().st_size:
        return {}
    ours: dict[str, dict[str, float]] = {}
    for result in json.loads(path.read_text())["benchmarks"]:
        name, _, parameters = result["name"].partition("[")
        pages = result["extra_info"].get("pages")
        if name in ROWS and pages:
            ours.setdefault(name, {})[parameters.rstrip("]")] = result["stats"]["median"] * 1e9 / pages
    return ours


def total(timings: dict[str, Timing], modes: tuple[str, ...]) -> float | None:
    """Sum of the medians of `modes`, or None if one was not measured."""
    if not modes or any(mode not in timings for mode in modes):
        return None
    return sum(timings[mode].median for mode in modes)


def ns(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}"


def ratio(numerator: float | None, denominator: float | None) -> str:
    return "-" if numerator is None or denominator is None else f"{numerator / denominator:,.2f}x"


def table(ours: dict[str, dict[str, float]], floor: dict[str, Timing], kernel: dict[str, Timing], built: str) -> Table:
    """One line a benchmark (and parameters of it), whether it ran or not."""
    made = Table(
        title="Median ns per 4 KiB page",
        caption=(
            f"{built}; life: alloc, touch, free, hint; Linux {platform.release()}: fault, MADV_DONTNEED by 4 MiB, "
            "without and with huge pages"
        ),
        caption_justify="left",
    )
    made.add_column("work", no_wrap=True)
    for column in ("hinting", "bare C", "hinting/C", "kernel 4K", "4K/hinting", "kernel 2M", "2M/hinting"):
        made.add_column(column, justify="right")
    for name, row in ROWS.items():
        bare = total(floor, row.floor)
        small, huge = (total(kernel, tuple(f"{size}/{step}" for step in row.kernel)) for size in ("4k", "2m"))
        for parameters, mine in ours.get(name, {"": None}).items():
            made.add_row(
                f"{row.title} ({parameters})" if parameters else row.title,
                *(ns(mine), ns(bare), ratio(mine, bare), ns(small), ratio(small, mine), ns(huge), ratio(huge, mine)),
            )
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description="The emulator beside a bare C buddy and the kernel of this machine.")
    parser.add_argument("bench", nargs="?", type=Path, metavar="BENCH.json", help="what pytest-benchmark wrote")
    parser.add_argument("--rounds", type=int, default=3, help="how often the yardsticks run, turn about (default 3)")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"--rounds must be at least 1, got {options.rounds}")
    native = os.environ.get("HINTING_NATIVE") == "1"
    try:
        floor, kernel = measure(rounds=options.rounds, native=native)
    except YardstickError as error:
        sys.exit(f"compare: {error}")
    built = "compiled for this CPU" if native else "portable builds"
    Console(width=None if sys.stdout.isatty() else 120).print(table(read_ours(options.bench), floor, kernel, built))


if __name__ == "__main__":
    main()
