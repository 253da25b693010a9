"""A plain model of a host that swaps, in Python sets and lists: one page at a time, obviously right and slow.

Rules are those of docs/host.md. Frames are not objects here: a page is in the sets that say what it is, and free frames
are what is left. Draws for huge frames are not modelled (fragmentation 0 or 1), and no table is ever given back.
"""

from host.swap.device import Device
from host.swap.guest import BLOCK, Guest
from host.swap.host import SwapModel

__all__ = ["BLOCK", "Device", "Guest", "SwapModel"]
