"""Costs that vary: a deck of cards for each guest, from which the cores take every charge."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from hinting._core.costs import Costs, field_names, nr_cards
from hinting.costs.profile import CostProfile

__all__ = ["HOST", "cards", "quantiles"]

#: Number of the stream of the host's own kernel threads; guests have theirs.
HOST = -1
_STREAM = 0x636F7374
_P99 = NormalDist().inv_cdf(0.99)


def quantiles(mode: str, low: float, typical: float, high: float, n: int) -> NDArray[np.float64]:
    """n values, ascending, the middles of n equal shares of the distribution.

    "triangular": between low and high, typical most often. "lognormal": median typical, 1st percentile low, 99th high; the
    two sides of the median have a width each, as the table's bounds do.
    """
    shares = (np.arange(n) + 0.5) / n
    if mode == "triangular" or low <= 0:
        rise = (typical - low) / (high - low)
        below = low + np.sqrt(shares * (high - low) * (typical - low))
        above = high - np.sqrt((1 - shares) * (high - low) * (high - typical))
        return np.where(shares < rise, below, above)
    z = np.array([NormalDist().inv_cdf(share) for share in shares])
    width = np.where(z < 0, math.log(typical / low), math.log(high / typical)) / _P99
    return typical * np.exp(z * width)


def cards(profile: CostProfile, seed: int, number: int) -> NDArray[np.float64] | None:
    """The deck of guest `number`, or of the HOST: one row a card, one column a cost of the cores; None if costs are constant.

    Each cost has its distribution exactly, in an order of its own that follows from the seed and the number.
    """
    if not profile.spread:
        return None
    names, n = field_names(), nr_cards()
    constant = Costs(profile).as_dict()
    deck = np.tile(np.array([constant[name] for name in names]), (n, 1))
    stream = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_STREAM, number + 1)))
    for cost_id, low, high in profile.spread:
        values = quantiles(profile.mode, low, profile[cost_id], high, n)
        deck[:, names.index(cost_id.replace(".", "_"))] = stream.permutation(values)
    return np.ascontiguousarray(deck)
