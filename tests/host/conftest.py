"""Fixtures of the host tests."""

import pytest

from hinting import costs
from hinting._core.costs import Costs
from hinting._core.host.host import HostMemory

NO_WATERMARKS = (0, 0, 0)


@pytest.fixture(scope="session")
def profile():
    return costs.load()


@pytest.fixture(scope="session")
def compiled(profile):
    return Costs(profile)


@pytest.fixture
def make_host(compiled):
    """HostMemory without watermarks and fragmentation, unless the test gives others."""

    def make(frames_total=1 << 20, base_frames=0, **options):
        options.setdefault("watermarks", NO_WATERMARKS)
        options.setdefault("fragmentation", 0.0)
        return HostMemory(frames_total, base_frames, costs=compiled, **options)

    return make
