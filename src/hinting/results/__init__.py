"""Results on disk: how folders of runs, comparisons and sweeps are written, and opened again."""

from hinting.results.folder import Results
from hinting.results.opening import open

__all__ = ["Results", "open"]
