"""A point of a sweep once more, from its own row: the same bits, or what differs."""

import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import hinting as h
from hinting.errors import ResultsError
from hinting.sweeps.repeat import asked, repeat_points
from tests.sweeps import harness
from tests.sweeps.harness import hinting


def changed(part, name, value):
    """Write a part again with another value in its first row; returns the key of that row."""
    table = pq.read_table(part)
    place = table.schema.get_field_index(name)
    values = [value, *table[name].to_pylist()[1:]]
    pq.write_table(table.set_column(place, table.schema.field(name), pa.array(values, table.schema.field(name).type)), part)
    return table["key"][0].as_py()


@pytest.fixture
def part(finished, tmp_path):
    """A file of points, with its series beside it, and nothing else of the sweep."""
    for half in ("points", "series"):
        (tmp_path / "copy" / half).mkdir(parents=True)
        shutil.copy(sorted((finished[1] / half).iterdir())[-1], tmp_path / "copy" / half)
    return next((tmp_path / "copy" / "points").iterdir())


def test_by_number_and_by_key_and_by_query(finished, tmp_path):
    out = finished[1]
    points = h.open(out).arrow("points").to_pylist()
    done = hinting("repeat", out, "--point", 30, "--point", points[4]["key"], "--point", points[7]["key"][:12])
    assert done.stdout.splitlines() == [f"point {n} ({points[n]['key']}): identical" for n in (30, 4, 7)]
    sql = "select key from points where strategy = 'v8' order by memory_returned desc limit 2"
    document = json.loads(hinting("repeat", out, "--query", sql, "--out", tmp_path / "new", "--json").stdout)
    best = h.open(out).duckdb().sql(sql.replace("key", "number, key")).fetchall()
    assert list(document["identical"].items()) == [(f"point {number} ({key})", True) for number, key in best]
    new, series = (pq.read_table(tmp_path / "new" / f"{name}.parquet") for name in ("points", "series"))
    names = ["number", "key", "strategy", "footprint", "memory_returned"]
    assert [[row[name] for name in names] for row in new.to_pylist()] == [[points[n][name] for name in names] for n, _ in best]
    assert set(series["key"].to_pylist()) == set(new["key"].to_pylist())


def test_from_a_file_alone(part):
    done = hinting("repeat", part).stdout.splitlines()
    assert len(done) == pq.read_metadata(part).num_rows
    assert all(line.endswith(": identical") for line in done)
    assert len(hinting("repeat", part, "--point", pq.read_table(part)["number"][0]).stdout.splitlines()) == 1


def test_says_what_differs(part):
    key = changed(part, "footprint", 12345.0)
    done = hinting("repeat", part, "--point", key, status=1)
    assert f"({key}): differs: footprint was 12345.0, is " in done.stdout
    key = changed(part, "seed", 99)
    assert f"key was {key}, is " in hinting("repeat", part, "--point", key, status=1).stdout


def test_says_what_differs_in_the_series(part):
    beside = part.parent.parent / "series" / part.name
    table = pq.read_table(beside)
    key = table["key"][0].as_py()
    values = [table["value"][0].as_py() + 1, *table["value"].to_pylist()[1:]]
    place = table.schema.get_field_index("value")
    pq.write_table(table.set_column(place, table.schema.field("value"), pa.array(values, pa.int64())), beside)
    [one] = repeat_points(part, [key])
    assert one.differs == ("series differs from row 0 on",)
    pq.write_table(table.slice(1), beside)
    [one] = repeat_points(part, [key])
    rows = table["key"].to_pylist().count(key)
    assert one.differs == (f"series had {rows - 1} rows, has {rows}",)


def test_bad_input(finished, part, tmp_path):
    run_folder = tmp_path / "run"
    hinting("run", "seed", "--set", "max_guests=1", "--set", "program=64MiB", "--out", run_folder)
    out = finished[1]
    assert "is a whole sweep, expected --point or --query" in hinting("repeat", out, status=2).stderr
    assert "--point and --query" in hinting("repeat", run_folder, "--point", 1, status=2).stderr
    for call, words in [
        (lambda: repeat_points(out, ["75"]), "point '75': there is none"),
        (lambda: repeat_points(out, ["zz"]), "there is none"),
        (lambda: asked(out, "select strategy from points"), "expected a column key or number"),
        (lambda: asked(out, "select key from points where false"), "selects no point"),
        (lambda: repeat_points(out, ["1"], out), "holds a sweep"),
        (lambda: repeat_points(sorted((out / "series").iterdir())[0]), "has no points"),
    ]:
        with pytest.raises(ResultsError, match=words):
            call()
    table = pq.read_table(part)
    about = json.loads(table.schema.metadata[b"hinting"])
    gone = {"files": {"gone.py": "0"}}
    for other, words in [({"hinting": "0.0.1"}, "made with hinting 0.0.1"), (gone, "file gone.py, which is not")]:
        pq.write_table(table.replace_schema_metadata({"hinting": json.dumps(about | other)}), part)
        with pytest.raises(ResultsError, match=words):
            repeat_points(part)


def test_a_point_that_has_not_run(tmp_path):
    file, out = harness.write(tmp_path), tmp_path / "out"

    def stop(summary):
        if summary.done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        harness.run(file, out, jobs=1, progress=stop)
    with pytest.raises(ResultsError, match="point 74 has no row to repeat: it has not run yet"):
        repeat_points(out, ["74"])
