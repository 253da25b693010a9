"""The disk below a folder: random reads and writes of 4 KiB, and streams of 1 MiB, past the page cache."""

from __future__ import annotations

import errno
import mmap
import os
import tempfile

import numpy as np

from hinting._core.probes.device import transfer
from hinting.calibration.probe import Probe, Samples, Skip, Tools

__all__ = ["device"]

SMALL, LARGE = 4096, 1 << 20
FILE_BYTES = 128 << 20


def _measure(tools: Tools) -> Samples:
    kind = tools.machine.device
    if not kind:
        raise Skip(f"{tools.machine.folder} is on no disk: give --folder a folder on the disk that would hold swap")
    try:
        file = tempfile.TemporaryFile(dir=tools.machine.folder)  # noqa: SIM115
    except OSError as error:
        raise Skip(f"no temporary file in {tools.machine.folder}: {error.strerror}") from None
    with file, mmap.mmap(-1, LARGE) as large, mmap.mmap(-1, SMALL) as small:
        large.write(np.random.default_rng(tools.seed).bytes(LARGE))
        small.write(np.random.default_rng(tools.seed).bytes(SMALL))
        try:
            direct = os.open(f"/proc/self/fd/{file.fileno()}", os.O_RDWR | os.O_DIRECT)
        except OSError as error:
            raise Skip(f"O_DIRECT is refused below {tools.machine.folder}: {error.strerror}") from None
        try:
            stream = np.arange(0, FILE_BYTES, LARGE)
            scattered = tools.order(FILE_BYTES // SMALL)[: tools.count(4000, 500)] * SMALL
            written = transfer(direct, large, stream, True)
            streamed = transfer(direct, large, stream, False)
            reads = transfer(direct, small, scattered, False) - tools.clock_ns
            writes = transfer(direct, small, scattered[: len(scattered) // 4], True) - tools.clock_ns
        except OSError as error:
            hint = ", the disk is full" if error.errno == errno.ENOSPC else ""
            raise Skip(f"reading and writing past the page cache fails: {error.strerror}{hint}") from None
        finally:
            os.close(direct)
    groups = np.array_split(reads, max(1, len(reads) // 200))  # a percentile for each 200 reads
    return {
        f"{kind}:device_read": reads,
        f"{kind}:device_read_p99": np.array([np.percentile(group, 99) for group in groups]),
        f"{kind}:device_write": writes,
        f"{kind}:device_read_mib_s": 1e9 / streamed,
        f"{kind}:device_write_mib_s": 1e9 / written,
    }


device = Probe("disk", _measure, tuple(f"{kind}:{name}" for kind in ("nvme", "sata", "hdd") for name in (
    "device_read", "device_read_p99", "device_write", "device_read_mib_s", "device_write_mib_s")))
