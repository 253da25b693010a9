"""`hinting snapshot` and `hinting show`: a moment of a guest as a file, and what is in it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hinting.cli.output import print_json, status_console

if TYPE_CHECKING:
    from hinting.guest import Guest

__all__ = ["Moment", "View", "show", "snapshot"]


class Moment(StrEnum):
    """Moments of a recording."""

    t0 = "t0"
    t1 = "t1"


class View(StrEnum):
    """Files of /proc."""

    buddyinfo = "buddyinfo"
    pagetypeinfo = "pagetypeinfo"
    zoneinfo = "zoneinfo"


_At = Annotated[Moment | None, typer.Option(help="Moment of a recording: its start (default) or its end.")]


def snapshot(
    source: Annotated[Path, typer.Argument(
        metavar="DIR|FILE", help="Folder of a recording; or kpageflags, pagetypeinfo or buddyinfo of a machine's /proc.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Snapshot file to write.")],
    at: _At = None,
    memory: Annotated[str | None, typer.Option(metavar="SIZE", help="RAM of the guest, with pagetypeinfo or buddyinfo.")] = None,
    kernel: Annotated[str, typer.Option(help="Kernel profile of the guest, with files of /proc.")] = "linux-6.1",
    vcpus: Annotated[int, typer.Option(min=1, max=256, help="CPUs of the guest, with files of /proc.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Of the places of free blocks, with pagetypeinfo or buddyinfo.")] = 0,
) -> None:
    """Keep a moment of a recording, or memory as fragmented as a machine's /proc says, as one snapshot file."""
    from hinting.snapshots import Snapshot, open_snapshot
    from hinting.snapshots.proc import is_proc

    if is_proc(source):
        moment = Snapshot.from_proc(source, memory=memory, kernel=kernel, vcpus=vcpus, seed=seed)
    else:
        moment = open_snapshot(source, at.value if at is not None else None)
    moment.save(out)
    status_console().print(f"written: {out}", markup=False, soft_wrap=True)


def show(
    source: Annotated[Path, typer.Argument(metavar="FILE|DIR", help="Snapshot file, or folder of a recording.")],
    view: Annotated[View | None, typer.Option("--as", help="Show it as this file of /proc.")] = None,
    at: _At = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document with all of it.")] = False,
) -> None:
    """Show a snapshot or a moment of a recording: what guest it is, or its memory as /proc has it."""
    from hinting.guest import Guest

    guest = Guest.from_snapshot(source, at=at.value if at is not None else None)
    if json:
        print_json(_document(guest))
    elif view is None:
        print(_summary(guest), end="")
    else:
        print(getattr(guest, f"{view.value}_text")(), end="")


def _document(guest: Guest) -> dict:
    return {
        "kernel": guest.kernel, "memory_bytes": guest.memory_bytes, "vcpus": guest.vcpus, "thp": guest.thp,
        "strategy": guest.strategy.name if guest.strategy is not None else None, "counters_kib": guest.counters(),
        "zoneinfo": guest.zoneinfo(), "buddyinfo": guest.buddyinfo().tolist(),
        "pagetypeinfo": guest.pagetypeinfo().tolist(),
    }


def _summary(guest: Guest) -> str:
    strategy = guest.strategy.name if guest.strategy is not None else "none"
    lines = [f"kernel    {guest.kernel}", f"memory    {guest.memory_bytes / 2**20:.0f} MiB, {guest.vcpus} vCPU",
             f"strategy  {strategy}"]
    for name, zone in guest.zoneinfo().items():
        if zone["present"]:
            held = sum(pageset["count"] for pageset in zone["pagesets"])
            lines.append(f"zone {name:<8} {zone['managed']:>10} pages managed, {zone['free']:>10} free, "
                         f"{held:>6} on per-CPU lists")
    lines += [f"{label} {value} KiB" for label, value in guest.counters().items()]
    return "\n".join(lines) + "\n"
