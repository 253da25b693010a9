"""Traces of others as workloads: memory of fleets of machines, and allocations that one kernel noted."""

from hinting.traces.events import EVENT_DTYPE, FleetTrace
from hinting.traces.fleet import FORMATS, load
from hinting.traces.functions import FunctionTrace, load_functions
from hinting.traces.kernel import KernelTrace, read_kernel_trace
from hinting.traces.reference import read_rss

__all__ = ["EVENT_DTYPE", "FORMATS", "FleetTrace", "FunctionTrace", "KernelTrace", "load", "load_functions", "read_kernel_trace",
           "read_rss"]
