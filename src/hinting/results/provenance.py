"""What a result follows from, and where and when it was made; provenance.schema.json describes both."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import platform
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

import hinting

if TYPE_CHECKING:
    from hinting.scenarios import Scenario

__all__ = ["about", "execution", "file_hashes", "machine", "schema"]

FORMAT = 1


def schema() -> dict[str, Any]:
    """The JSON schema of provenance.json (and of execution.json, under $defs)."""
    return json.loads((files("hinting.results") / "provenance.schema.json").read_text("utf-8"))


def about(kind: str, scenario: Scenario, **more: Any) -> dict[str, Any]:
    """What a result of a kind ("run", "compare", "sweep") follows from. Nothing that differs between two equal runs."""
    costs = scenario.costs.load()
    document = scenario.document()
    return {
        "format": FORMAT,
        "kind": kind,
        "experiment": scenario.name,
        "scenario": document,
        "hinting": hinting.__version__,
        "python": platform.python_version(),
        "pyarrow": pa.__version__,
        "costs": {"profile": costs.name, "sha256": costs.hash},
        "files": file_hashes(document),
        **more,
    }


def execution(duration_s: float) -> dict[str, Any]:
    """When and where something was made that has just ended, and how long it took (s)."""
    ended = datetime.datetime.now(datetime.UTC)
    started = ended - datetime.timedelta(seconds=duration_s)
    return {"started": started.isoformat(timespec="seconds"), "duration_s": round(duration_s, 6), "machine": machine()}


@cache
def machine() -> dict[str, Any]:
    """The machine that this process runs on."""
    return {"node": platform.node(), "system": f"{platform.system()} {platform.release()}", "cpu": _cpu(), "cpus": os.cpu_count()}


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.machine()


#: Endings of files that a scenario may name.
HASHED = (".py", ".toml", ".csv", ".gz", ".bz2", ".xz", ".txt", ".sqlite", ".sqlite3", ".db")


def file_hashes(values: Any) -> dict[str, str]:
    """sha256 of every file that some text in the values names: strategies (file.py:Class), cost profiles (file.toml), traces."""
    found = {}
    for text in sorted(set(_texts(values))):
        name = text.rpartition(":")[0] if ".py:" in text else text
        if name.endswith(HASHED) and Path(name).is_file():
            found[name] = hashlib.sha256(Path(name).read_bytes()).hexdigest()
    return found


def _texts(values: Any) -> Iterable[str]:
    if isinstance(values, str):
        yield values
    elif isinstance(values, Mapping):
        for value in values.values():
            yield from _texts(value)
    elif isinstance(values, (list, tuple)):
        for value in values:
            yield from _texts(value)
