"""The page of a sweep: which setting is best, what each axis does, and that it works in a browser."""

import json
import re

import pytest

from hinting import open as hinting_open
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


def test_equal_settings_go_by_memory_over_time(sweep_folder):
    points = hinting_open(sweep_folder).arrow("points").to_pylist()

    def mean(place, name):
        values = [row[name] for row in points if (row["strategy"], row["thp"], row["v8.entries"]) == place]
        return sum(values) / len(values)

    places = {(row["strategy"], row["thp"], row["v8.entries"]) for row in points}
    most = max(mean(place, "guests_fit") for place in places)
    equal = [place for place in places if mean(place, "guests_fit") == most]
    seconds = [mean(place, "guest_seconds") for place in places]
    assert max(seconds) > 1.1 * min(seconds)
    strategy, thp, entries = min(equal, key=lambda place: mean(place, "elasticity"))
    text = text_of(sweep_folder)
    assert f"strategy={strategy} ,  thp={thp} ,  v8.entries={entries}" in text
    assert "Best: the most guests per host; of equal settings the one with the least elasticity" in text


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


def test_data_that_figures_share_are_in_the_page_once(sweep_folder):
    page = (sweep_folder / "report.html").read_text()
    drawn = json.loads(re.search(r'<script type="application/json" id="specs">(.*?)</script>', page, re.DOTALL)[1])
    used = [name for parts in drawn["figures"].values() for part in parts for name in part["datasets"]]
    assert set(used) == drawn["datasets"].keys()
    assert len(used) > len(set(used))
    assert len(set(drawn["datasets"].values())) == len(drawn["datasets"])
    assert "values" not in json.dumps(drawn["figures"]["sensitivity"])


def test_the_map_is_readable_in_the_dark(browser, sweep_folder):
    browser.open(sweep_folder / "report.html", dark=True)

    def fill(selector):
        return browser.js(f"getComputedStyle(document.querySelector('#map svg {selector}')).fill")

    ink = browser.js("getComputedStyle(document.body).color")
    assert fill(".role-title text") == ink
    assert fill(".role-axis-label text") == browser.js("getComputedStyle(document.querySelector('.note')).color")
    assert fill(".mark-text.role-mark text") == "rgb(17, 17, 17)"


def test_what_answers_clicks_is_not_printed(browser, sweep_folder):
    browser.open(sweep_folder / "report.html")
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    shown = "[...document.querySelectorAll('select, input, summary, .hint')].filter((one) => one.checkVisibility())"
    assert browser.js(f"{shown}.map((one) => one.outerHTML)") == ["<summary>Scenario, all values</summary>"]
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert browser.printed().startswith(b"%PDF")
