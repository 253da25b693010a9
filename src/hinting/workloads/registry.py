"""The workloads by name: generators of op arrays whose parameters say what they may be.

A generator is a function; its annotations carry the rules and its defaults the defaults:

    @workload
    def churn(size: Annotated[int, Bytes("memory in use")] = 2**30, *, seed: Annotated[int, SEED] = 0) -> np.ndarray: ...

Called from Python or from a scenario file, it gets values that were read and checked: bytes, ns, whole pages.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, get_type_hints

import numpy as np

from hinting.errors import WorkloadError
from hinting.workloads.rules import Bytes, FilePath, Rule, Whole

__all__ = ["SEED", "Workload", "find", "names", "workload"]

Made = TypeVar("Made", np.ndarray, list[np.ndarray])

#: Rule of the parameter `seed` that every generator with random choices has.
SEED = Whole("seed of the random choices; a scenario gives each guest its own", low=0, high=2**63 - 1)

_REGISTRY: dict[str, Workload] = {}


@dataclass(frozen=True)
class Workload:
    """A generator under its name.

    generate: makes the rows, one array for one vCPU or a list with one array a thread. defaults: by parameter.
    """

    name: str
    generate: Callable[..., Any]
    defaults: Mapping[str, Any]

    @functools.cached_property
    def rules(self) -> dict[str, Rule]:
        """What each parameter may be."""
        hints = get_type_hints(self.generate, include_extras=True)
        return {name: next(m for m in hints[name].__metadata__ if isinstance(m, Rule)) for name in self.defaults}

    @functools.cached_property
    def threads_key(self) -> str | None:
        """The parameter that says how many threads there are; without one there is one."""
        return next((key for key, rule in self.rules.items() if isinstance(rule, Whole) and rule.of_guest), None)

    def threads(self, values: Mapping[str, Any], vcpus: int) -> int:
        """Threads that run in a guest with so many vCPUs."""
        key = self.threads_key
        if key is None:
            return 1
        if key in values:
            return self.rules[key].read(values[key])
        return vcpus if self.rules[key].of_guest == "vcpus" else min(vcpus, self.defaults[key])  # type: ignore[attr-defined]

    @property
    def text(self) -> str:
        """What it does, in one line."""
        return inspect.cleandoc(self.generate.__doc__ or "").split("\n\n")[0].replace("\n", " ")

    def default(self, key: str) -> str:
        """A parameter's default as people write it."""
        rule = self.rules[key]
        if key == self.threads_key:
            return "the guest's vCPUs" if rule.of_guest == "vcpus" else f"{self.defaults[key]}, at most the guest's vCPUs"  # type: ignore[attr-defined]
        if isinstance(rule, Bytes) and rule.of_guest:
            return f"{rule.of_guest:g} x the guest's memory"
        if isinstance(rule, FilePath):
            return "has to be given"
        return rule.show(self.defaults[key])

    def _read(self, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
        read: dict[str, Any] = {}
        refused: dict[str, str] = {}
        for key, value in values.items():
            if key not in self.rules:
                refused[key] = f"unknown parameter, expected one of {', '.join(self.rules)}"
                continue
            try:
                read[key] = self.rules[key].read(value)
            except ValueError as error:
                refused[key] = str(error)
        for key, rule in self.rules.items():
            if isinstance(rule, FilePath) and key not in values:
                refused[key] = f"must be {rule.legal}, and is not given"
        return read, refused

    def refused(self, values: Mapping[str, Any]) -> dict[str, str]:
        """Parameters that are not legal, each with the reason."""
        return self._read(values)[1]

    def checked(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """All parameters as the generator gets them; WorkloadError names the first that is not legal."""
        read, refused = self._read(values)
        for key, reason in refused.items():
            raise WorkloadError(f"workload {self.name}: {key} {reason}")
        return {**self.defaults, **read}

    def programs(self, values: Mapping[str, Any], *, vcpus: int, memory_bytes: int, seed: int) -> list[np.ndarray]:
        """The rows for a guest, one array a thread; parameters that nobody gave and that depend on the guest follow it."""
        given = dict(values)
        for key, rule in self.rules.items():
            if key in given:
                continue
            if rule is SEED:
                given[key] = seed
            elif key == self.threads_key:
                given[key] = self.threads(values, vcpus)
            elif isinstance(rule, Bytes) and rule.of_guest:
                given[key] = int(rule.of_guest * memory_bytes)
        made = self.generate(**self.checked(given))
        return made if isinstance(made, list) else [made]


def workload(generate: Callable[..., Made]) -> Callable[..., Made]:
    """Make a generator known under its name, and check its arguments."""
    signature = inspect.signature(generate)
    entry = Workload(generate.__name__, generate, {name: p.default for name, p in signature.parameters.items()})
    _REGISTRY[entry.name] = entry

    @functools.wraps(generate)
    def checked(*args: Any, **kwargs: Any) -> Made:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise WorkloadError(f"workload {entry.name}: {error}, expected {', '.join(signature.parameters)}") from None
        return generate(**entry.checked(bound.arguments))

    return checked


def names() -> tuple[str, ...]:
    """Names of all workloads."""
    return tuple(sorted(_REGISTRY))


def find(name: str) -> Workload:
    """A workload by name; WorkloadError lists the names for an unknown one."""
    try:
        return _REGISTRY[name]
    except KeyError:
        raise WorkloadError(f"unknown workload {name!r}, expected one of {', '.join(names())}") from None
