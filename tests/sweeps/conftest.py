"""A finished sweep that tests may look at, not change."""

import pytest

from tests.sweeps import harness


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """(file, folder) of the small sweep."""
    folder = tmp_path_factory.mktemp("sweep")
    file = harness.write(folder)
    summary = harness.run(file, folder / "out")
    assert (summary.points, summary.done, summary.failed, summary.new) == (75, 75, 0, 75)
    return file, folder / "out"
