"""Output folders of a small run and a small comparison."""

import pytest

from tests.results.harness import hinting

SMALL = ["--set", "host_memory=5GiB", "--set", "guest_memory=1GiB", "--set", "program=512MiB", "--set", "max_guests=2"]


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results") / "run"
    hinting("run", "seed", *SMALL, "--strategy", "v8", "--seed", 3, "--out", folder)
    return folder


@pytest.fixture(scope="session")
def compare_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results") / "compare"
    hinting("compare", *SMALL, "--strategy", "v8:drain=off", "--strategy", "v8:entries=128", "--set", "v8.entries=200",
            "--strategy", "none", "--out", folder)  # fmt: skip
    return folder
