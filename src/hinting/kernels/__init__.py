"""Kernel profiles: the data files of this folder, one a Linux version."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

from hinting._core.kernel import Kernel
from hinting.errors import KernelError

__all__ = ["for_release", "load", "names", "table"]


@cache
def names() -> tuple[str, ...]:
    """Names of the profiles, ascending by version."""
    found = [entry.name.removesuffix(".toml") for entry in files(__name__).iterdir() if entry.name.endswith(".toml")]
    return tuple(sorted(found, key=lambda name: [int(part) for part in name.partition("-")[2].split(".")]))


@cache
def table(name: str) -> dict:
    """The parsed data file of a profile, by its name.

    Raises KernelError for an unknown one.
    """
    if name not in names():
        raise KernelError(f"kernel: unknown profile {name!r}, expected one of {', '.join(names())}")
    return tomllib.loads(files(__name__).joinpath(f"{name}.toml").read_text())


@cache
def load(name: str) -> Kernel:
    """The profile `name` for the cores, e.g. "linux-6.1".

    Raises KernelError for an unknown name.
    """
    return Kernel(name, table(name))


def for_release(release: str) -> str:
    """Profile that models a kernel release string such as "6.1.0-56-cloud-amd64".

    Raises KernelError if no profile does.
    """
    for name in names():
        for prefix in table(name)["version_prefixes"]:
            if release == prefix or release.startswith((prefix + ".", prefix + "-", prefix + " ")):
                return name
    known = ", ".join(prefix for name in names() for prefix in table(name)["version_prefixes"])
    raise KernelError(f"kernel release {release!r} has no profile, expected a release of {known}")
