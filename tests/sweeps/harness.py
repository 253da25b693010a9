"""A sweep whose points take milliseconds, run in a process of its own that may be killed."""

import os
import subprocess
import sys
from pathlib import Path

import hinting as h
from hinting.sweeps import Summary, sweep
from tests.results.harness import hinting

__all__ = ["DRIVE", "LONG", "MICRO", "children", "documents", "drive", "hinting", "run", "tables", "write"]

#: 75 points: none has no entries, page-reporting neither.
MICRO = """\
repeats = 3
[scenario]
kernel = "linux-6.1"
[scenario.host]
memory = "2GiB"
[[scenario.guests]]
memory = "512MiB"
boot = false
[[scenario.guests.workloads]]
name = "memhog"
size = "8MiB"
[axes]
strategy = ["none", "v8", "page-reporting"]
"*.entries" = [50, 100, 200]
"guests.0.workloads.0.size" = { from = "4MiB", to = "8MiB", step = "1MiB" }
"""

#: Enough of them that something can happen meanwhile.
LONG = MICRO.replace("repeats = 3", "repeats = 60")

#: The driver with small tasks that are saved at once, so that there is much to interrupt; it gives no point up whose
#: worker was killed by chance time and again.
DRIVE = """\
import sys
from hinting.sweeps import driver
driver.TASK_S, driver.SAVE_S, driver.MOST_DEATHS = 0.02, 0.01, 1000
summary = driver.sweep(sys.argv[1], sys.argv[2], jobs=2, scheduler=sys.argv[3] if len(sys.argv) > 3 else None)
print(summary.new)
"""


def write(folder: Path, text: str = MICRO, name: str = "micro.toml") -> Path:
    """A sweep file."""
    path = folder / name
    path.write_text(text)
    return path


def drive(file: Path, out: Path, *more: str) -> subprocess.Popen:
    """Start a driver."""
    return subprocess.Popen([sys.executable, "-c", DRIVE, file, out, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def run(file: Path, out: Path, **options: object) -> Summary:
    """A sweep to its end."""
    return sweep(file, out, **options)


def tables(out: Path) -> dict[str, str]:
    """Hashes of what two equal sweeps have in common, after seeing that no point is lost or there twice."""
    results = h.open(out)
    points = results.arrow("points")
    assert set(points["state"].to_pylist()) == {"done"}
    assert points["number"].to_pylist() == list(range(len(points)))
    keys = results.arrow("runs")["key"].to_pylist()
    assert len(set(keys)) == len(keys) == len(points)
    return {name: results.sha256(name) for name in ("points", "series")}


def children(pid: int) -> list[int]:
    """Processes that a process has started."""
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for thread in threads for child in (thread / "children").read_text().split()]
    except OSError:
        return []


def documents(out: Path) -> dict[str, bytes]:
    """All files of a folder, to see that nothing was changed."""
    files = [path for path in sorted(out.rglob("*")) if path.is_file() and not path.name.endswith(("-wal", "-shm"))]
    return {str(path.relative_to(out)): path.read_bytes() for path in files if os.access(path, os.R_OK)}
