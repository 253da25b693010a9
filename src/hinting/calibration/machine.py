"""What machine this is, as far as it decides which costs can be measured here and what they say."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hinting.errors import CalibrationError

__all__ = ["Machine"]

KVM = Path("/dev/kvm")


@dataclass(frozen=True, slots=True)
class Machine:
    """cpus: those this process may use. thp: the setting of transparent huge pages, "" if the kernel has none.
    is_vm: whether it is a virtual machine itself. kvm: "" if virtual machines can be made here, else why not. swap: device
    names. memory_bytes: of RAM; available_bytes: free or easily freed now. device: kind of the disk below `folder`, "nvme",
    "sata" or "hdd", "" if it is no disk; device_note: what it is called.
    """

    cpu: str
    cpus: tuple[int, ...]
    architecture: str
    kernel: str
    memory_bytes: int
    available_bytes: int
    is_vm: bool
    thp: str
    kvm: str
    swap: tuple[str, ...]
    folder: str
    device: str
    device_note: str

    @classmethod
    def here(cls, folder: Path) -> Machine:
        """This machine; folder: where the file for the device probe goes. CalibrationError if it is no Linux."""
        if platform.system() != "Linux":
            raise CalibrationError(f"calibrate needs Linux: it measures madvise, huge pages and event descriptors, "
                                   f"this is {platform.system()}")
        if not folder.is_dir():
            raise CalibrationError(f"--folder {folder}: expected a folder for a temporary file")
        cpuinfo, meminfo = _text("/proc/cpuinfo"), _text("/proc/meminfo")
        device, note = _device(folder)
        return cls(
            cpu=_field(cpuinfo, "model name") or platform.processor() or "unknown",
            cpus=tuple(sorted(os.sched_getaffinity(0))),
            architecture=platform.machine(),
            kernel=platform.release(),
            memory_bytes=_kib(meminfo, "MemTotal"),
            available_bytes=_kib(meminfo, "MemAvailable"),
            is_vm=" hypervisor" in _field(cpuinfo, "flags"),
            thp=_chosen(_text("/sys/kernel/mm/transparent_hugepage/enabled")),
            kvm=_kvm(),
            swap=tuple(line.split()[0] for line in _text("/proc/swaps").splitlines()[1:]),
            folder=str(folder),
            device=device,
            device_note=note,
        )

    def document(self) -> dict[str, Any]:
        """Plain values, for the profile's provenance; without paths of this machine."""
        values = asdict(self) | {"cpus": len(self.cpus)}
        for key in ("available_bytes", "folder", "swap"):
            del values[key]
        return values


def _text(path: str | Path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _field(text: str, name: str) -> str:
    found = re.search(rf"^{re.escape(name)}\s*:\s*(.*)$", text, re.MULTILINE)
    return found.group(1).strip() if found else ""


def _kib(text: str, name: str) -> int:
    value = _field(text, name).removesuffix("kB").strip()
    return int(value) * 1024 if value.isdecimal() else 0


def _chosen(text: str) -> str:
    """The word in brackets of a kernel setting."""
    found = re.search(r"\[(\w+)\]", text)
    return found.group(1) if found else ""


def _kvm() -> str:
    if platform.machine() != "x86_64":
        return "the probe's guest program is for x86-64"
    if not KVM.exists():
        return f"there is no {KVM}"
    return "" if os.access(KVM, os.R_OK | os.W_OK) else f"{KVM} is not accessible to this user"


def _device(folder: Path) -> tuple[str, str]:
    """(kind, name) of the disk that a folder is on."""
    number = os.stat(folder).st_dev
    block = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}").resolve()
    for at in (block, block.parent):
        if (at / "queue" / "rotational").is_file():
            name = at.name
            if name.startswith(("vd", "xvd")):  # says nothing about what is below
                return "nvme", f"{name} (virtual disk)"
            if _text(at / "queue" / "rotational").strip() == "1":
                return "hdd", name
            return ("sata" if name.startswith("sd") else "nvme"), name
    return "", ""
