"""`hinting calibrate`: measures this machine's costs and writes a cost profile."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from hinting.cli.output import print_json, result_console, status_console

if TYPE_CHECKING:
    from hinting.calibration import Calibration

__all__ = ["calibrate"]


def calibrate(
    out: Annotated[Path, typer.Option(help="File for the cost profile.")] = Path("calibration.toml"),
    quick: Annotated[bool, typer.Option("--quick", help="A tenth of the samples: seconds, and a wider spread.")] = False,
    folder: Annotated[
        Path | None, typer.Option(help="Folder on the disk to measure; the one for temporary files if not given.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of the table.")] = False,
) -> None:
    """Measure what this machine's memory, wake-ups, disk and KVM cost, and write a cost profile for --costs.

    Takes less than a minute and at most 1 GiB, and needs no privileges; KVM is measured if the device can be opened.
    """
    from hinting import calibration as calibrations
    from hinting.errors import CalibrationError

    if not out.parent.is_dir() or out.is_dir():
        raise CalibrationError(f"--out {out}: expected a file in a folder that exists")
    machine = calibrations.Machine.here(Path(folder or tempfile.gettempdir()))
    console = status_console()
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("")
        result = calibrations.calibrate(
            machine, quick=quick,
            progress=lambda done, steps, name: bar.update(task, completed=done, total=steps, description=name),
        )
    calibrations.write(result, out)
    if json:
        print_json(result.to_json())
    else:
        _print(result)
    console.print(f"written: {out}", markup=False)


def _print(result: Calibration) -> None:
    from hinting.costs import default_table

    costs = default_table().costs
    machine = result.machine
    console = result_console()
    console.print(f"{'virtual machine' if machine.is_vm else 'machine'}: {machine.cpu}, {len(machine.cpus)} CPUs, "
                  f"Linux {machine.kernel}", markup=False)
    table = Table(box=None, pad_edge=False)
    table.add_column("cost")
    for heading in ("typical", "p10", "p90", "default"):
        table.add_column(heading, justify="right")
    for heading in ("unit", "remark"):
        table.add_column(heading)
    for cost, found in result.measurements.items():
        remarks = [f"unstable: passes differ by {found.spread:.0%}"] * found.is_unstable
        remarks += [f"not used: {found.unreliable}"] * bool(found.unreliable)
        values = (found.typical, found.p10, found.p90, costs[cost].typical)
        table.add_row(cost, *(_number(value) for value in values), costs[cost].unit, escape("; ".join(remarks)))
    console.print(table)
    if result.refused:
        console.print("\nnot measured:")
        for name, reason in result.refused.items():
            console.print(f"  {name}: {reason}", markup=False)
    facts = ", ".join(f"{key} = {str(value).lower()}" for key, value in result.facts.items())
    console.print(f"\nfacts: {facts}", markup=False)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
