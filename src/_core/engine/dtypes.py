"""NumPy dtypes of what the engine hands out as structured arrays."""

import numpy as np

__all__ = ["CACHE_DTYPE", "EXIT_DTYPE", "FREE_ROW_DTYPE", "PAGEBLOCK_ROW_DTYPE", "ROW_DTYPE", "SPAN_DTYPE", "SPAN_KINDS"]

#: A process that ended: ns (-1: not yet), pages that the host backed.
EXIT_DTYPE = np.dtype([
    ("begin", "i8"), ("end", "i8"), ("freed", "i8"), ("given", "i8"), ("first", "i8"), ("last", "i8"), ("reached", "i8", 3),
])

#: A row of the time line: what changed, frames and pages.
ROW_DTYPE = np.dtype([
    ("t_ns", "i8"), ("guest", "i4"), ("held", "i4"), ("rss", "i4"), ("discarded", "i4"), ("refaulted", "i4"), ("isolated", "i4"),
], align=True)

#: A span of what ran when. kind: index of SPAN_KINDS. lane: the vCPU, or the ticket of a report.
SPAN_DTYPE = np.dtype([
    ("begin", "i8"), ("end", "i8"), ("guest", "i4"), ("kind", "i4"), ("lane", "i4"), ("what", "i4"), ("amount", "i8"),
])

#: By LOG_* of log.pxd: a row of a program (what: its op, amount: its `b`), a sleep, the strategy's thread, its wait for the
#: host, a report from kick to answer, the VMM's work on it (what: blocks, amount: pages).
SPAN_KINDS = ("row", "sleep", "thread", "wait", "report", "vmm")

#: dtype of a cached page of a guest; flags: 1 active, 2 referenced, 4 dirty.
CACHE_DTYPE = np.dtype([("file", "u4"), ("index", "u4"), ("pfn", "u4"), ("flags", "u4")])

#: A pageblock that changed between two samples: pages by what they are (survey_state.pxd).
PAGEBLOCK_ROW_DTYPE = np.dtype([
    ("sample", "i4"), ("guest", "i4"), ("block", "u4"), ("free", "u2"), ("used", "u2"), ("cache", "u2"), ("isolated", "u2"),
    ("reported", "u2"), ("backed", "u2"), ("free_backed", "u2"),
], align=True)

#: Free blocks of a guest by order.
FREE_ROW_DTYPE = np.dtype([("sample", "i4"), ("guest", "i4"), ("blocks", "u4", 11)])
