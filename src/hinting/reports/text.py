"""A result as text tables."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from hinting.experiments import ArmResult, Result
from hinting.scenarios import Scenario
from hinting.scenarios.tables import GuestsTable
from hinting.units import format_gib, parse_size

__all__ = ["counted", "describe", "print_result", "print_sensitivity"]

_MIB = 2**20


def _summary(result: Result) -> Table:
    title = "How many guests fit" if result.scenario.schedule.launch == "one-by-one" else "Host memory"
    table = Table("strategy", title=title, title_justify="left", box=None, pad_edge=False)
    headings = ("guests", "host used at most (GiB)", "at the end (GiB)", "returned to the host (GiB)", "emulated (s)", "wall (s)")
    for heading in headings:
        table.add_column(heading, justify="right")
    for arm in result.arms:
        used = arm.end_used_bytes
        if result.scenario.schedule.launch == "one-by-one":
            used = arm.host_used_bytes[-1] if arm.guests else 0
        returned = sum(guest.returned_bytes for guest in arm.guests)
        table.add_row(
            arm.strategy,
            str(arm.guests_launched),
            format_gib(arm.peak_used_bytes),
            format_gib(used),
            format_gib(returned),
            f"{arm.emulated_s:.1f}",
            f"{arm.wall_s:.2f}",
        )
    return table


def _launches(result: Result) -> Table:
    table = Table(title="Host memory used after each launch (GiB)", title_justify="left", box=None, pad_edge=False)
    table.add_column("strategy")
    most = max((arm.guests_launched for arm in result.arms), default=0)
    for number in range(1, most + 1):
        table.add_column(str(number), justify="right")
    for arm in result.arms:
        table.add_row(arm.strategy, *(format_gib(used) for used in arm.host_used_bytes))
    return table


def _missed(arm: ArmResult) -> Table | None:
    """What the strategy missed, by its own counters."""
    counters = arm.counters
    if "captued_memory" not in counters:
        return None
    mib = {name: value / 1024 for name, value in counters.items() if name.endswith("_memory")}
    rows = [
        ("freed by the guests", mib["total_freed_memory"], ""),
        ("captured", mib["captued_memory"], ""),
        ("lost", mib["total_freed_memory"] - mib["captued_memory"], "freed while the array was full or worked off"),
        ("isolated, reported and returned", mib["guest_returned_memory"], "whole free blocks around captured pages"),
        ("not isolated: in use again", mib["reallocated_memory"], "allocated again before the thread looked"),
        (
            "not isolated: not in the buddy lists",
            mib["free_non_buddy_memory"],
            "on a per-CPU list, half-way through freeing, or isolated already",
        ),
        ("not isolated: refused", mib["failed_isolation_memory"], "the zone would have fallen below its min watermark"),
    ]
    table = Table("what", title=f"{arm.strategy}: what it missed, and why", title_justify="left", box=None, pad_edge=False)
    table.add_column("MiB", justify="right")
    table.add_column("because")
    for what, value, why in rows:
        table.add_row(what, f"{value:,.1f}", why)
    steps = {"scans": "scans", "wake-ups": "wakes", "runs": "runs"}
    steps = {title: name for title, name in steps.items() if name in counters}
    table.add_row(
        ", ".join(steps), ", ".join(f"{counters[name]:,}" for name in steps.values()),
        "what is left in an array is never reported",
    )
    return table


def _group(group: GuestsTable, kernel: str) -> str:
    runs = " and ".join(
        " ".join([entry.name, *(f"{key}={value}" for key, value in entry.parameters.items())]) for entry in group.workloads
    )
    if group.fleet is not None:
        most = f"at most {counted(group.fleet.most, 'guest')}" if group.fleet.most else "guests"
        return (
            f"{most} of up to {group.memory} that come and go as {group.fleet.file} says, {group.kernel or kernel}, guest THP "
            f"{group.thp}, each running its demand{f' and {runs}' if runs else ''}"
        )
    return (
        f"{counted(group.count, 'guest')} of {group.memory} with {counted(group.vcpus, 'vCPU')}, "
        f"{group.kernel or kernel}, guest THP {group.thp}, each running {runs or 'nothing'}"
    )


def counted(number: int, thing: str) -> str:
    """A number with its noun, as "1 guest" or "3 guests"."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def describe(scenario: Scenario) -> str:
    """Host and guests of a scenario in one sentence."""
    host, most = scenario.host, "up to " if scenario.schedule.launch == "one-by-one" else ""
    guests = "; ".join(most + _group(group, scenario.kernel) for group in scenario.guests)
    swap = f"{host.swap} of swap on {host.swap_device or 'nvme'}" if parse_size(host.swap) else "no swap"
    return f"Host of {host.memory} (its own needs: {host.base}), {swap}; {guests}"


def print_result(result: Result, console: Console) -> None:
    """Print the tables of a run."""
    console.print(f"{describe(result.scenario)}.\n", markup=False)
    console.print(_summary(result))
    if result.scenario.schedule.launch == "one-by-one":
        console.print()
        console.print(_launches(result))
    for arm in result.arms:
        missed = _missed(arm)
        if missed is not None:
            console.print()
            console.print(missed)
    console.print()
    for arm in result.arms:
        guests, killed = counted(arm.guests_launched, "guest"), ""
        if arm.guest_oom_kills:
            killed = f"; {counted(arm.guest_oom_kills, 'program')} killed inside guests for want of memory"
        console.print(f"{arm.strategy}: {guests}; stopped because {arm.stopped_by}{killed}.", markup=False)


def print_sensitivity(by_base: Mapping[str, Mapping[int, int]], console: Console) -> None:
    """How many guests fit by what the host itself needs."""
    table = Table(title="Guests that fit, by the host's own needs", title_justify="left", box=None, pad_edge=False)
    table.add_column("strategy")
    for step in next(iter(by_base.values())):
        table.add_column(f"{step:+d} MiB" if step else "as it is", justify="right")
    for strategy, guests in by_base.items():
        table.add_row(strategy, *(str(n) for n in guests.values()))
    console.print()
    console.print(table)
