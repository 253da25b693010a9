"""Constants of x86-64 Linux 5.0, 6.1 and 6.12, and the gfp bits in the numbering of each kernel."""

KERNELS = ("linux-5.0", "linux-6.1", "linux-6.12")

MAX_ORDER = 10
PAGEBLOCK_ORDER = 9
PAGEBLOCK_PAGES = 1 << PAGEBLOCK_ORDER

DMA, DMA32, NORMAL, MOVABLE_ZONE = range(4)

UNMOVABLE, MOVABLE, RECLAIMABLE, HIGHATOMIC, ISOLATE = range(5)
MIGRATETYPES = (UNMOVABLE, MOVABLE, RECLAIMABLE, HIGHATOMIC, ISOLATE)
MERGEABLE = (UNMOVABLE, MOVABLE, RECLAIMABLE)
FALLBACKS = {
    UNMOVABLE: (RECLAIMABLE, MOVABLE),
    MOVABLE: (RECLAIMABLE, UNMOVABLE),
    RECLAIMABLE: (UNMOVABLE, MOVABLE),
}
WHOLE_BLOCK_ORDER = PAGEBLOCK_ORDER // 2  # a free block this large makes its whole pageblock worth taking

COSTLY_ORDER = 3  # PAGE_ALLOC_COSTLY_ORDER
RECLAIM_RETRIES = 16  # MAX_RECLAIM_RETRIES

PCP_ORDERS = {"linux-5.0": (0,), "linux-6.1": (0, 1, 2, 3, 9), "linux-6.12": (0, 1, 2, 3, 9)}
PCP_LISTS = {"linux-5.0": 3, "linux-6.1": 14, "linux-6.12": 14}
PCP_SCALE_MAX = 5  # CONFIG_PCP_BATCH_SCALE_MAX

# Allocation flags (internal to the allocator): the watermark index is in the two low bits.
WM_MIN, WM_LOW, WM_HIGH = range(3)
WM_MASK = 3
NO_WATERMARKS = 0x4
HARDER = 0x10  # 5.0 only
MIN_RESERVE = 0x20  # called ALLOC_HIGH in 5.0
NON_BLOCK = 0x40
HIGHATOMIC_RESERVE = 0x80
OOM = 0x100
NOFRAGMENT = 0x200
KSWAPD = 0x400
RESERVES = NON_BLOCK | MIN_RESERVE | HIGHATOMIC_RESERVE | OOM

_LOW_BITS = {
    "DMA": 0x01,
    "HIGHMEM": 0x02,
    "DMA32": 0x04,
    "MOVABLE": 0x08,
    "RECLAIMABLE": 0x10,
    "HIGH": 0x20,
    "IO": 0x40,
    "FS": 0x80,
}
_BITS_6 = _LOW_BITS | {
    "ZERO": 0x100,
    "DIRECT_RECLAIM": 0x400,
    "KSWAPD_RECLAIM": 0x800,
    "WRITE": 0x1000,
    "NOWARN": 0x2000,
    "RETRY_MAYFAIL": 0x4000,
    "NOFAIL": 0x8000,
    "NORETRY": 0x10000,
    "MEMALLOC": 0x20000,
    "COMP": 0x40000,
    "NOMEMALLOC": 0x80000,
    "HARDWALL": 0x100000,
    "THISNODE": 0x200000,
    "ACCOUNT": 0x400000,
}
GFP = {
    "linux-5.0": _LOW_BITS
    | {
        "WRITE": 0x100,
        "NOWARN": 0x200,
        "RETRY_MAYFAIL": 0x400,
        "NOFAIL": 0x800,
        "NORETRY": 0x1000,
        "MEMALLOC": 0x2000,
        "COMP": 0x4000,
        "ZERO": 0x8000,
        "NOMEMALLOC": 0x10000,
        "HARDWALL": 0x20000,
        "THISNODE": 0x40000,
        "ATOMIC": 0x80000,
        "ACCOUNT": 0x100000,
        "DIRECT_RECLAIM": 0x200000,
        "KSWAPD_RECLAIM": 0x400000,
    },
    "linux-6.1": _BITS_6 | {"ATOMIC": 0x200},
    "linux-6.12": dict(_BITS_6),
}

# Low four gfp bits -> highest zone that may be used (the gfp zone table of a kernel without a highmem zone).
HIGHEST_ZONE = {
    0x0: NORMAL,
    0x1: DMA,
    0x2: NORMAL,
    0x4: DMA32,
    0x8: NORMAL,
    0x9: DMA,
    0xA: MOVABLE_ZONE,
    0xC: DMA32,
}


def gfp(kernel: str, *names: str) -> int:
    """The gfp number of the named bits in the numbering of one kernel."""
    return sum(GFP[kernel][name] for name in names)
