"""Watermark tests (Linux __zone_watermark_ok, zone_watermark_fast)."""

from reference.constants import (
    GFP,
    HARDER,
    HIGHATOMIC,
    HIGHATOMIC_RESERVE,
    MAX_ORDER,
    MERGEABLE,
    MIN_RESERVE,
    NON_BLOCK,
    OOM,
    RESERVES,
    WM_MASK,
    WM_MIN,
)


def watermark_ok(z, order, mark, hz, flags):
    """The full test: enough free pages above the mark, and a free block that is large enough."""
    free = z.usable_counter() - ((1 << order) - 1)
    if z.is_5_0():
        if flags & MIN_RESERVE:
            mark -= mark // 2
        if flags & (HARDER | OOM):
            mark -= mark // 2 if flags & OOM else mark // 4
        else:
            free -= z.highatomic_pages()
    elif not flags & RESERVES:
        free -= z.highatomic_pages()
    else:
        if flags & MIN_RESERVE:
            mark -= mark // 2
            if flags & NON_BLOCK:
                mark -= mark // 4
        if flags & OOM:
            mark -= mark // 2
    if free <= mark + z.lowmem_reserve[hz]:
        return False
    if order == 0:
        return True
    types = list(MERGEABLE)
    if flags & ((HARDER | OOM) if z.is_5_0() else (HIGHATOMIC_RESERVE | OOM)):
        types.append(HIGHATOMIC)
    return any(z.lists[high, mt] for high in range(order, MAX_ORDER + 1) for mt in types)


def watermark_fast(z, order, mark, hz, flags, gfp):
    """The quick test of an allocation: a first look for order 0, the full test, and a look without the boost."""
    if order == 0:
        free = z.usable_counter()
        reserved = 0 if z.is_5_0() or flags & RESERVES else z.highatomic_pages()
        if free - min(free, reserved) > mark + z.lowmem_reserve[hz]:
            return True
    if watermark_ok(z, order, mark, hz, flags):
        return True
    if order == 0 and z.boost > 0 and flags & WM_MASK == WM_MIN and may_ignore_boost(z, flags, gfp):
        return watermark_ok(z, order, z.watermark[WM_MIN], hz, flags)
    return False


def may_ignore_boost(z, flags, gfp):
    """May an order-0 request at the min watermark be tested again without the boost?"""
    if z.is_6_1():
        return bool(gfp & GFP[z.kernel]["ATOMIC"])
    return z.is_6_12() and bool(flags & MIN_RESERVE)
