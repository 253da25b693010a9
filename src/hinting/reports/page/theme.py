"""What all figures share: colours, sizes, and how one is put on the page and into files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hinting.errors import HintingError

if TYPE_CHECKING:
    import altair

__all__ = ["COLOURS", "MUTED", "Figure", "colour_of", "load_altair", "shown_only", "spec_of"]

#: Of strategies, in their order; readable on white and on black, and told apart without colour vision as far as ten can be.
COLOURS = ("#2f7fc1", "#d9701e", "#359a57", "#9a62b5", "#c8404f", "#8a7560", "#d067a9", "#72808c", "#a09a1c", "#22a3b8")
#: Of lines and words that name no strategy: readable on white and on black.
MUTED = "#808080"
#: Name of the parameter of every chart that says which strategies are shown.
SHOWN = "shown"
_WIDTH = 720


def load_altair() -> Any:
    """altair; HintingError if it or what draws its files is not installed."""
    try:
        import altair
        import vl_convert  # noqa: F401
    except ImportError as error:
        raise HintingError("reports need altair and vl-convert-python: pip install 'hinting[report]'") from error
    altair.data_transformers.disable_max_rows()
    return altair


@dataclass(frozen=True)
class Figure:
    """A figure: one chart, or panels that stand in a grid.

    name: of its files. makers: each makes one chart of a given width, with a legend or without. note: what to know.
    hint: what can be done with it on a screen. below: HTML that stands under it.
    """

    name: str
    title: str
    note: str
    makers: Sequence[Callable[[Any, bool], altair.TopLevelMixin]]
    height: int = 320
    below: str = ""
    hint: str = ""

    @property
    def is_grid(self) -> bool:
        """Whether it has panels."""
        return len(self.makers) > 1

    def for_page(self) -> list[dict[str, Any]]:
        """Vega-Lite specifications as wide as their place, without legends: the page's own legend stands for all."""
        return [spec_of(make("container", False)) for make in self.makers]

    def for_file(self) -> dict[str, Any]:
        """One specification of a fixed width with legends."""
        alt = load_altair()
        charts = [make(_WIDTH // 3 if self.is_grid else _WIDTH, True) for make in self.makers]
        whole = alt.concat(*charts, columns=3) if self.is_grid else charts[0]
        return spec_of(whole.properties(title=alt.Title(self.title, anchor="start"), background="white", padding=12))


def spec_of(chart: altair.TopLevelMixin) -> dict[str, Any]:
    """The specification of a chart with the look of all."""
    quiet = {"gridColor": "#80808040", "domainColor": MUTED, "tickColor": MUTED, "labelFontSize": 12, "titleFontSize": 12,
             "titleFontWeight": "normal", "labelLimit": 220}
    return chart.configure(
        background="transparent",
        font="system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif",
        axis=quiet,
        legend={"labelFontSize": 12, "titleFontSize": 12, "labelLimit": 260, "symbolLimit": 0},
        view={"stroke": None},
        title={"fontSize": 13},
    ).to_dict()


def colour_of(names: Sequence[str], legend: bool, field: str = "strategy") -> Any:
    """The colour of a strategy, the same in all figures."""
    alt = load_altair()
    palette = [COLOURS[i % len(COLOURS)] for i in range(len(names))]
    scale = alt.Scale(domain=list(names), range=palette)
    return alt.Color(f"{field}:N", scale=scale, legend=alt.Legend(title=None) if legend else None)


def shown_only(names: Sequence[str]) -> tuple[Any, str]:
    """The parameter with the strategies that are shown, and the filter to go with it."""
    alt = load_altair()
    return alt.param(name=SHOWN, value=list(names)), f"indexof({SHOWN}, datum.strategy) >= 0"
