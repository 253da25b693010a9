"""A machine and probes that are made up, so that what a calibration makes of samples can be told exactly."""

import os
from dataclasses import replace

import numpy as np

from hinting.calibration import Machine, Probe, calibrate

CPU = min(os.sched_getaffinity(0))

#: A host with everything: KVM, huge pages, four CPUs.
HOST = Machine(
    cpu="Test CPU",
    cpus=(CPU, CPU + 1, CPU + 2, CPU + 3),
    architecture="x86_64",
    kernel="6.12.1",
    memory_bytes=16 << 30,
    available_bytes=8 << 30,
    is_vm=False,
    thp="madvise",
    kvm="",
    swap=(),
    folder="/tmp",
    device="nvme",
    device_note="nvme0n1",
)
GUEST = replace(HOST, is_vm=True)


def probe(vm_reason="", name="", **samples):
    """A probe that gives lists of samples, or calls a function for each pass."""
    passes = []

    def measure(tools):
        passes.append(tools)
        return {key: np.array(given(len(passes)) if callable(given) else given, float) for key, given in samples.items()}

    return Probe(name or "+".join(samples), measure, tuple(samples), vm_reason)


def measured(*probes, machine=HOST, **options):
    return calibrate(machine, probes, date="2026-01-02T03:04:05+00:00", **options)
