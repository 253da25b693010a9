"""What a guest is made of before it runs: its memory map and its boot footprint."""

from typing import Literal, get_args

from hinting.guests.memory_map import MIB_PAGES, THP_LEAST_PAGES, MemoryMap, memory_map

#: Settings of a guest's transparent huge pages. No emulated program asks for them: "madvise" is as "never" but for the
#: watermarks, which the kernel raises wherever there may be huge pages.
Thp = Literal["always", "madvise", "never"]
THP_MODES = get_args(Thp)

__all__ = ["MIB_PAGES", "THP_LEAST_PAGES", "THP_MODES", "MemoryMap", "Thp", "memory_map"]
