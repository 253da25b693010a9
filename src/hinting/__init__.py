"""hinting: a high-fidelity emulator of guest free page hinting.

A guest's page allocator that decides like Linux, page frame by page frame; the strategies by which guests hand free
memory back; and a KVM host that overcommits its memory.
"""

import importlib
from typing import TYPE_CHECKING, Any

from hinting import gfp, kernels, policies, strategies, workloads
from hinting.errors import HintingError
from hinting.guest import Guest
from hinting.host import Host, Limits
from hinting.policies import policy
from hinting.simulation import Simulation
from hinting.snapshots import Snapshot
from hinting.strategies import parameter, strategy
from hinting.vm import VM

if TYPE_CHECKING:
    from hinting.experiments.compare import compare
    from hinting.experiments.run import run
    from hinting.results import open
    from hinting.scenarios import Scenario

__all__ = [
    "VM",
    "Guest",
    "HintingError",
    "Host",
    "Limits",
    "Scenario",
    "Simulation",
    "Snapshot",
    "compare",
    "get_include",
    "gfp",
    "kernels",
    "open",
    "parameter",
    "policies",
    "policy",
    "run",
    "strategies",
    "strategy",
    "workloads",
]

__version__ = "0.1.0"

#: What needs pydantic or pyarrow, and its package.
_LOADED_WHEN_USED = {
    "Scenario": "hinting.scenarios",
    "compare": "hinting.experiments",
    "open": "hinting.results",
    "run": "hinting.experiments",
}


def get_include() -> str:
    """Folder to pass as include_path when other Cython code cimports hinting._core from an editable install."""
    from pathlib import Path

    return str(Path(__file__).resolve().parents[1])


def __getattr__(name: str) -> Any:
    if name not in _LOADED_WHEN_USED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LOADED_WHEN_USED[name]), name)
