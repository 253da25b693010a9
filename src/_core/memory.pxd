"""Zero pages of an anonymous mapping: memory that costs nothing until it is written."""

from libc.stddef cimport size_t

cdef extern from "<sys/mman.h>" nogil:
    void *mmap(void *addr, size_t length, int prot, int flags, int fd, long offset)
    int munmap(void *addr, size_t length)
    int madvise(void *addr, size_t length, int advice)
    int PROT_READ, PROT_WRITE, MAP_PRIVATE, MAP_ANONYMOUS, MAP_NORESERVE, MADV_NOHUGEPAGE
    void *MAP_FAILED

cdef inline void *zero_pages(size_t length) noexcept nogil:
    """Zero-filled memory without huge pages, NULL if there is no address space."""
    cdef void *p = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    if p == MAP_FAILED:
        return NULL
    madvise(p, length, MADV_NOHUGEPAGE)
    return p
