"""Opening an output folder, whatever it holds."""

from __future__ import annotations

from pathlib import Path

from hinting.errors import ResultsError
from hinting.results.files import PROVENANCE
from hinting.results.folder import Results
from hinting.results.reading import read_json

__all__ = ["open"]


def open(path: str | Path) -> Results:
    """Open the output folder of `hinting run`, `compare`, `sweep`, `tune` or `reproduce`. Raises ResultsError if it is none.

    >>> import tempfile, hinting
    >>> from hinting.results.files import write_files
    >>> from hinting.results.provenance import about, execution
    >>> result = hinting.run(hinting.Scenario.load("seed", {"max_guests": 1}, ["none"]))
    >>> folder = Path(tempfile.mkdtemp())
    >>> files = write_files(folder, {"guests": result.guests()}, {}, about("run", result.scenario), execution(1.5))
    >>> results = open(folder)
    >>> results.kind, results.names, results.provenance["execution"]["duration_s"]
    ('run', ('guests',), 1.5)
    >>> results.arrow("guests")["strategy"].unique().to_pylist()
    ['none']
    """
    folder = Path(path)
    about = read_json(folder / PROVENANCE, f"{folder}: no output folder of hinting run, compare, sweep, tune or reproduce")
    kind = about.get("kind")
    if kind == "sweep":  # pyarrow.dataset and sqlite3 are not loaded before they are needed
        from hinting.results.sweep import SweepResults

        return SweepResults(folder, about)
    if kind not in ("run", "compare", "reproduce"):
        raise ResultsError(f"{folder / PROVENANCE}: kind must be one of run, compare, sweep, reproduce, got {kind!r}")
    return Results(folder, about)
