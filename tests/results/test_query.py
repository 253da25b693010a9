"""`hinting query`: SQL over output folders, as a table, JSON and CSV."""

import csv
import io
import json

import pytest

import hinting as h
from tests.results.harness import hinting

pytest.importorskip("duckdb")
SQL = "select strategy, metric, value, unit from guests where guest = 1 and metric in ('held', 'returned') order by metric"


def test_json_and_csv_have_the_same_rows(run_folder):
    rows = json.loads(hinting("query", run_folder, SQL, "--json").stdout)
    table = h.open(run_folder).arrow("guests").to_pylist()
    expected = [{name: row[name] for name in ("strategy", "metric", "value", "unit")}
                for row in table if row["guest"] == 1 and row["metric"] in ("held", "returned")]  # fmt: skip
    assert rows == sorted(expected, key=lambda row: row["metric"])
    read = list(csv.DictReader(io.StringIO(hinting("query", run_folder, SQL, "--csv").stdout)))
    assert [{**row, "value": float(row["value"])} for row in read] == rows


def test_a_table_and_the_list_of_tables(run_folder, compare_folder):
    shown = hinting("query", run_folder, SQL).stdout.splitlines()
    assert shown[0].split() == ["strategy", "metric", "value", "unit"]
    assert len(shown) == 3
    listed = hinting("query", compare_folder).stdout
    for words in ("metrics", "series", "t_ns"):
        assert words in listed


def test_json_has_no_nan(run_folder):
    rows = json.loads(hinting("query", run_folder, "select 'nan'::double as x, null as y, 1 as z", "--json").stdout)
    assert rows == [{"x": None, "y": None, "z": 1}]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["select nothing from guests"], "query: "),
        (["select * from points"], "tables: arms, guests, "),
        (["select 1", "--json", "--csv"], "expected one of them"),
    ],
)
def test_bad_queries(run_folder, arguments, words):
    assert words in hinting("query", run_folder, *arguments, status=2).stderr
