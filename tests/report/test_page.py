"""`hinting report`: its files, its words, and what it refuses."""

import json
import re
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hinting.reports.page.answer import answer, what_was_run
from hinting.reports.page.arms import Arm, Steps, arms_of
from hinting.reports.page.memory import runs
from hinting.reports.page.sampled import STATES, GuestMap, guest_maps
from tests.cli.test_cli import hinting

FIGURES = ("host-memory", "side-by-side", "guest-memory", "given-back", "memory-map", "memory-states", "free-memory",
           "fragmentation")


def test_files(run_folder):
    pictures = {path.name for path in (run_folder / "report-figures").iterdir()}
    assert pictures == {f"{name}.{kind}" for name in FIGURES for kind in ("png", "svg")}
    for name in FIGURES:
        assert (run_folder / "report-figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (run_folder / "report-figures" / f"{name}.svg").read_text()


def test_the_page_needs_nothing_else(run_folder):
    page = (run_folder / "report.html").read_text()
    head = page[: page.index('<script type="application/json"')]
    assert "default-src 'none'" in head
    assert not re.search(r"""(?:src|href)=["'](?!data:)""", head)
    assert not re.search(r"@import|url\((?!data:)", head)
    assert len(page) < 3_000_000


def test_the_same_folder_gives_the_same_page(run_folder, tmp_path):
    hinting("report", run_folder, "--out", tmp_path / "deep" / "other.html")
    assert (tmp_path / "deep" / "other.html").read_bytes() == (run_folder / "report.html").read_bytes()
    for picture in (run_folder / "report-figures").iterdir():
        assert (tmp_path / "deep" / "other-figures" / picture.name).read_bytes() == picture.read_bytes(), picture.name


def test_the_answer_and_the_table_are_the_run_s(run_folder):
    page = (run_folder / "report.html").read_text()
    fit = {row["strategy"]: row["guests_launched"] for row in pq.read_table(run_folder / "arms.parquet").to_pylist()}
    assert fit["v8"] > fit["none"]
    said = re.search(r'<p id="answer">(.*?)</p>', page)[1]
    assert said.startswith(f"{fit['v8']} guests fit on this host with <code>v8</code>, {fit['none']} with <code>none</code>; ")
    values = {
        (row["strategy"], row["metric"]): row["value"]
        for row in pq.read_table(run_folder / "metrics.parquet").to_pylist()
        if row["guest"] == -1
    }
    assert f"gives back {values['v8', 'memory_returned']:.3g} GiB" in said
    row = re.search(r'<tr class="metric"><th[^>]*>faults</th><td>count</td>(.*?)</tr>', page)[1]
    shown = [re.sub(r"<.*?>", "", cell) for cell in re.findall(r"<td.*?</td>", row)]
    assert shown == [f"{int(values[arm, 'faults']):,}" for arm in ("none", "v8")]


def test_names_cannot_break_the_page(tmp_path, run_folder):
    folder = tmp_path / "run"
    shutil.copytree(run_folder, folder)
    evil = "</script><b>&\"'"
    for name in ("metrics", "series"):
        table = pq.read_table(folder / f"{name}.parquet")
        names = pa.array([evil if one == "v8" else one for one in table["strategy"].to_pylist()])
        pq.write_table(table.set_column(table.column_names.index("strategy"), "strategy", names), folder / f"{name}.parquet")
    hinting("report", folder, "--no-pictures")
    assert "<b>" not in (folder / "report.html").read_text().split('<script type="module">')[0]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: shutil.rmtree(folder), "no output folder of hinting"),
        (lambda folder: [path.unlink() for path in folder.glob("*.parquet")], "no table 'metrics'"),
        (lambda folder: (folder / "provenance.json").unlink(), "provenance.json is missing"),
        (lambda folder: (folder / "provenance.json").write_text("{"), "provenance.json: damaged"),
        (lambda folder: (folder / "provenance.json").write_text("[]"), "expected a JSON object"),
        (lambda folder: (folder / "series.parquet").write_bytes(b"PAR1 no"), "series.parquet: damaged"),
        (lambda folder: pq.write_table(pa.table({"a": [1]}), folder / "metrics.parquet"), "expected the columns guest, metric"),
        (lambda folder: (folder / "memory_map.parquet").write_bytes(b""), "memory_map.parquet: damaged"),
        (lambda folder: (folder / "report.html").mkdir(), "report.html: cannot be written"),
    ],
)
def test_bad_input_is_one_line(damage, words, run_folder, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run_folder, folder)
    (folder / "report.html").unlink()
    damage(folder)
    done = hinting("report", folder, "--no-pictures", status=2)
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert words in done.stderr
    assert not list(folder.glob(".writing-*"))


def test_the_answer_s_cases():
    one_by_one, at_once = {"schedule": {"launch": "one-by-one"}}, {"schedule": {"launch": "staggered"}}

    def arm(name, **metrics):
        return Arm(name, name, metrics)

    a = arm("a", guests_fit=3.0, footprint=5.0, memory_returned=0.0)
    b = arm("b", guests_fit=3.0, footprint=4.0, memory_returned=2.0)
    assert answer([a], one_by_one) == "3 guests held on this host; `a` gives nothing back."
    assert answer([a, b], one_by_one) == (
        "3 guests held on this host with each strategy; they cost it least with `b`: 4 GiB*min of memory over time, "
        "5 with `a`; `b` gives back 2 GiB."
    )
    slow = arm("slow", guests_fit=3.0, footprint=9.0, elasticity=1.5, memory_returned=8.0, guest_seconds=90.0)
    soon = arm("soon", guests_fit=3.0, footprint=6.0, elasticity=1.8, memory_returned=0.0, guest_seconds=30.0)
    assert answer([soon, slow], at_once) == (
        "Guests cost the host least with `slow`: 1.5 times what they use, over time, 1.8 with `soon`; `slow` gives back 8 GiB."
    )
    more = arm("c", guests_fit=4.0, footprint=9.0, memory_returned=8.0, time_to_return_50=0.25)
    assert answer([a, b, more], one_by_one) == (
        "4 guests fit on this host with `c`, 3 with `a` and `b`; `c` gives back 8 GiB, half of what exits free within 0.25 s."
    )
    assert answer([a, b, more], at_once).startswith("Guests cost the host least with `b`: 4 GiB*min")
    assert answer([a, a], at_once) == "No difference between `a` and `a` in what guests cost the host."


def test_what_was_run_needs_no_strategy(run_folder):
    scenario = json.loads((run_folder / "provenance.json").read_text())["scenario"]
    said = what_was_run(scenario | {"strategy": [{"name": "elsewhere.py:Mine"}]})
    assert said.startswith("Host of 6GiB (its own needs: 0.95GiB), no swap; up to 4 guests of 2GiB with 1 vCPU")
    assert what_was_run({"name": "odd"}) == "Scenario odd."


def test_the_map_s_rectangles_cover_every_cell_once():
    generator = np.random.default_rng(2)
    times = np.arange(0, 40) * 10**9
    pages = np.repeat(generator.integers(0, 3, (10, 64, 1)) == np.arange(len(STATES)), 4, axis=0).astype(np.int32) * 512
    pages[:, 20:24] = 0  # a hole
    rectangles = runs(GuestMap("none", 0, times, pages))
    for block in range(64):
        for sample in range(39):
            address, second = (block + 0.5) * 512 / 2**18, sample + 0.5
            there = [state for start, end, low, high, state in rectangles if start < second < end and low < address < high]
            assert there == ([] if 20 <= block < 24 else [STATES[pages[sample, block].argmax()]]), (block, sample)


def test_states_of_a_pageblock():
    rows = {name: [0, 0] for name in ("free", "used", "cache", "isolated", "reported", "backed", "free_backed")}
    rows |= {"free": [100, 10], "used": [200, 0], "cache": [20, 0], "isolated": [64, 0], "reported": [128, 500],
             "free_backed": [100, 500]}
    table = pa.table({"strategy": ["v8"] * 2, "t_ns": [5, 9], "guest": [0, 0], "block": [1, 1], **rows})
    (found,) = guest_maps([Arm("v8", "v8")], table)
    assert found.t_ns.tolist() == [5, 9]
    assert found.pages[:, 0].sum() == 0
    assert dict(zip(STATES, found.pages[0, 1].tolist(), strict=True)) == {
        "in use": 200, "page cache": 20, "free, still backed": 36, "isolated": 64, "given back": 128, "free, never backed": 64,
    }
    assert found.pages[1, 1].tolist() == [0, 0, 10, 0, 500, 0]


def test_thinned_steps_keep_every_spike():
    generator = np.random.default_rng(1)
    times = np.sort(generator.integers(0, 10**9, 50_000))
    values = generator.integers(0, 100, 50_000)
    values[31_234], values[40_000] = 10_000, -5
    thin = Steps(times, values).thinned(400, 10**9)
    assert len(thin.t_ns) <= 400
    assert (np.diff(thin.t_ns) >= 0).all()
    assert thin.values.max() == 10_000
    assert thin.values.min() == -5
    points, kept = (set(zip(t.tolist(), v.tolist(), strict=True)) for t, v in ((times, values), (thin.t_ns, thin.values)))
    assert kept <= points
    assert thin.values[-1] == values[-1]
    few = Steps(times[:10], values[:10])
    assert few.thinned(400, 10**9) is few


def test_labels_leave_the_folder_out_where_they_can():
    metrics = pa.table({"strategy": ["a/x.py:S", "b/x.py:S", "c/y.py:T"], "guest": [-1] * 3, "metric": ["faults"] * 3,
                        "value": [1.0, 2.0, 3.0], "unit": ["count"] * 3})
    series = pa.table({"strategy": ["c/y.py:T"], "t_ns": [5], "guest": [-1], "metric": ["held"], "value": [7]})
    arms = arms_of(metrics, series)
    assert [arm.label for arm in arms] == ["a/x.py:S", "b/x.py:S", "y.py:T"]
    assert arms[2].steps[-1, "held"].at(np.array([4, 5, 6])).tolist() == [0, 7, 7]
