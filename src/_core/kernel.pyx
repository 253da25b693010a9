"""A kernel profile as a C struct, filled from the tables that `hinting.kernels` reads."""

_FALLBACK = {"move-and-retry": FALLBACK_MOVE_AND_RETRY, "claim-or-steal": FALLBACK_CLAIM_OR_STEAL}
_TUNING = {"fixed": PCP_FIXED, "free-factor": PCP_FREE_FACTOR, "auto-tuned": PCP_AUTO_TUNED}
_RESERVES = {"harder": RESERVE_HARDER, "non-block": RESERVE_NON_BLOCK}


cdef class Kernel:
    """A kernel profile for the cores.

    name: profile name. table: the parsed profile (see hinting/kernels); every key is needed, a missing one raises
    KeyError, an unknown word for a branch ValueError.
    """

    def __init__(self, str name not None, dict table not None):
        pcp = table["pcp"]
        lists = table["lists"]
        zones = table["zones"]
        bits = table["gfp"]
        self.name = name
        self.gfp = dict(bits)
        self.k.pcp_orders = sum(1 << order for order in pcp["orders"])
        self.k.nr_pcp_lists = pcp["lists"]
        self.k.pcp_tuning = _TUNING[pcp["tuning"]]
        self.k.pcp_scale_max = pcp["scale_max"]
        self.k.has_bulk = pcp["bulk"]
        self.k.fallback = _FALLBACK[lists["fallback"]]
        self.k.strict_types = lists["strict_types"]
        self.k.merge_any_pageblock = lists["merge_any_pageblock"]
        self.k.boot_to_tail = lists["boot_to_tail"]
        self.k.free_max_order_as_pageblocks = lists["free_max_order_as_pageblocks"]
        self.k.deferred_by_max_order = lists["deferred_by_max_order"]
        self.k.reserves = _RESERVES[zones["reserves"]]
        self.k.nofragment = zones["nofragment"]
        self.k.counts_free_highatomic = zones["counts_free_highatomic"]
        self.k.account_per_block = zones["account_per_block"]
        self.k.below_high = zones["below_high"]
        self.k.boost_unblocked = zones["boost_unblocked"]
        self.k.boost_flag_always = zones["boost_flag_always"]
        self.k.boost_min_managed = zones["boost_min_managed"]
        self.k.kswapd_wake_gated = zones["kswapd_wake_gated"]
        self.k.reserve_round_up = zones["reserve_round_up"]
        self.k.min_free_kbytes_max = zones["min_free_kbytes_max"]
        self.k.gfp_dma = bits["DMA"]
        self.k.gfp_highmem = bits["HIGHMEM"]
        self.k.gfp_dma32 = bits["DMA32"]
        self.k.gfp_movable = bits["MOVABLE"]
        self.k.gfp_reclaimable = bits["RECLAIMABLE"]
        self.k.gfp_high = bits["HIGH"]
        self.k.gfp_atomic = bits["ATOMIC"]
        self.k.gfp_direct_reclaim = bits["DIRECT_RECLAIM"]
        self.k.gfp_kswapd_reclaim = bits["KSWAPD_RECLAIM"]
        self.k.gfp_retry_mayfail = bits["RETRY_MAYFAIL"]
        self.k.gfp_nofail = bits["NOFAIL"]
        self.k.gfp_noretry = bits["NORETRY"]
        self.k.gfp_memalloc = bits["MEMALLOC"]
        self.k.gfp_nomemalloc = bits["NOMEMALLOC"]
        self.k.gfp_comp = bits["COMP"]
        self.k.gfp_account = bits["ACCOUNT"]

    @property
    def pcp_orders(self):
        """Orders that have per-CPU lists, ascending."""
        return [order for order in range(11) if self.k.pcp_orders >> order & 1]

    @property
    def has_bulk(self):
        """Whether the bulk interface exists."""
        return self.k.has_bulk

    @property
    def pcp_tuning(self):
        """How refills and drains are sized: "fixed", "free-factor" or "auto-tuned"."""
        return next(word for word, value in _TUNING.items() if value == self.k.pcp_tuning)

    @property
    def min_free_kbytes_max(self):
        """Upper clamp of min_free_kbytes, KiB."""
        return self.k.min_free_kbytes_max
