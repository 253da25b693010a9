"""Values for figures: as CSV text in the specification, a third of the size of one object a row."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hinting.reports.page.theme import load_altair

__all__ = ["table"]


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and not np.isfinite(value)):
        return ""
    return f"{value:.6g}" if isinstance(value, (float, np.floating)) else str(value)


def table(columns: Mapping[str, Sequence[Any] | np.ndarray]) -> Any:
    """Data of a chart from equally long columns; None is a missing value, floats have six digits."""
    alt = load_altair()
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    lists = [column.tolist() if isinstance(column, np.ndarray) else list(column) for column in columns.values()]
    writer.writerows([_text(value) for value in row] for row in zip(*lists, strict=True))
    kinds = {
        name: "string" if any(isinstance(value, str) for value in values) else "number"
        for name, values in zip(columns, lists, strict=True)
    }
    return alt.InlineData(values=out.getvalue(), format=alt.CsvDataFormat(type="csv", parse=kinds))
