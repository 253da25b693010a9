"""A calibration: all probes twice, then medians, what has to be taken off, and whether the result can be believed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hinting._core.probes.base import burst
from hinting.calibration.machine import Machine
from hinting.calibration.probe import Probe, Samples, Skip, Tools
from hinting.calibration.rules import KVM_MAPPED_LIMIT_NS, RULES, SANITY, Rule
from hinting.costs import default_table

__all__ = ["METHOD", "Calibration", "Measurement", "calibrate"]

PASSES = 2
#: Medians of the passes that differ by more are marked, by much more refused.
UNSTABLE, TOO_NOISY = 0.25, 1.0
QUICK = 0.1
METHOD = (f"medians of many short samples, pinned to one CPU, the clock's cost taken off, {PASSES} passes; "
          f"unstable: their medians differ by more than {UNSTABLE:.0%}")

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measured cost, in the unit of the table. n: samples. spread: the larger median of the two passes over the
    smaller one, less 1. unreliable: why the default is used instead of it, "" if it is used."""

    cost: str
    typical: float
    p10: float
    p90: float
    n: int
    probe: str
    spread: float
    unreliable: str = ""

    @property
    def is_unstable(self) -> bool:
        """Whether the passes differ by more than 25 %."""
        return self.spread > UNSTABLE


@dataclass(frozen=True)
class Calibration:
    """What was measured: costs by id, what was not and why (probe or cost: reason), facts that are no costs."""

    machine: Machine
    date: str
    quick: bool
    measurements: Mapping[str, Measurement]
    refused: Mapping[str, str]
    facts: Mapping[str, float | bool]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        units = default_table().costs
        return {
            "machine": self.machine.document() | dict(self.facts),
            "date": self.date,
            "quick": self.quick,
            "costs": {
                cost: {
                    "typical": found.typical,
                    "unit": units[cost].unit,
                    "p10": found.p10,
                    "p90": found.p90,
                    "n": found.n,
                    "probe": found.probe,
                    "spread": found.spread,
                    "unstable": found.is_unstable,
                    "unreliable": found.unreliable or None,
                    "default": units[cost].typical,
                }
                for cost, found in self.measurements.items()
            },
            "refused": dict(self.refused),
        }


@dataclass
class _Samples:
    """All samples of one name: those of each pass, and the probe that took them."""

    probe: Probe
    passes: list[NDArray[np.float64]] = field(default_factory=list)

    def median(self, which: int | None = None) -> float:
        return float(np.median(np.concatenate(self.passes) if which is None else self.passes[which]))


def calibrate(machine: Machine, probes: Sequence[Probe] | None = None, *, quick: bool = False,
              progress: Progress | None = None, date: str | None = None) -> Calibration:
    """Measure what can be measured on this machine.

    machine: from Machine.here. probes: those of hinting.calibration.probes if not given. quick: a tenth of the samples.
    progress: called with the steps done, all steps, and the name of the probe. date: ISO 8601, now if not given.
    """
    if probes is None:
        from hinting.calibration.probes import PROBES

        probes = PROBES
    samples: dict[str, _Samples] = {}
    skipped: dict[str, str] = {}
    facts: dict[str, float | bool] = {}
    with _pinned(machine):
        clock = float(np.median(burst("clock", 200, 100)))
        tools = Tools(machine, QUICK if quick else 1.0, clock, facts=facts)
        for done in range(PASSES):
            for i, probe in enumerate(probes):
                if progress is not None:
                    progress(done * len(probes) + i, PASSES * len(probes), probe.name)
                if probe.name not in skipped:
                    _take(probe, tools, samples, skipped, is_last=done == PASSES - 1)
    facts["clock_ns"] = round(clock, 1)
    measurements, refused = _costs(samples, machine)
    return Calibration(
        machine,
        date or datetime.now(UTC).isoformat(timespec="seconds"),
        quick,
        measurements,
        skipped | refused,
        facts,
    )


@contextmanager
def _pinned(machine: Machine) -> Iterator[None]:
    """Run on one CPU meanwhile."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {machine.cpus[0]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _take(probe: Probe, tools: Tools, samples: dict[str, _Samples], skipped: dict[str, str], *, is_last: bool) -> None:
    """One probe, one pass. What only a first pass can see (memory that nothing has touched) is kept from there."""
    try:
        found: Samples = probe.measure(tools)
    except Skip as reason:
        if not is_last or not any(name in samples for name in probe.gives):
            skipped[probe.name] = str(reason)
        return
    except MemoryError:
        skipped[probe.name] = "there is too little memory"
        return
    for name, values in found.items():
        samples.setdefault(name, _Samples(probe)).passes.append(values)


def _costs(samples: Mapping[str, _Samples], machine: Machine) -> tuple[dict[str, Measurement], dict[str, str]]:
    """The costs that the samples give, and those that are refused, with the reason."""
    measured: dict[str, Measurement] = {}
    refused: dict[str, str] = {}
    doubts = _doubts(samples)
    for rule in RULES:
        known = measured.get(rule.cost)
        if (known is not None and not known.unreliable) or not {rule.samples, *rule.minus} <= samples.keys():
            continue
        by_pass = [_value(rule, samples, which) for which in range(len(samples[rule.samples].passes))]
        found = _measurement(rule, samples, by_pass, doubts.get(rule.cost) or _vm_doubt(rule, samples, machine, doubts))
        if found.typical <= 0:
            refused[rule.cost] = f"{rule.samples} is not longer than {' and '.join(rule.minus) or 'the clock'}"
        elif found.spread > TOO_NOISY:
            refused[rule.cost] = f"too noisy: the passes say {' and '.join(f'{value:.4g}' for value in by_pass)}"
        else:
            measured[rule.cost] = found
    order = {cost: i for i, cost in enumerate(default_table().costs)}
    return dict(sorted(measured.items(), key=lambda item: order[item[0]])), refused


def _value(rule: Rule, samples: Mapping[str, _Samples], which: int | None) -> float:
    """The rule's value from one pass, or from all samples."""

    def median(name: str) -> float:
        taken = samples[name]
        return taken.median(which if which is not None and which < len(taken.passes) else None)

    return rule.factor * (median(rule.samples) - sum(map(median, rule.minus)))


def _measurement(rule: Rule, samples: Mapping[str, _Samples], by_pass: list[float], doubt: str) -> Measurement:
    values = np.concatenate(samples[rule.samples].passes)
    off = sum(samples[name].median() for name in rule.minus)
    p10, p90 = (rule.factor * (float(np.percentile(values, q)) - off) for q in (10, 90))
    low, high = min(by_pass), max(by_pass)
    if rule.minus and p10 <= 0 and not doubt:
        doubt = (f"a tenth of the samples takes no longer than what is taken off ({' and '.join(rule.minus)}): it is lost in the "
                 f"noise")
    return Measurement(
        rule.cost,
        _value(rule, samples, None),
        max(0.0, p10),
        max(0.0, p90),
        len(values),
        samples[rule.samples].probe.name,
        high / low - 1 if low > 0 else float(len(by_pass) > 1) * 2 * TOO_NOISY,
        doubt,
    )


def _doubts(samples: Mapping[str, _Samples]) -> dict[str, str]:
    """Costs that a sanity rule makes unreliable."""
    doubts: dict[str, str] = {}
    for rule in SANITY:
        if {rule.low, rule.high} <= samples.keys() and samples[rule.low].median() * rule.factor >= samples[rule.high].median():
            doubts |= dict.fromkeys(rule.costs, rule.text)
    return doubts


def _vm_doubt(rule: Rule, samples: Mapping[str, _Samples], machine: Machine, doubts: Mapping[str, str]) -> str:
    """Why a measurement says nothing about a host, "" if it does."""
    if rule.samples.startswith("kvm_") and "kvm_mapped" in samples and samples["kvm_mapped"].median() >= KVM_MAPPED_LIMIT_NS:
        return (f"a guest's write to mapped memory takes {samples['kvm_mapped'].median():.0f} ns, more than "
                f"{KVM_MAPPED_LIMIT_NS:.0f}: KVM emulates, or is nested without help")
    return samples[rule.samples].probe.vm_reason if machine.is_vm else ""
