"""A virtual machine of one vCPU whose program touches memory, or leaves the machine, a given number of times.

The program is flat 32-bit code without paging; a run from entry to halt is timed, so that what is measured is done by the
processor and by KVM. Numbers and layouts are those of the kernel's interface (Documentation/virt/kvm/api.rst).
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import signal
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import numpy as np
from numpy.typing import NDArray

from hinting._core.probes.memory import Area
from hinting._core.probes.wakeups import ioctl_times
from hinting.calibration.probe import Probe, Samples, Skip, Tools

__all__ = ["Guest", "kvm"]

GET_API_VERSION, CREATE_VM, GET_VCPU_MMAP_SIZE = 0xAE00, 0xAE01, 0xAE04
CREATE_VCPU, SET_TSS_ADDR, RUN = 0xAE41, 0xAE47, 0xAE80
SET_USER_MEMORY_REGION, IOEVENTFD = 0x4020AE46, 0x4040AE79
SET_REGS, GET_SREGS, SET_SREGS = 0x4090AE82, 0x8138AE83, 0x4138AE84
EXIT_IO, EXIT_HLT = 2, 5
IOEVENTFD_PIO = 2

CODE_AT, DATA_AT = 0x1000, 0x4000_0000
PORT = 0x42
LIMIT_S = 1.0
SMALL, HUGE = 4096, 2 << 20
LOOP = b"\x4e\x75"                     # dec esi; jnz
PROGRAMS = {
    "touch": b"\xc6\x07\x01\x01\xd7" + LOOP + b"\xf8\xf4",          # mov byte [edi], 1; add edi, edx; loop; hlt
    "cpuid": b"\x31\xc0\x0f\xa2" + LOOP + b"\xf9\xf4",              # xor eax, eax; cpuid; loop; hlt
    "port": bytes([0xE6, PORT]) + LOOP + b"\xfb\xf4",               # out PORT, al; loop; hlt
    "vmcall": b"\xb8\xff\xff\x00\x00\x0f\x01\xc1" + LOOP + b"\xf5\xf4",   # mov eax, 0xffff; vmcall; loop; hlt
    "vmmcall": b"\xb8\xff\xff\x00\x00\x0f\x01\xd9" + LOOP + b"\xf5\xf4",  # the same on AMD
}


@contextmanager
def _limited() -> Iterator[None]:
    """A signal ends a run of KVM that does not come back, where signals can be had (the main thread)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Guest:
    """A virtual machine with `memory` as its data. Close it; OSError if KVM refuses."""

    def __init__(self, memory: Area) -> None:
        self.memory = memory
        self.code = Area(HUGE)
        self._open = ExitStack()
        try:
            kvm = self._descriptor(os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC))
            self.vm = self._descriptor(fcntl.ioctl(kvm, CREATE_VM, 0))
            with suppress(OSError):  # needed on Intel, refused elsewhere
                fcntl.ioctl(self.vm, SET_TSS_ADDR, 0x7FFB_D000)
            for slot, at, area in ((0, CODE_AT, self.code), (1, DATA_AT, memory)):
                size = SMALL if slot == 0 else area.nr_bytes
                fcntl.ioctl(self.vm, SET_USER_MEMORY_REGION, struct.pack("<IIQQQ", slot, 0, at, size, area.address))
            self.vcpu = self._descriptor(fcntl.ioctl(self.vm, CREATE_VCPU, 0))
            self.shared = self._open.enter_context(mmap.mmap(self.vcpu, fcntl.ioctl(kvm, GET_VCPU_MMAP_SIZE, 0)))
            self._protected_mode()
        except OSError:
            self._open.close()
            raise

    def _descriptor(self, fd: int) -> int:
        self._open.callback(os.close, fd)
        return fd

    def close(self) -> None:
        """End the machine."""
        self._open.close()

    def _protected_mode(self) -> None:
        """Flat code and data segments, paging off."""
        sregs = bytearray(312)
        fcntl.ioctl(self.vcpu, GET_SREGS, sregs)
        for i in range(6):  # cs, ds, es, fs, gs, ss; type 11 is code, 3 data
            segment = struct.pack("<QIHBBBBBBBB", 0, 0xFFFF_FFFF, 8 if i == 0 else 16, 11 if i == 0 else 3, 1, 0, 1, 1, 0, 1, 0)
            sregs[24 * i : 24 * i + len(segment)] = segment
        at = 8 * 24 + 2 * 16  # after 8 segments and 2 descriptor tables: cr0
        (cr0,) = struct.unpack_from("<Q", sregs, at)
        struct.pack_into("<Q", sregs, at, cr0 | 1)
        fcntl.ioctl(self.vcpu, SET_SREGS, bytes(sregs))

    def _start(self, program: str, rounds: int, step: int) -> None:
        code = PROGRAMS[program]
        ctypes.memmove(self.code.address, code, len(code))
        rsi, rdi, rdx = rounds, DATA_AT, step
        regs = struct.pack("<18Q", 0, 0, 0, rdx, rsi, rdi, 0, 0, *[0] * 8, CODE_AT, 2)
        fcntl.ioctl(self.vcpu, SET_REGS, regs)

    def run(self, program: str, rounds: int, step: int = SMALL) -> float:
        """ns from entry to halt, for a program that does not leave to user space in between."""
        self._start(program, rounds, step)
        with _limited():
            took = ioctl_times(self.vcpu, RUN, 1)[0]
        self._expect(EXIT_HLT)
        return float(took)

    def exits(self, rounds: int) -> NDArray[np.float64]:
        """ns for each exit to user space by a port write."""
        self._start("port", rounds + 1, 0)
        with _limited():
            took = ioctl_times(self.vcpu, RUN, rounds)
        self._expect(EXIT_IO)
        return took

    def _expect(self, reason: int) -> None:
        (found,) = struct.unpack_from("<I", self.shared, 8)
        if found != reason:
            raise OSError(f"the guest left with exit reason {found}, expected {reason}")

    def catch_port(self, event: int) -> None:
        """Let KVM signal an event descriptor for writes to the port."""
        fcntl.ioctl(self.vm, IOEVENTFD, struct.pack("<QQIiI36x", 0, PORT, 1, event, IOEVENTFD_PIO))


def _measure(tools: Tools) -> Samples:
    if tools.machine.kvm:
        raise Skip(tools.machine.kvm)
    out: dict[str, list[float]] = {}
    try:
        for huge in (False, True):
            if huge and tools.machine.thp not in ("always", "madvise"):
                continue
            memory = Area(32 << 20, huge=huge)
            guest = Guest(memory)
            try:
                _touches(tools, guest, out, huge)
                if not huge:
                    _leaves(tools, guest, out)
            finally:
                guest.close()
    except OSError as error:
        raise Skip(f"KVM cannot run the guest program: {error.strerror or error}") from None
    return {name: np.array(values) for name, values in out.items()}


def _touches(tools: Tools, guest: Guest, out: dict[str, list[float]], huge: bool) -> None:
    """Touches of memory that nobody has, that the host has, that both have; and discards of the last."""
    memory = guest.memory
    step = HUGE if huge else SMALL
    n = memory.nr_bytes // step
    for _ in range(tools.count(12, 4)):
        memory.advise("dontneed", 0, memory.nr_bytes, 0, 1)
        out.setdefault("kvm_unmapped_2m" if huge else "kvm_unmapped", []).append(guest.run("touch", n, step) / n)
        out.setdefault("kvm_mapped_2m" if huge else "kvm_mapped", []).append(guest.run("touch", n, step) / n)
        if huge:
            continue
        calls = 1024
        took = memory.advise("dontneed", 0, SMALL, 2 * SMALL, calls) - tools.clock_ns
        out.setdefault("kvm_advise_1", []).extend(took)
        memory.advise("dontneed", 0, memory.nr_bytes, 0, 1)
        memory.touch(SMALL)
        out.setdefault("kvm_host_mapped", []).append(guest.run("touch", n, step) / n)


def _leaves(tools: Tools, guest: Guest, out: dict[str, list[float]]) -> None:
    """Exits that KVM answers, exits to user space, and port writes that signal an event."""
    rounds, samples = 500, tools.count(60)
    vendor = "vmmcall" if "AMD" in tools.machine.cpu or "EPYC" in tools.machine.cpu else "vmcall"
    out["kvm_exit"] = [guest.run("cpuid", rounds) / rounds for _ in range(samples)]
    out["kvm_exit_to_user"] = list(guest.exits(samples * 20)[samples:] - tools.clock_ns)
    event = os.eventfd(0, os.EFD_NONBLOCK)
    try:
        guest.catch_port(event)
        for _ in range(samples):
            out.setdefault("kvm_kick", []).append(guest.run("port", rounds) / rounds)
    finally:
        os.close(event)
    with suppress(OSError):  # not every KVM below another one answers
        out["kvm_hypercall"] = [guest.run(vendor, rounds) / rounds for _ in range(samples)]


kvm = Probe("virtual machine", _measure, ("kvm_unmapped", "kvm_unmapped_2m", "kvm_host_mapped", "kvm_mapped", "kvm_advise_1",
                                          "kvm_exit", "kvm_hypercall", "kvm_exit_to_user", "kvm_kick"))
