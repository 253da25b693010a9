"""The page of a sweep: which setting is best, what each axis does, and that it works in a browser."""

import re

import pytest

from tests.cli.test_cli import hinting
from tests.report.test_in_browser import settled


def text_of(folder):
    page = (folder / "report.html").read_text()
    return re.sub(r"<[^>]+>", " ", page[: page.index('<script type="application/json"')])


def test_the_best_setting_comes_first(sweep_folder):
    text = text_of(sweep_folder)
    assert "Most guests per host" in text
    assert "thp" in text
    assert "v8.entries" in text
    assert len((sweep_folder / "report.html").read_bytes()) < 3_000_000
    pictures = {path.suffix for path in (sweep_folder / "report-figures").iterdir()}
    assert pictures == {".png", ".svg"}


def test_another_metric_ranks_another_way(sweep_folder, tmp_path):
    hinting("report", sweep_folder, "--metric", "footprint", "--no-pictures", "--out", tmp_path / "other.html")
    assert "Least footprint" in (tmp_path / "other.html").read_text()


def test_a_metric_that_does_not_exist(sweep_folder):
    result = hinting("report", sweep_folder, "--metric", "beauty", status=2)
    assert "beauty" in result.stderr


@pytest.mark.parametrize("width", [1200, 390], ids=["desktop", "phone"])
def test_in_a_browser(browser, sweep_folder, width):
    browser.open(sweep_folder / "report.html", width=width)
    assert browser.log() == []
    marks = "one.querySelectorAll('svg path, svg rect').length"
    charts = browser.js(f"[...document.querySelectorAll('.chart')].map((one) => {marks})")
    assert len(charts) >= 4
    assert min(charts) > 2
    assert browser.js("document.documentElement.scrollWidth") <= width
    button = ".axis button[value='0']"
    assert browser.js(f"document.querySelector(\"{button}\").ariaPressed") == "true"
    browser.js("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    browser.click(button)
    assert settled(browser, f"document.querySelector(\"{button}\").ariaPressed === 'false'")
    assert browser.log() == []
