"""Words that the allocator tests share: how to make an allocator, gfp kinds, and short forms of its lists.

Lists are written "order/type": [head ... tail] with the types U, M, R, H, I; per-CPU lists "l<index>".
"""

from hinting import kernels
from hinting._core.mm.allocator import Allocator
from hinting._core.strategies.external import External
from hinting._core.strategies.python_hooks import PythonHooks
from hinting.strategies.user import SETTINGS
from reference import Model
from reference.constants import GFP, KERNELS

__all__ = [
    "KERNELS",
    "MAKERS",
    "atomic",
    "block_types",
    "kernel_page",
    "lists",
    "one_zone",
    "pcp_count",
    "pcp_lists",
    "record_hooks",
    "user_page",
]

LETTERS = "UMRHI"


def make_core(kernel: str, zones: list, ncpus: int = 1) -> Allocator:
    return Allocator(kernels.load(kernel), zones, ncpus)


def make_reference(kernel: str, zones: list, ncpus: int = 1) -> Model:
    return Model(kernel, zones, ncpus)


class Recorder:
    """A strategy that does nothing but write down each call of a hook."""

    def setup(self, n_cpus):
        self.calls = []

    def on_free(self, guest, cpu, pfn, order):
        self.calls.append(("free", cpu, pfn, order))

    def on_alloc(self, guest, cpu, pfn, order):
        self.calls.append(("alloc", cpu, pfn, order))

    def on_merged(self, guest, cpu, pfn, order):
        self.calls.append(("merged", cpu, pfn, order))


def record_hooks(allocator: Allocator) -> list:
    """The calls of an allocator's hooks from now on: (hook, cpu, pfn, order)."""
    settings = {name: default for name, (default, _) in SETTINGS.items()} | {"host_action": 0, "synchronous": False}
    recorder, core = Recorder(), External("recorder")
    core.hold(PythonHooks(recorder, 1, 10.0, settings, str))
    core.attach(allocator)
    return recorder.calls


MAKERS = {"core": make_core, "reference": make_reference}


def _gfp(kernel, *names):
    return sum(GFP[kernel][name] for name in names)


def user_page(kernel: str) -> int:
    """GFP_HIGHUSER_MOVABLE: type MOVABLE, highest zone Movable."""
    return _gfp(kernel, "HIGHMEM", "MOVABLE", "DIRECT_RECLAIM", "KSWAPD_RECLAIM", "IO", "FS", "HARDWALL")


def kernel_page(kernel: str) -> int:
    """GFP_KERNEL: type UNMOVABLE, highest zone Normal."""
    return _gfp(kernel, "DIRECT_RECLAIM", "KSWAPD_RECLAIM", "IO", "FS")


def atomic(kernel: str) -> int:
    """GFP_ATOMIC of 6.12; its bits without the ATOMIC of older kernels."""
    return _gfp(kernel, "HIGH", "KSWAPD_RECLAIM")


def one_zone(kernel: str, npfn: int, batch: int = 1, high: int = 0, high_max: int | None = None, **more) -> list:
    """One zone [0, npfn) of index 1, all of it managed, no watermarks, no boost, an exact counter.

    The default per-CPU sizes let single pages and high orders pass straight through.
    """
    spec = {
        "index": 1,
        "start": 0,
        "end": npfn,
        "managed": npfn,
        "watermark": (0, 0, 0),
        "lowmem_reserve": [0] * 5,
        "batch": batch,
        "threshold": 0,
        "boost_factor": 0,
    }
    if kernel == "linux-6.12":
        spec |= {"high_min": high, "high_max": high if high_max is None else high_max}
    else:
        spec["high"] = high
    return [spec | more]


def lists(allocator) -> dict:
    """Free lists in short form."""
    return {f"{order}/{LETTERS[mt]}": pfns for (_, order, mt), pfns in allocator.free_lists().items()}


def pcp_lists(allocator) -> dict:
    """Per-CPU lists in short form."""
    return {f"l{index}": pfns for (_, _, index), pfns in allocator.pcp_lists().items()}


def pcp_count(allocator) -> int:
    return allocator.pcp_state(1, 0)["count"]


def block_types(allocator) -> str:
    """Block types as a string of letters."""
    return "".join(LETTERS[mt] for mt in allocator.block_types())
