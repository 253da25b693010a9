"""What a recount found, in words."""

from hinting._core.host.check cimport (
    CHECK_BEYOND_END,
    CHECK_BLOCK_STATE,
    CHECK_DIRECTORY,
    CHECK_HELD,
    CHECK_IDENTITY,
    CHECK_LAZY,
    CHECK_MAPPED_NOT_PRESENT,
    CHECK_NEGATIVE,
    CHECK_OK,
    CHECK_POOL,
    CHECK_QUEUE,
    CHECK_RSS,
    CHECK_SWAP,
    CHECK_TABLES,
)
from hinting._core.host.check_swap cimport SWAP_COUNTS, SWAP_LISTS, SWAP_SLOTS, SWAP_STATE, SWAP_WRITES

from hinting.errors import CheckError

_CHECKS = {
    CHECK_IDENTITY: "frames_total is not free + base + page cache + free huge pages + what the guests hold",
    CHECK_NEGATIVE: "a number of frames is negative, or that of dying guests is wrong",
    CHECK_POOL: "huge pages of the pool are not free, set aside and held as the guests say",
    CHECK_BLOCK_STATE: "the page tables, folio and bits of a block contradict each other",
    CHECK_MAPPED_NOT_PRESENT: "a page is mapped at the second level but has no frame",
    CHECK_BEYOND_END: "a page beyond the end of RAM has a frame",
    CHECK_RSS: "rss_pages or huge_blocks differ from the recount",
    CHECK_HELD: "held_frames differ from the recount",
    CHECK_TABLES: "page-table frames differ from the recount",
    CHECK_QUEUE: "the deferred-split queue differs from the recount",
    CHECK_LAZY: "lazily freed pages differ from the recount, or one is mapped or has no frame",
    CHECK_DIRECTORY: "a page is backed or mapped without a page directory",
    CHECK_SWAP + SWAP_STATE: "the swap state of a page contradicts itself",
    CHECK_SWAP + SWAP_LISTS: "an LRU list differs from the pages that are on it",
    CHECK_SWAP + SWAP_SLOTS: "a swap slot and its page differ",
    CHECK_SWAP + SWAP_COUNTS: "swapped pages, slots, swap cache or lists differ from the recount",
    CHECK_SWAP + SWAP_WRITES: "pages that are being written differ from the writes in flight",
}


cdef int raise_check(int result) except -1:
    """CheckError if a recount's result is not CHECK_OK."""
    if result != CHECK_OK:
        raise CheckError(f"host: {_CHECKS[result]}")
    return 0
