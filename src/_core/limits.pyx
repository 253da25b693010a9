"""Constants of common.pxd for Python."""

from hinting._core cimport common

#: Bytes of a page.
PAGE_BYTES = common.PAGE_BYTES
#: Pages of a pageblock, 2 MiB.
PAGEBLOCK_PAGES = common.PAGEBLOCK_PAGES
#: Most CPUs of a guest.
MAX_CPUS = common.MAX_CPUS
#: Orders of free blocks, from 0 on.
NR_ORDERS = common.NR_ORDERS
