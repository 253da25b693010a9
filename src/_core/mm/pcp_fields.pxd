"""The fields of a per-CPU page set by name, as snapshots and recordings have them; its lists are apart."""

from hinting._core.mm.state cimport pcp_t

cdef inline dict pcp_fields(const pcp_t *p):
    """All fields; count and high in pages, diff: its part of the zone's counter."""
    return {
        "count": p.count, "high": p.high, "high_min": p.high_min, "high_max": p.high_max, "batch": p.batch,
        "free_factor": p.free_factor, "alloc_factor": p.alloc_factor, "free_count": p.free_count,
        "flags": p.flags, "diff": p.diff,
    }

cdef inline int set_pcp_fields(pcp_t *p, values) except -1:
    """Set all fields but count, which is that of the lists. values: by name."""
    p.high, p.high_min, p.high_max = values["high"], values["high_min"], values["high_max"]
    p.batch, p.free_factor, p.alloc_factor = values["batch"], values["free_factor"], values["alloc_factor"]
    p.free_count, p.flags, p.diff = values["free_count"], values["flags"], values["diff"]
    return 0
