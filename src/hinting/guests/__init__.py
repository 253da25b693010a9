"""What a guest is made of before it runs: its memory map and its boot footprint."""

from hinting.guests.memory_map import MemoryMap, memory_map

__all__ = ["MemoryMap", "memory_map"]
