"""Folders of results, and a browser to open pages in."""

import shutil
from pathlib import Path

import pytest

from tests.cli.test_cli import hinting
from tests.report.browser import Browser

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
