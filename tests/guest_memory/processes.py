"""A slow model of processes, obviously right: pages are objects, and those that nobody refers to are free."""

TABLE = 512
KERNEL_PAGES = 8


class Single:
    """One page."""


class Huge:
    """512 pages that stay together until the last of them is unmapped."""


class Process:
    def __init__(self):
        self.mappings: dict[int, int] = {}  # pages
        self.pages: dict[tuple[int, int], object] = {}  # (mapping, page): Single, or (Huge, number)
        self.whole: dict[tuple[int, int], Huge] = {}  # (mapping, table): mapped at once
        self.tables: set[tuple[int, int]] = set()

    def copy(self):
        new = Process()
        for name in vars(self):
            setattr(new, name, vars(self)[name].copy())
        return new

    @property
    def rss(self):
        return len(self.pages) + TABLE * len(self.whole)


class Guest:
    """Processes of a guest that has all the memory it wants. thp: huge pages; copies_huge: as kernels before 5.8."""

    def __init__(self, *, thp, copies_huge):
        self.thp, self.copies_huge = thp, copies_huge
        self.processes: dict[int, Process] = {}

    def used(self) -> int:
        singles, huge = set(), set()
        for p in self.processes.values():
            huge |= set(p.whole.values())
            for page in p.pages.values():
                (singles if isinstance(page, Single) else huge).add(page if isinstance(page, Single) else page[0])
        return len(singles) + TABLE * len(huge) + sum(len(p.tables) + KERNEL_PAGES for p in self.processes.values())

    def references(self, page) -> int:
        huge = page[0] if isinstance(page, tuple) else None
        entries = sum(other is page or other == page for p in self.processes.values() for other in p.pages.values())
        return entries + sum(whole is huge for p in self.processes.values() for whole in p.whole.values() if huge)

    def spawn(self, proc):
        self.processes[proc] = Process()

    def exit(self, proc):
        del self.processes[proc]

    def exec(self, proc):
        self.processes[proc] = Process()

    def fork(self, proc, child):
        self.processes[child] = self.processes[proc].copy()

    def mmap(self, proc, region, pages):
        self.processes[proc].mappings[region] = pages

    def munmap(self, proc, region):
        p = self.processes[proc]
        del p.mappings[region]
        for of in (p.pages, p.whole):
            for key in [key for key in of if key[0] == region]:
                del of[key]
        p.tables = {key for key in p.tables if key[0] != region}

    def split(self, p, region, index):
        huge = p.whole.pop((region, index))
        for i in range(TABLE):
            p.pages[region, index * TABLE + i] = (huge, i)

    def unmap(self, proc, region, a, b):
        p = self.processes[proc]
        for index in {page // TABLE for page in range(a, a + b)}:
            if (region, index) not in p.whole:
                continue
            if a <= index * TABLE and (index + 1) * TABLE <= a + b:
                del p.whole[region, index]
                p.tables.remove((region, index))
            else:
                self.split(p, region, index)
        for page in range(a, a + b):
            p.pages.pop((region, page), None)

    def touch(self, proc, region, a, b):
        p = self.processes[proc]
        page = a
        while page < a + b:
            index = page // TABLE
            if self.thp and (region, index) not in p.tables and (index + 1) * TABLE <= p.mappings[region]:
                p.whole[region, index] = Huge()
            p.tables.add((region, index))
            if (region, index) in p.whole:
                self.own_huge(p, region, index)
            if (region, index) in p.whole:
                page = (index + 1) * TABLE
                continue
            found = p.pages.get((region, page))
            if found is None or self.references(found) > 1:
                p.pages[region, page] = Single()
            page += 1

    def own_huge(self, p, region, index):
        huge = p.whole[region, index]
        if sum(self.references((huge, i)) - 1 for i in range(TABLE)) == 0:
            return
        if self.copies_huge:
            p.whole[region, index] = Huge()
        else:
            self.split(p, region, index)
