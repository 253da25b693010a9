"""How often the memory of guests is sampled while a simulation runs."""

from __future__ import annotations

from hinting._core.engine.survey import Survey
from hinting.errors import HintingError
from hinting.units import parse_duration

__all__ = ["AUTO", "survey"]

#: Instead of an interval: samples that begin close together and thin out as a run goes on.
AUTO = "auto"
_AUTO_NS = 20_000_000
_AUTO_MOST = 257
#: Below it a run of seconds takes millions of samples of every pageblock.
_LEAST_NS = 10_000


def survey(every: int | str | None) -> Survey | None:
    """What takes samples every so often (ns or text), or as AUTO; None for none. Raises HintingError for anything else."""
    if every is None:
        return None
    if every == AUTO:
        return Survey(_AUTO_NS, _AUTO_MOST)
    interval = parse_duration(every, "memory_map")
    if interval < _LEAST_NS:
        raise HintingError(f"memory_map must be 10us or longer, or {AUTO!r}, got {every!r}")
    return Survey(interval)
