"""What a guest is made of before it runs: its memory map and its boot footprint."""

from hinting.guests.memory_map import MIB_PAGES, THP_LEAST_PAGES, MemoryMap, memory_map

#: Guest THP settings that are emulated.
THP_MODES = ("always", "never")

__all__ = ["MIB_PAGES", "THP_LEAST_PAGES", "THP_MODES", "MemoryMap", "memory_map"]
