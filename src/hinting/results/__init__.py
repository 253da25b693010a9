"""Results on disk: how folders of runs, comparisons and sweeps are written, and opened again."""

from hinting.results.folder import Results, open

__all__ = ["Results", "open"]
