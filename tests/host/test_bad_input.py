"""Arguments that are refused, and states in which calls are refused."""

import pytest

from hinting._core.host.ram import Backing
from hinting.errors import CheckError, HostError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames_total": 0}, "host.frames_total must be a whole number between 1 and"),
        ({"frames_total": 10, "base_frames": 11}, "host.base_frames must be a whole number between 0 and 10, got 11"),
        ({"fragmentation": 1.5}, "host.fragmentation must be a number between 0 and 1, got 1.5"),
        ({"fragmentation": float("nan")}, "host.fragmentation must be a number between 0 and 1, got nan"),
        ({"watermarks": (3, 2, 1)}, "host.watermarks must be"),
        ({"seed": -1}, "host.seed must be"),
    ],
)
def test_a_host_that_cannot_exist(make_host, options, message):
    with pytest.raises(HostError, match=message):
        make_host(**options)


def test_ranges_are_checked_at_both_ends(make_host):
    guest = make_host().add_guest(1000)
    guest.touch(999)
    guest.discard(0, 1000)
    for call in (guest.touch, guest.discard):
        with pytest.raises(HostError, match="pfn must be a whole number between 0 and 999, got 1000"):
            call(1000)
        with pytest.raises(HostError, match="npages must be a whole number between 1 and 1, got 2"):
            call(999, 2)
        with pytest.raises(HostError, match=r"npages must be .* got 0"):
            call(0, 0)
    with pytest.raises(HostError, match="call_pages must be"):
        guest.discard(0, 1, 0)
    with pytest.raises(HostError, match="block must be a whole number between 0 and 1, got 2"):
        guest.block_state(2)


def test_a_guest_that_is_gone(make_host):
    guest = make_host().add_guest(1000)
    guest.remove()
    for call in (guest.remove, guest.check, lambda: guest.touch(0), lambda: guest.block_state(0)):
        with pytest.raises(HostError, match="guest 0 is gone"):
            call()
    assert guest.counters["faults_4k"] == 0


def test_a_guest_that_does_not_fit(make_host):
    host = make_host(1000, watermarks=(100, 200, 300))
    with pytest.raises(HostError, match=r"guest.vmm_frames must be between 0 and 900 on this host now, got 901"):
        host.add_guest(1000, 901)
    assert host.guests == []
    with pytest.raises(HostError, match=r"host.base_frames must be between 0 and 900 .* got 901"):
        host.base_frames = 901
    assert host.frames_free == 1000
    host.check()


def test_a_backing_is_made_by_its_host():
    with pytest.raises(TypeError, match=r"HostMemory\.add_guest"):
        Backing()


def test_check_error_is_no_input_error():
    assert not issubclass(CheckError, ValueError)
