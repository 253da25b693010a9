"""What a VMM costs beside guest RAM and page tables, by its kind."""

import pytest

import hinting as h
from hinting.errors import HostError

MIB = 256


@pytest.mark.parametrize(
    ("options", "mib"),
    [
        ({}, 30 + 2 * 8),
        ({"iothreads": 3}, 30 + 2 * 8 + 3 * 8),
        ({"vmm": "firecracker"}, 5),
    ],
)
def test_frames_of_a_vmm(options, mib):
    sim = h.Simulation(h.Host("4GiB"))
    vm = sim.launch(h.Guest("1GiB", vcpus=2), boot=False, **options)
    assert vm.machine.backing.vmm_frames == mib * MIB


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vmm": "crosvm"}, "vmm must be qemu or firecracker, got 'crosvm'"),
        ({"iothreads": -1}, "iothreads must be a whole number"),
        ({"vmm": "firecracker", "graphics": True}, "firecracker has neither"),
    ],
)
def test_a_vmm_that_cannot_be(options, message):
    with pytest.raises(HostError, match=message):
        h.Simulation(h.Host("4GiB")).launch(h.Guest("1GiB"), **options)
