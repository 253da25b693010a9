"""A slow model of the page cache, obviously right: two lists of (file, index), oldest first, and what each page is."""

ACTIVE, REFERENCED, DIRTY = 1, 2, 4


class PageCache:
    """Without reclaim and without the flusher: what rows on files do to the lists."""

    def __init__(self):
        self.inactive: list[tuple[int, int]] = []
        self.active: list[tuple[int, int]] = []
        self.flags: dict[tuple[int, int], int] = {}

    def rows(self) -> list[tuple[int, int, int]]:
        return [(*page, self.flags[page]) for page in self.inactive + self.active]

    def access(self, page):
        if page not in self.flags:
            self.inactive.append(page)
            self.flags[page] = 0
        if not self.flags[page] & REFERENCED:
            self.flags[page] |= REFERENCED
        elif not self.flags[page] & ACTIVE:
            self.inactive.remove(page)
            self.active.append(page)
            self.flags[page] = self.flags[page] & DIRTY | ACTIVE

    def read(self, file, a, b):
        for index in range(a, a + b):
            self.access((file, index))

    def write(self, file, a, b):
        for index in range(a, a + b):
            self.access((file, index))
            self.flags[file, index] |= DIRTY

    def sync(self, file=None):
        for page in self.flags:
            if file is None or page[0] == file:
                self.flags[page] &= ~DIRTY

    def forget(self, pages):
        for page in pages:
            del self.flags[page]
        self.inactive = [page for page in self.inactive if page in self.flags]
        self.active = [page for page in self.active if page in self.flags]

    def truncate(self, file, a):
        self.forget([page for page in self.flags if page[0] == file and page[1] >= a])

    def drop_caches(self):
        self.forget([page for page in self.flags if not self.flags[page] & DIRTY])
