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


@pytest.fixture(scope="module")
def browser():
    pytest.importorskip("selenium", reason="needs selenium: pip install 'hinting[test]'")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("needs a browser (Debian: apt-get install chromium chromium-driver)")
    with Browser(chromium, driver) as opened:
        yield opened
