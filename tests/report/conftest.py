"""Folders of results, and a browser to open pages in."""

import shutil
from pathlib import Path

import pytest

from tests.cli.test_cli import hinting
from tests.report.browser import Browser
from tests.sweeps.harness import hinting as in_folder

SMALL = [
    *("--set", "host_memory=6GiB"),
    *("--set", "guest_memory=2GiB"),
    *("--set", "program=1400MiB"),
    *("--set", "max_guests=4"),
]


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "run"
    hinting("run", "seed", *SMALL, "--set", "v8.entries=128", "--memory-map", "--out", folder)
    hinting("report", folder)
    return folder


@pytest.fixture(scope="session")
def compare_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "compare"
    arms = ("none", "v8:entries=128", "page-reporting-6.1")
    hinting("compare", "seed", *(word for arm in arms for word in ("--strategy", arm)), *SMALL, "--out", folder)
    hinting("report", folder, "--no-pictures")
    return folder


SWEEP = """
scenario = "seed"
text = "Entries and huge pages on a small host"
repeats = 2
seed = 1

[set]
host_memory = "6GiB"
guest_memory = "2GiB"
program = "1400MiB"
max_guests = 4
strategy = ["none", "v8"]

[axes]
thp = ["always", "never"]
"v8.entries" = [128, 1000]
"""


@pytest.fixture(scope="session")
def sweep_folder(tmp_path_factory) -> Path:
    base = tmp_path_factory.mktemp("report")
    (base / "small.toml").write_text(SWEEP)
    hinting("sweep", base / "small.toml", "--out", base / "sweep", "--jobs", "2")
    hinting("report", base / "sweep")
    return base / "sweep"


TINY = """
scenario = "seed"

[set]
host_memory = "5GiB"
guest_memory = "1GiB"
program = "256MiB"
max_guests = 1
"""
#: Sweeps whose pages have more or less than others: by name the rest of the file, and the exit status.
ODD = {
    "single": ("strategy = 'v8'\n[axes]\n'v8.entries' = [100, 1000]\n", 0),
    "random": ("[[sample]]\npoints = 20\nmethod = 'random'\n[sample.axes]\nstrategy = ['none', 'v8']\n"
               "'v8.entries' = { from = 100, to = 10000, log = true }\n'v8.isolate_min_order' = [0, 9]\n", 0),
    "failing": ("[axes]\nstrategy = ['v8', 'broken.py:Broken']\n'*.entries' = [100, 1000]\n", 1),
}
BROKEN = """
from hinting.strategies import V8

class Broken(V8):
    def core(self):
        if self.entries == 1000:
            raise RuntimeError("no <such> size")
        return super().core()
"""
FRONT = """
trials = 8
generation = 4

[axes]
strategy = ["v8", "page-reporting"]
"v8.entries" = { from = 100, to = 5000, log = true }
"page-reporting.delay" = { from = "100ms", to = "10s", log = true }

[objectives]
memory_returned = "more"
guest_cpu = "less"
"""


@pytest.fixture(scope="session")
def odd_folders(tmp_path_factory) -> dict[str, Path]:
    base = tmp_path_factory.mktemp("odd")
    (base / "broken.py").write_text(BROKEN)
    for name, (text, status) in ODD.items():
        (base / f"{name}.toml").write_text(TINY + text)
        in_folder("sweep", f"{name}.toml", "--out", name, "--jobs", "2", status=status, cwd=base)
        in_folder("report", name, cwd=base)
    return {name: base / name for name in ODD}


@pytest.fixture(scope="session")
def search_folder(tmp_path_factory) -> Path:
    pytest.importorskip("optuna")
    base = tmp_path_factory.mktemp("search")
    head, _, values = TINY.partition("[set]")
    (base / "front.toml").write_text(f"{head}{FRONT}\n[set]{values}".replace("\n\ntrials", "\ntrials"))
    in_folder("tune", "front.toml", "--out", "front", "--jobs", "2", cwd=base)
    in_folder("report", "front", cwd=base)
    return base / "front"


@pytest.fixture(scope="session")
def reproduce_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "published"
    hinting("reproduce", "reporting-speed", "memhog-swap", "--workers", "2", "--out", folder)
    hinting("report", folder)
    return folder


@pytest.fixture(scope="module")
def browser():
    pytest.importorskip("selenium", reason="needs selenium: pip install 'hinting[test]'")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("needs a browser (Debian: apt-get install chromium chromium-driver)")
    with Browser(chromium, driver) as opened:
        yield opened
