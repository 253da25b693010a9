"""hinting.open on the folders of run and compare."""

import json

import jsonschema
import pyarrow.parquet as pq
import pytest

import hinting as h
from hinting.errors import ResultsError
from hinting.results.provenance import schema
from tests.results.harness import hinting


def test_a_run(run_folder):
    results = h.open(run_folder)
    assert results.kind == "run"
    assert results.names == ("arms", "guests", "metrics", "series", "timeline")
    assert results.arrow("arms")["strategy"].to_pylist() == ["v8"]
    assert results.arrow("guests").equals(pq.read_table(run_folder / "guests.parquet"))


def test_a_comparison(compare_folder):
    results = h.open(str(compare_folder))
    assert results.kind == "compare"
    assert results.names == ("metrics", "series")
    assert results.units("series") == {}
    assert set(results.arrow("metrics")["strategy"].to_pylist()) == set(results.provenance["strategies"])


@pytest.mark.parametrize("library", ["pandas", "polars", "duckdb"])
def test_every_library_reads_the_same(run_folder, library):
    pytest.importorskip(library)
    results = h.open(run_folder)
    expected = results.arrow("timeline").to_pydict()
    if library == "pandas":
        found = results.pandas("timeline").to_dict("list")
    elif library == "polars":
        found = results.polars("timeline").to_dict(as_series=False)
    else:
        found = results.duckdb().sql("select * from timeline").to_arrow_table().to_pydict()
    assert found == expected


def test_provenance_is_as_its_schema_says(run_folder, compare_folder):
    jsonschema.Draft202012Validator.check_schema(schema())
    for folder in (run_folder, compare_folder):
        results = h.open(folder)
        jsonschema.validate(results.provenance, schema())
        assert results.provenance["execution"]["duration_s"] > 0
        own = json.loads((folder / "provenance.json").read_text())
        assert json.loads(results.arrow(results.names[0]).schema.metadata[b"hinting"]) == own
        jsonschema.validate(own, schema())
    assert h.open(run_folder).provenance["scenario"]["seed"] == 3


def test_what_is_no_output_folder(tmp_path, run_folder):
    for folder in (tmp_path / "none", tmp_path):
        with pytest.raises(ResultsError, match=r"no output folder .*provenance\.json is missing"):
            h.open(folder)
    with pytest.raises(ResultsError, match="no table 'points', expected one of arms, guests, metrics, series, timeline"):
        h.open(run_folder).arrow("points")
    for text, words in (("{", "damaged"), ("[]", "expected a JSON object"), ('{"kind": "walk"}', "kind must be one of run")):
        (tmp_path / "provenance.json").write_text(text)
        with pytest.raises(ResultsError, match=words):
            h.open(tmp_path)


def test_a_damaged_table(tmp_path, run_folder):
    (tmp_path / "provenance.json").write_bytes((run_folder / "provenance.json").read_bytes())
    whole = (run_folder / "timeline.parquet").read_bytes()
    for damaged in (whole[:-9], whole[:200] + bytes([whole[200] ^ 1]) + whole[201:], b""):
        (tmp_path / "timeline.parquet").write_bytes(damaged)
        with pytest.raises(ResultsError, match=r"timeline\.parquet: damaged"):
            h.open(tmp_path).arrow("timeline")


def test_repeat_gives_the_same_bytes(tmp_path, run_folder, compare_folder):
    for folder in (run_folder, compare_folder):
        new = tmp_path / folder.name
        done = hinting("repeat", folder, "--out", new, "--json")
        files = {path.name for path in folder.iterdir()} - {"execution.json"}
        assert json.loads(done.stdout)["identical"] == dict.fromkeys(files, True)
        for name in files:
            assert (folder / name).read_bytes() == (new / name).read_bytes()
    assert hinting("repeat", run_folder / "guests.parquet").stdout == "guests.parquet: identical\n"


def test_repeat_says_what_differs(tmp_path, run_folder):
    for name in ("provenance.json", "arms.parquet", "timeline.parquet", "guests.parquet"):
        (tmp_path / name).write_bytes((run_folder / name).read_bytes())
    table = pq.read_table(tmp_path / "guests.parquet")
    pq.write_table(table.slice(1), tmp_path / "guests.parquet")
    lines = hinting("repeat", tmp_path, status=1).stdout.splitlines()
    assert "guests.parquet: differs" in lines
    assert "arms.parquet: identical" in lines


def test_repeat_refuses_bad_input(tmp_path, run_folder):
    assert "no such file" in hinting("repeat", tmp_path / "x.parquet", status=2).stderr
    (tmp_path / "x.parquet").write_text("PAR1")
    assert "no Parquet file of hinting" in hinting("repeat", tmp_path / "x.parquet", status=2).stderr
    assert "another folder" in hinting("repeat", run_folder, "--out", run_folder, status=2).stderr
    about = json.loads((run_folder / "provenance.json").read_text())
    (tmp_path / "provenance.json").write_text(json.dumps(about | {"hinting": "0.0.1"}))
    assert "made with hinting 0.0.1" in hinting("repeat", tmp_path, status=2).stderr
