"""A guest on the host: what each of its pages is, and its two lists of words."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

BLOCK, WORD, GIB = 512, 64, 1 << 18


@dataclass(eq=False)
class Guest:
    npfn: int
    vmm: int
    huge: set[int] = field(default_factory=set)  # blocks that are one mapped huge folio
    partial: dict[int, set[int]] = field(default_factory=dict)  # block -> pages that its folio still backs, queue order
    present: set[int] = field(default_factory=set)
    ept: set[int] = field(default_factory=set)
    tables: set[int] = field(default_factory=set)  # blocks with a host table
    ept_tables: set[int] = field(default_factory=set)
    directories: set[int] = field(default_factory=set)
    ept_directories: set[int] = field(default_factory=set)
    slot: dict[int, int] = field(default_factory=dict)  # of swapped and copied pages
    swapped: set[int] = field(default_factory=set)
    ahead: set[int] = field(default_factory=set)
    writing: set[int] = field(default_factory=set)
    copied: set[int] = field(default_factory=set)
    accessed: set[int] = field(default_factory=set)
    referenced: set[int] = field(default_factory=set)
    active: set[int] = field(default_factory=set)
    lists: dict[bool, list[int]] = field(default_factory=lambda: {False: [], True: []})  # active? -> words, oldest first
    evictions: int = 0
    window: int = 0
    hits: int = 4
    last: int = 0
    number: int = 0  # of the launch
    text_out: int = 0  # of the VMM's code
    ran: bool = False  # the VMM did, since reclaim last looked

    def frames(self):
        unmapped = sum(BLOCK - len(pages) for pages in self.partial.values())
        tables = len(self.tables) + len(self.ept_tables) + len(self.directories) + len(self.ept_directories)
        return self.vmm - self.text_out + len(self.present) + unmapped + len(self.ahead) + len(self.writing) + tables

    def listed(self):
        return self.present | self.ahead

    def of(self, word, active):
        """Pages of a unit on one of the lists."""
        first = word * WORD
        size = BLOCK if first // BLOCK in self.huge else WORD
        pages = {page for page in range(first, first + size) if page in self.present or page in self.ahead}
        return pages & self.active if active else pages - self.active

    def size(self, active):
        return len(self.active) if active else len(self.present) + len(self.ahead) - len(self.active)

    def relink(self, word):
        """Make the lists agree with the pages of a word: a word comes on a list as its newest."""
        for active in (False, True):
            words = self.lists[active]
            part_of_huge = word * WORD // BLOCK in self.huge and word % (BLOCK // WORD)
            wanted = not part_of_huge and bool(self.of(word, active))
            if wanted and word not in words:
                words.append(word)
            elif not wanted and word in words:
                words.remove(word)

    def leave_lists(self, pages):
        self.active -= pages
        self.accessed -= pages
        self.referenced -= pages

    def rotate(self, word, active):
        self.lists[active].remove(word)
        self.lists[active].append(word)

    def low(self):
        gib = (self.size(False) + self.size(True)) // GIB
        return self.size(False) * (math.isqrt(10 * gib) if gib else 1) < self.size(True)
