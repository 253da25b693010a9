"""What several folders of tests share: the small recordings of the project, and the full ones where they are."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "tests" / "data"
FULL = Path(os.environ.get("HINTING_RECORDINGS", ROOT.parent / "shared" / "groundtruth"))

#: The command line of the tested installation, whatever else is on PATH.
HINTING = str(Path(sys.executable).with_name("hinting"))


def full_recordings() -> list[Path]:
    """Folders of the full recordings, empty where they are not."""
    return sorted(path.parent for path in FULL.glob("*/meta.json")) if FULL.is_dir() else []


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="also run the tests that take minutes")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--slow"):
        skip = pytest.mark.skip(reason="slow: run with --slow")
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(skip)


@pytest.fixture
def data() -> Path:
    return DATA
