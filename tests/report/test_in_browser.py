"""The page in a real browser: it draws, and answers clicks."""

import json
import time

import pytest

MAPS = {"memory-map", "memory-states", "free-memory", "fragmentation"}
RUN = {"host-memory", "side-by-side", "guest-memory", "given-back"}
BOTH = pytest.mark.parametrize("which", ["run_folder", "compare_folder"])


def settled(browser, expression):
    """The value of an expression, once it has come to be true."""
    for _ in range(100):
        value = browser.js(expression)
        if value:
            return value
        time.sleep(0.05)
    return browser.js(expression)


@BOTH
@pytest.mark.parametrize(("width", "dark"), [(1200, False), (390, True)], ids=["desktop", "phone, dark"])
def test_every_figure_is_drawn_and_nothing_goes_wrong(browser, which, width, dark, request):
    browser.open(request.getfixturevalue(which) / "report.html", width=width, dark=dark)
    assert browser.log() == []
    ids = set(browser.js("[...document.querySelectorAll('figure')].map((one) => one.id)"))
    assert ids >= RUN
    assert (ids >= MAPS) is (which == "run_folder")
    charts = browser.js("""[...document.querySelectorAll('.chart')].map((one) => {
        const svg = one.querySelector('svg');
        return [one.dataset.figure, svg.querySelectorAll('path, rect, line').length, svg.getBoundingClientRect().width];
    })""")
    assert {name for name, _, _ in charts} == ids
    for name, marks, wide in charts:
        assert marks > 5, name
        assert 200 < wide <= width, name
    assert browser.js("document.documentElement.scrollWidth") <= width
    paper = browser.js("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") is not dark


def test_a_click_on_a_strategy_takes_it_out_of_figures_and_tables(browser, run_folder):
    browser.open(run_folder / "report.html")
    lines = "document.querySelectorAll('#host-memory .mark-line path').length"
    rows = "document.querySelectorAll('#answer-table tbody tr:not(.hidden)').length"
    assert browser.js(lines) == browser.js(rows) == 2
    browser.click("#legend button[value=none]")
    assert settled(browser, f"{lines} === 1")
    assert browser.js(rows) == 1
    browser.click("#legend button[value=v8]")  # the last one: all come back
    assert settled(browser, f"{lines} === 2")
    assert browser.js(rows) == 2
    assert browser.log() == []


def test_the_strategy_of_the_guests_figure_can_be_chosen(browser, compare_folder):
    browser.open(compare_folder / "report.html")
    drawn = "document.querySelector('#guest-memory .mark-area').innerHTML"
    before = browser.js(drawn)
    options = browser.js("[...document.querySelectorAll('#guest-memory option')].map((one) => one.value)")
    assert options == ["none", "v8:entries=128", "page-reporting-6.1"]
    chosen = browser.js("document.querySelector('#guest-memory select').value")
    browser.select("#guest-memory select", next(option for option in options if option != chosen))
    assert settled(browser, f"{drawn} !== {json.dumps(before)}")
    assert browser.log() == []


def test_metrics_are_filtered_by_words(browser, run_folder):
    browser.open(run_folder / "report.html")
    names = "[...document.querySelectorAll('#metrics-table .metric:not([hidden]) th')].map((one) => one.textContent)"
    assert len(browser.js(names)) > 30
    browser.type("#filter", "lock hold")
    assert set(browser.js(names)) == {"lock_hold_max", "lock_hold_sum"}


def test_it_prints(browser, compare_folder):
    browser.open(compare_folder / "report.html")
    printed = browser.printed()
    assert printed.startswith(b"%PDF")
    assert len(printed) > 20_000
