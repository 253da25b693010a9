"""One source names every metric: tables, docs and the command follow it."""

import pyarrow as pa

import hinting as h
from hinting.metrics import metrics, sections, series, tidy
from tests.conftest import ROOT
from tests.metrics.harness import run


def test_entries_are_whole():
    for metric in metrics().values():
        assert metric.section in sections()
        assert metric.better in ("less", "more", "none")
        assert metric.scope in ("guest and host", "host", "experiment")
        assert metric.unit
        assert metric.text.endswith(".")
    assert sum(1 for metric in metrics().values() if metric.heading) >= 18


def test_tables_have_every_metric_with_its_unit():
    sim, _ = run(("BACK", {"a": 4096, "b": 8}), ("ALLOC", {"b": 8}))
    table = sim.metrics()
    expected = [name for name, metric in metrics().items() if metric.scope != "experiment"]
    assert table.column_names == ["guest", *expected]
    assert table["guest"].to_pylist() == [-1, 0]
    for name in expected:
        field = table.schema.field(name)
        assert field.metadata[b"unit"].decode() == metrics()[name].unit
        assert field.metadata[b"definition"].decode() == metrics()[name].text
    long = tidy(table)
    assert long.column_names == ["guest", "metric", "value", "unit"]
    assert set(zip(long["metric"].to_pylist(), long["unit"].to_pylist(), strict=True)) <= {
        (name, metric.unit) for name, metric in metrics().items()
    }
    host_only = [name for name, metric in metrics().items() if metric.scope == "host" and name != "host_cpu_use"]
    assert all(table[name].to_pylist()[1] is None and table[name].to_pylist()[0] is not None for name in host_only)


def test_series_are_tidy_steps():
    sim, _ = run(("BACK", {"a": 4096, "b": 8}))
    table = sim.series()
    assert table.column_names == ["t_ns", "guest", "metric", "value"]
    assert set(table["metric"].to_pylist()) <= set(series())
    assert {f"unit:{name}".encode(): one.unit.encode() for name, one in series().items()} == table.schema.metadata


def test_without_guests():
    sim = h.Simulation(h.Host("2GiB"))
    assert sim.metrics()["guests"].to_pylist() == [0]
    assert sim.series().num_rows == sim.timeline().num_rows == sim.exits().num_rows == 0
    assert isinstance(sim.counters(), pa.Table)


def test_the_page_of_metrics_is_current():
    page = (ROOT / "docs" / "metrics.md").read_text()
    for name, metric in metrics().items():
        assert f"| `{name}` | {metric.unit} | {metric.text} |" in page
    for name, one in series().items():
        assert f"| `{name}` | {one.unit} | {one.text} |" in page
