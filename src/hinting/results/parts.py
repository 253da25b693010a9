"""The Parquet files of a sweep: a part holds points that have ended since the last one, and never changes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from hinting.errors import ResultsError
from hinting.metrics import metrics
from hinting.metrics.catalogue import EXPERIMENT
from hinting.metrics.tables import SERIES_SCHEMA, metric_field
from hinting.results.columns import TYPES
from hinting.results.files import WRITING, replace_file, stamped, write_table
from hinting.results.ledger import Stamps
from hinting.results.reading import read_parquet

__all__ = ["POINTS", "RUN_COLUMNS", "SERIES", "SERIES_OF_POINTS", "Parts", "points_schema"]

#: Folders of the two halves of a part.
POINTS, SERIES = "points", "series"
#: Columns that differ between two equal sweeps, and the changes that make a point's scenario.
RUN_COLUMNS = ("started", "duration_s", "machine", "hinting", "costs_sha256", "changes")
#: Series of a sweep: those of a simulation with the key of the point.
SERIES_OF_POINTS = pa.schema([pa.field("key", pa.string()), *SERIES_SCHEMA], metadata=SERIES_SCHEMA.metadata)

POINTS_OPTIONS: dict[str, Any] = {"compression": "zstd", "write_statistics": ["number"]}
SERIES_OPTIONS: dict[str, Any] = {
    "compression": "zstd",
    "use_dictionary": ["key", "metric"],
    "column_encoding": dict.fromkeys(("t_ns", "guest", "value"), "DELTA_BINARY_PACKED"),
}


def points_schema(columns: Mapping[str, Sequence[str]]) -> pa.Schema:
    """Columns of a part. columns: (type, unit) of the axes by name."""
    axes = [pa.field(name, TYPES[kind], metadata={"axis": "yes", **({"unit": unit} if unit else {})})
            for name, (kind, unit) in columns.items()]  # fmt: skip
    return pa.schema(
        [
            pa.field("number", pa.int64()),
            pa.field("key", pa.string()),
            *axes,
            pa.field("repeat", pa.int32()),
            pa.field("seed", pa.int64()),
            *(metric_field(one.name) for one in metrics().values() if one.scope != EXPERIMENT or one.name == "guests_fit"),
            pa.field("emulated_s", pa.float64(), metadata={"unit": "s"}),
            pa.field("stopped_by", pa.string()),
            pa.field("started", pa.timestamp("ms", "UTC")),
            pa.field("duration_s", pa.float64(), metadata={"unit": "s"}),
            pa.field("machine", pa.string()),
            pa.field("hinting", pa.string()),
            pa.field("costs_sha256", pa.string()),
            pa.field("changes", pa.string()),
        ]
    )


def _terse(schema: pa.Schema) -> pa.Schema:
    """The columns with their units and without their definitions, which every file would repeat."""
    kept = [{key: value for key, value in (field.metadata or {}).items() if key == b"unit"} for field in schema]
    return pa.schema([field.with_metadata(unit or None) for field, unit in zip(schema, kept, strict=True)])


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Parts:
    """The parts in a folder, by name ("part-000001")."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, half: str, name: str) -> Path:
        """File of one half of a part."""
        return self.folder / half / f"{name}.parquet"

    def names(self, half: str = POINTS) -> list[str]:
        """Names of all parts that have this half."""
        return sorted(path.stem for path in (self.folder / half).glob("part-*.parquet"))

    def next_name(self) -> str:
        """Name for another part."""
        names = self.names()
        return f"part-{1 + int(names[-1].removeprefix('part-')) if names else 1:06d}"

    def clear(self) -> None:
        """Make the folders; remove what was not finished: files under a temporary name, series whose points never came."""
        for half in (POINTS, SERIES):
            (self.folder / half).mkdir(exist_ok=True)
            for path in (self.folder / half).glob(f"{WRITING}*"):
                path.unlink()
        for name in set(self.names(SERIES)) - set(self.names()):
            self.path(SERIES, name).unlink()

    def write(
        self, name: str, points: pa.Table, series: pa.Table | None, about: Mapping[str, Any]
    ) -> Stamps:
        """Write a part; it is there when its points are."""
        if series is not None:
            series = stamped(series, about)
            replace_file(self.path(SERIES, name), partial(write_table, series, **SERIES_OPTIONS))
        points = stamped(points.cast(_terse(points.schema)), about)
        replace_file(self.path(POINTS, name), partial(write_table, points, **POINTS_OPTIONS))
        return self.stamps(name)

    def stamps(self, name: str) -> Stamps:
        """Size and hash of each half of a part."""
        there = [half for half in (POINTS, SERIES) if self.path(half, name).exists()]
        return {half: (self.path(half, name).stat().st_size, _sha256(self.path(half, name))) for half in there}

    def problem(self, name: str, stamps: Stamps, *, whole: bool = False) -> ResultsError | None:
        """What is wrong with the files of a part, None if nothing is. whole: look into the series too, not at their size alone.

        Raises ResultsError for a file that may not be read.
        """
        for half, (size, sha256) in stamps.items():
            path = self.path(half, name)
            try:
                found = path.stat().st_size
                if found != size:
                    return ResultsError(f"{path}: damaged: has {found} bytes, expected {size}")
                if (whole or half == POINTS) and _sha256(path) != sha256:
                    return ResultsError(f"{path}: damaged: other bytes than were written")
            except FileNotFoundError:
                return ResultsError(f"{path}: is missing")
            except OSError as error:
                raise ResultsError(f"{path}: cannot be read: {error.strerror or error}") from None
        return None

    def read(self, half: str, name: str, columns: list[str] | None = None) -> pa.Table:
        """One half of a part, checksums verified. Raises ResultsError."""
        return read_parquet(self.path(half, name), columns)

    def set_aside(self, name: str) -> None:
        """Move a damaged part to the folder `damaged`."""
        aside = self.folder / "damaged"
        aside.mkdir(exist_ok=True)
        for half in (POINTS, SERIES):
            if self.path(half, name).exists():
                self.path(half, name).replace(aside / f"{half}-{name}-{len(list(aside.iterdir()))}.parquet")
