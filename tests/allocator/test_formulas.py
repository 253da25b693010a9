"""The plain model's boot formulas against a guest of 512 MiB worked out by hand."""

import pytest

from reference import formulas
from reference.constants import KERNELS

MANAGED = [3840, 125_000]


@pytest.mark.parametrize("kernel", KERNELS)
def test_watermarks(kernel):
    kbytes = formulas.min_free_kbytes(kernel, MANAGED)
    marks = formulas.watermarks(kernel, kbytes, MANAGED)
    assert kbytes == 2871
    assert marks == [(21, 26, 31), (695, 868, 1041)]

    kbytes = formulas.min_free_kbytes_with_thp(kbytes, MANAGED, [high for _, _, high in marks])
    assert kbytes == 25552
    assert formulas.watermarks(kernel, kbytes, MANAGED) == [(190, 237, 284), (6197, 7746, 9295)]


@pytest.mark.parametrize("kernel", KERNELS)
def test_lowmem_reserves(kernel):
    assert formulas.lowmem_reserves(kernel, MANAGED) == [[0, 488, 488, 488, 488], [0] * 5]


@pytest.mark.parametrize(("managed", "batch", "high"), [(1 << 18, 63, 378), (1 << 17, 31, 186), (125_000, 31, 186), (3840, 1, 0)])
def test_pcp_sizes(managed, batch, high):
    assert formulas.pcp_batch(managed) == batch
    assert formulas.pcp_high("linux-5.0", managed) == (high, high)
    assert formulas.pcp_high("linux-6.1", managed, low=868) == (868, 868)
    assert formulas.pcp_high("linux-6.12", managed, low=868, ncpus=2) == (434, max(managed // 16, 4 * batch))


def test_recorded_guest_of_256_mib():
    """A recorded 6.1 guest; its DMA zone had 3840 of about 53361 pages when these were computed."""
    managed = [3840, 53_361 - 3840]
    kbytes = formulas.min_free_kbytes("linux-6.1", managed)
    assert kbytes == 1848
    assert formulas.watermarks("linux-6.1", kbytes, managed) == [(33, 41, 49), (428, 535, 642)]
    assert formulas.lowmem_reserves("linux-6.1", managed)[0][1] == 193
    assert formulas.pcp_high("linux-6.1", managed[0], low=41) == (41, 41)
    assert formulas.pcp_high("linux-6.1", managed[1], low=535) == (535, 535)


def test_counter_threshold():
    assert formulas.counter_threshold(3840, 1) == 2
    assert formulas.counter_threshold(125_000, 1) == 2 * 1 * (1 + 2)
    assert formulas.counter_threshold(1 << 30, 256) == 125
