"""What a simulation measures: every metric by name, its unit and definition, and the tables of their values."""

from hinting.metrics.catalogue import Metric, Series, metrics, sections, series
from hinting.metrics.tables import scalars_table, series_table, tidy

__all__ = ["Metric", "Series", "metrics", "scalars_table", "sections", "series", "series_table", "tidy"]
