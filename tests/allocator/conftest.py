"""Fixture `make`: an allocator of either implementation."""

import pytest

from allocator.harness import MAKERS


@pytest.fixture(params=sorted(MAKERS))
def make(request):
    """A function (kernel, zones, ncpus=1) -> empty allocator."""
    return MAKERS[request.param]
