"""Pictures of a run: host memory over time, one panel an arm, one layer a guest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hinting.errors import HintingError
from hinting.experiments import ArmResult, Result
from hinting.reports.text import counted, describe
from hinting.units import parse_size

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["host_figure", "load_pyplot"]

GIB = 2**30
#: Points along the time axis of one panel.
POINTS = 1600
_BASE_COLOUR = "#8c8c8c"
_TAB10_GREY = 7  # the host's own colour: no guest gets it


def load_pyplot() -> Any:
    """matplotlib.pyplot, drawing without a screen; HintingError if it is not installed."""
    try:
        import matplotlib
    except ImportError as error:
        raise HintingError("pictures need matplotlib: pip install 'hinting[plot]'") from error
    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "hinting"
    from matplotlib import pyplot

    return pyplot


def _layers(arm: ArmResult, times: np.ndarray) -> np.ndarray:
    """What each guest costs the host at the given times (ns), bytes: shape (guests, times); the last change counts."""
    t, guest = arm.timeline["t_ns"].to_numpy(), arm.timeline["guest"].to_numpy()
    held = arm.timeline["guest_held_bytes"].to_numpy()
    layers = np.zeros((int(guest.max(initial=-1)) + 1, times.size))
    for number in range(layers.shape[0]):
        mine = np.flatnonzero(guest == number)
        mine = mine[np.argsort(t[mine], kind="stable")]
        at = np.searchsorted(t[mine], times, side="right") - 1
        layers[number] = np.where(at >= 0, held[mine][np.maximum(at, 0)], 0)
    return layers


def _panel(axes: Any, arm: ArmResult, host: int, base: int, colours: Any) -> None:
    end = max(arm.emulated_s, 1e-9)
    times = np.linspace(0, end * 1e9, POINTS)
    layers = _layers(arm, times)
    axes.axhspan(0, base / GIB, color=_BASE_COLOUR, alpha=0.5, lw=0)
    if layers.size:
        stacked = (base + np.cumsum(layers, axis=0)) / GIB
        below = np.full(times.size, base / GIB)
        for number, above in enumerate(stacked):
            axes.fill_between(times / 1e9, below, above, color=colours[number % len(colours)], lw=0, alpha=0.85, step="post")
            below = above
    for done in {guest.done_s for guest in arm.guests}:
        axes.axvline(done, color="white", lw=0.8, alpha=0.8)
    axes.axhline(host / GIB, color="#b00020", lw=1.5)
    axes.set_title(f"{arm.strategy}: {counted(arm.guests_launched, 'guest')}", loc="left", fontweight="bold")
    axes.set_xlim(0, end)
    axes.set_ylim(0, host / GIB * 1.06)
    axes.set_xlabel("emulated time (s)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25)


def host_figure(result: Result) -> Figure:
    """Host memory over time of every arm; the red line is all the host has, grey its own needs."""
    pyplot = load_pyplot()
    host, base = parse_size(result.scenario.host.memory), parse_size(result.scenario.host.base)
    figure, axes = pyplot.subplots(1, len(result.arms), figsize=(5.6 * len(result.arms), 4.2), sharey=True, squeeze=False)
    for panel, arm in zip(axes[0], result.arms, strict=True):
        _panel(panel, arm, host, base, [c for i, c in enumerate(pyplot.get_cmap("tab10").colors) if i != _TAB10_GREY])
    axes[0][0].set_ylabel("host memory in use (GiB)")
    axes[0][0].text(
        0.01,
        0.945,
        f"all of the host: {host / GIB:.1f} GiB",
        transform=axes[0][0].transAxes,
        color="#b00020",
        va="bottom",
        fontsize=9,
    )
    figure.suptitle(f"{describe(result.scenario)}; one colour a guest, grey the host itself", fontsize=10, wrap=True)
    figure.tight_layout()
    return figure
