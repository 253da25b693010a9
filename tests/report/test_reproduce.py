"""The page of a reproduction: which published numbers are met, in words, tables and figures."""

import json
import re

import jsonschema
import pyarrow.parquet as pq
import pytest

import hinting as h
from hinting.reports.page.published import answer_of, page_of_reproduction
from hinting.reports.reproduce_files import write_reproduction
from hinting.reproduce import Reproduction, Row
from hinting.results.provenance import schema
from tests.cli.test_cli import hinting
from tests.report.test_in_browser import settled

FIGURES = {"ours-and-theirs", "errors"}


def row(name, published, emulated, **more):
    within = abs(emulated / published - 1) <= 0.15
    return Row(**{
        "id": f"seed/{name}", "experiment": "seed", "number": "12.3", "title": "t <b>", "source": "s & s", "unit": "GiB",
        "setting": f"with {name}", "published": published, "emulated": emulated, "low": emulated, "high": emulated, "seeds": 1,
        "bound": "", "error": emulated / published - 1, "sign": None, "tolerance": 0.15, "within": within, "chosen": "",
    } | more)  # fmt: skip


@pytest.fixture(scope="module")
def rows(reproduce_folder):
    return pq.read_table(reproduce_folder / "reproduce.parquet").to_pylist()


def test_the_answer_is_counted(reproduce_folder, rows):
    page = (reproduce_folder / "report.html").read_text()
    within, signs = sum(one["within"] for one in rows), [one["sign"] for one in rows if one["sign"] is not None]
    assert within < len(rows)
    said = f"{within} of {len(rows)} published numbers reproduced within tolerance, signs right in {sum(signs)} of {len(signs)}."
    assert f'<p id="answer">{said}</p>' in page
    missed = re.findall(r'<tr class="metric" data-words="(\S+) [^"]* missed"', page)
    assert missed == [one["id"] for one in rows if not one["within"]]
    assert {path.name for path in (reproduce_folder / "report-figures").iterdir()} == {
        f"{name}.{kind}" for name in FIGURES for kind in ("png", "svg")
    }


def test_every_case_of_a_row(tmp_path):
    found = [row("a", 10.0, 11.0, sign=True), row("b", 10.0, 20.0, sign=False), row("c", 5.0, 500.0, bound="least", within=True),
             row("d", 3.0, 3.0, chosen="host.base", low=2.0, high=4.0)]
    assert answer_of(found) == "3 of 4 published numbers reproduced within tolerance, signs right in 1 of 2."
    assert answer_of(found[:1]) == "1 of 1 published number reproduced within tolerance, signs right in 1 of 1."
    assert answer_of(found[2:]) == "2 of 2 published numbers reproduced within tolerance."
    write_reproduction(Reproduction(found, 1.0), tmp_path)
    page = page_of_reproduction(h.open(tmp_path))
    table = page.sections[0].html
    cells = [re.sub(r"<.*?>", " ", line).split("  ") for line in re.findall(r'<tr class="metric".*?</tr>', table)]
    shown = [[cell.strip() for cell in line if cell.strip()] for line in cells]
    assert shown == [
        ["with a", "10", "11", "GiB", "+10 %", "15 %", "right", "within"],
        ["with b", "10", "20", "GiB", "+100 %", "15 %", "wrong", "missed"],
        ["with c", "at least 5", "500", "GiB", "+9900 %", "lower bound", "within"],
        ["with d (host.base chosen)", "3", "3 (2 to 4)", "GiB", "+0 %", "15 %", "within"],
    ]
    assert "t &lt;b&gt;" in table
    assert "s &amp; s" in table
    assert table.count("class=wrong") == 2


def test_the_folder_opens_and_answers_queries(reproduce_folder, rows):
    results = h.open(reproduce_folder)
    assert (results.kind, results.names) == ("reproduce", ("reproduce",))
    assert results.arrow("reproduce").to_pylist() == rows
    jsonschema.validate(results.provenance, schema())
    assert results.provenance["experiments"]["reporting-speed"]["one"]["costs"]["profile"] == "xeon6252-hyperalloc"
    asked = hinting("query", reproduce_folder, 'select count(*) as n from reproduce where "within"', "--json")
    assert json.loads(asked.stdout) == [{"n": sum(one["within"] for one in rows)}]


def test_a_column_of_signs_is_one_even_without_any(tmp_path):
    write_reproduction(Reproduction([row("a", 10.0, 11.0)], 1.0), tmp_path)
    assert str(h.open(tmp_path).arrow("reproduce").schema.field("sign").type) == "bool"


@pytest.mark.parametrize("option", [("--metric", "footprint"), ("--cost", "guest_cpu")])
def test_options_of_sweeps(reproduce_folder, option):
    assert f"{option[0]}: is for folders of hinting sweep" in hinting("report", reproduce_folder, *option, status=2).stderr


def test_a_table_that_is_no_reproduction(reproduce_folder, tmp_path):
    (tmp_path / "provenance.json").write_bytes((reproduce_folder / "provenance.json").read_bytes())
    pq.write_table(pq.read_table(reproduce_folder / "reproduce.parquet").drop_columns("within"), tmp_path / "reproduce.parquet")
    assert "expected the columns within" in hinting("report", tmp_path, status=2).stderr
    (tmp_path / "provenance.json").write_text('{"kind": "reproduce"}')
    assert "it has no experiments" in hinting("report", tmp_path, status=2).stderr


@pytest.mark.parametrize(("width", "dark"), [(1200, False), (390, True)], ids=["desktop", "phone, dark"])
def test_in_a_browser(browser, reproduce_folder, rows, width, dark):
    browser.open(reproduce_folder / "report.html", width=width, dark=dark)
    assert browser.log() == []
    assert set(browser.js("[...document.querySelectorAll('figure')].map((one) => one.id)")) == FIGURES
    points = "document.querySelectorAll('#errors .mark-symbol.role-mark path').length"
    assert browser.js(points) == len(rows)
    assert browser.js("document.querySelectorAll('#ours-and-theirs .mark-symbol.role-mark path').length") == len(rows)
    assert browser.js("document.documentElement.scrollWidth") <= width


def test_missed_numbers_can_be_chosen(browser, reproduce_folder, rows):
    missed = sum(not one["within"] for one in rows)
    browser.open(reproduce_folder / "report.html")
    points = "document.querySelectorAll('#errors .mark-symbol.role-mark path').length"
    lines = "[...document.querySelectorAll('#metrics-table .metric')].filter((one) => one.checkVisibility()).length"
    browser.click("[data-axis=verdict] button[value='0']")
    assert settled(browser, f"{points} === {missed}")
    assert browser.js(lines) == missed
    browser.click("[data-axis=verdict] button[value='0']")
    assert settled(browser, f"{points} === {len(rows)}")
    browser.type("#filter", "memhog missed")
    assert browser.js(lines) == sum(not one["within"] and one["experiment"] == "memhog-swap" for one in rows)
    assert browser.log() == []
    assert browser.printed().startswith(b"%PDF")
