"""Published curves of memory over time, to hold beside emulated ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hinting.traces.table import rows

__all__ = ["read_rss"]

COLUMNS = ("time", "rss", "small", "huge", "cached", "total")


def read_rss(path: str | Path) -> dict[str, NDArray[np.float64]]:
    """RSS samples in HyperAlloc's layout, by column: time (s), rss, cached, total (bytes), small and huge (free 4 KiB pages
    and 2 MiB blocks). Raises TraceError with file, row and reason."""
    found = [[row.number_in(column, 0) for column in COLUMNS] for row in rows(Path(path), (), header=True, need=COLUMNS)]
    values = np.array(found, np.float64).reshape(-1, len(COLUMNS))
    return {name: values[:, i] for i, name in enumerate(COLUMNS)}
