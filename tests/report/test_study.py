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


FIGURES = {"ranking", "sensitivity", "map", "front"}
POINTS = "document.querySelectorAll('#front .mark-symbol.role-mark path').length"
ROWS = "[...document.querySelectorAll('#metrics-table .metric')].filter((one) => one.checkVisibility()).length"


def check_drawn(browser, page, figures, width=1200, dark=False):
    browser.open(page, width=width, dark=dark)
    assert browser.log() == []
    charts = browser.js("""[...document.querySelectorAll('.chart')].map((one) => {
        const svg = one.querySelector('svg');
        return [one.dataset.figure, svg.querySelectorAll('.role-mark path, .role-mark line').length,
                svg.getBoundingClientRect().width];
    })""")
    assert {name for name, _, _ in charts} == figures
    for name, marks, wide in charts:
        assert marks > 0, name
        assert 200 < wide <= width, name
    assert browser.js("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(("width", "dark"), [(1200, False), (390, True)], ids=["desktop", "phone, dark"])
def test_in_a_browser(browser, sweep_folder, width, dark):
    check_drawn(browser, sweep_folder / "report.html", FIGURES, width, dark)


def test_a_click_on_a_value_takes_it_out_of_figures_and_tables(browser, sweep_folder):
    browser.open(sweep_folder / "report.html")
    points = hinting_open(sweep_folder).arrow("points").to_pylist()
    settings = {(row["strategy"], row["thp"], row["v8.entries"]) for row in points}
    assert browser.js(POINTS) == browser.js(ROWS) == len(settings) == 6
    browser.click(".strategies button[value='1']")
    left = sum(strategy != "v8" for strategy, _, _ in settings)
    assert settled(browser, f"{POINTS} === {left}")
    assert browser.js(ROWS) == left
    browser.click(".strategies button[value='1']")
    assert settled(browser, f"{POINTS} === {len(settings)}")
    browser.click("#filters summary")
    browser.click("[data-axis='v8.entries'] button[value='0']")  # does not apply to the others, which stay
    assert settled(browser, f"{POINTS} === {sum(entries != 128 for _, _, entries in settings)}")
    assert browser.js("document.querySelector('#restricted').textContent") == "v8.entries 1000"
    browser.type("#filter", "v8 never")
    assert browser.js(ROWS) == 1
    assert browser.log() == []


def test_the_metric_and_the_axes_of_the_map_can_be_chosen(browser, sweep_folder):
    browser.open(sweep_folder / "report.html")
    title = "document.querySelector('#map .role-title').textContent"
    assert "guests per host" in browser.js(title)
    browser.select("#metric", "footprint (GiB*min) \u2013 less is better")
    assert settled(browser, f"{title}.includes('footprint')")
    browser.select("#map select", "v8.entries")
    assert settled(browser, f"{title}.includes('v8.entries')")
    assert browser.log() == []


@pytest.mark.parametrize(("name", "figures"), [("single", {"sensitivity", "front"}), ("random", FIGURES), ("failing", FIGURES)])
@pytest.mark.parametrize("width", [1200, 390], ids=["desktop", "phone"])
def test_other_designs(browser, odd_folders, name, figures, width):
    check_drawn(browser, odd_folders[name] / "report.html", figures, width)
    pictures = {path.name for path in (odd_folders[name] / "report-figures").iterdir()}
    assert pictures == {f"{figure}.{kind}" for figure in figures for kind in ("png", "svg")}


def test_points_that_failed_are_in_the_page(browser, odd_folders):
    browser.open(odd_folders["failing"] / "report.html")
    warned = browser.js("document.querySelector('#warning').textContent")
    assert warned.startswith("3 of 4 points done, 1 failed;")
    assert "no <such> size" in browser.js("document.querySelector('#failed-table').textContent")
    browser.click("#failed-table summary")
    assert "in core" in browser.js("document.querySelector('#failed-table pre').textContent")
    assert browser.log() == []


def test_a_search(browser, search_folder):
    check_drawn(browser, search_folder / "report.html", FIGURES | {"progress"})
    trials = hinting_open(search_folder).arrow("trials").to_pylist()
    said = browser.js("document.querySelector('#answer').textContent")
    assert said.startswith("Most returned with ")
    front = sum(trial["pareto"] for trial in trials)
    assert f"{front} settings on the front of returned against guest CPU" in said
    assert browser.js(POINTS) == len(trials) == 8


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
