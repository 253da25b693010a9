"""The op array: one structured dtype that workload generators, recordings and other simulators all produce.

A guest executes rows in order on one vCPU. A process belongs to the vCPU whose program spawns it. Every row
takes emulated time by the cost profile.

=========== ==========================================================================================================
op          meaning of the fields
=========== ==========================================================================================================
SPAWN       process `proc` begins with an empty address space
MMAP        mapping `region` of process `proc`: `a` pages; flags NO_THP: without huge pages
TOUCH       write to pages [a, a + b) of a mapping, ascending; faults as needed
UNMAP       give pages [a, a + b) of a mapping back (MADV_DONTNEED); a huge page that goes in part stays until reclaim
MUNMAP      mapping `region` of process `proc` goes, with its table pages; the number can be used again
FORK        process `a` begins as a copy of process `proc`, with the same mappings; pages are shared until one writes
EXEC        the address space of process `proc` is torn down and begins anew, empty
EXIT        process `proc` ends; its memory goes back through batched list frees
SLEEP       the vCPU idles for `a` ns
COMPUTE     the vCPU computes for `a` ns in user mode
ALLOC       the kernel allocates `b` blocks of `order` into slot `proc`; flags: kind of memory (KIND)
FREE        the kernel frees the `b` newest blocks of slot `proc`, all if `b` is 0
BACK        reserved memory, page frames [a, a + b), is written: what boot does to memory that the allocator never sees
MARK        note the time under number `a`
READ        read pages [a, a + b) of file `file` through the page cache, ascending; what is not cached comes from the disk
WRITE       write whole pages [a, a + b) of file `file` into the page cache, ascending; they are dirty until written back
SYNC        write the dirty pages of file `file` back and wait for the disk; flags ALL_FILES: of every file
TRUNCATE    file `file` ends after `a` pages: cached pages beyond are freed, dirty or not; `a` = 0 deletes it
DROP_CACHES all clean pages of the page cache are freed, as by writing 1 to /proc/sys/vm/drop_caches; flags SLAB: reclaimable
            kernel caches too, as by writing 3
SLAB_GROW   kernel cache `proc` gets `a` objects, `b` of which fit into a slab of `order`; flags: kernel or reclaimable
SLAB_SHRINK `a` objects of kernel cache `proc` are freed, all if `a` is 0: here and there, or flags OLDEST, NEWEST
=========== ==========================================================================================================
"""

import numpy as np

from hinting.errors import OpError

from hinting._core.common cimport COSTLY_ORDER, PAGE_BYTES
from hinting._core.engine.ops cimport *

#: dtype of an op array, 32 bytes a row.
OP_DTYPE = np.dtype([
    ("op", "u1"), ("flags", "u1"), ("order", "u1"), ("pad", "u1"), ("proc", "u4"), ("region", "u4"), ("file", "u4"),
    ("a", "i8"), ("b", "i8"),
])

#: Number of each op, by name.
OPS = {
    "NOP": OP_NOP, "SPAWN": OP_SPAWN, "MMAP": OP_MMAP, "TOUCH": OP_TOUCH, "UNMAP": OP_UNMAP, "EXIT": OP_EXIT,
    "SLEEP": OP_SLEEP, "COMPUTE": OP_COMPUTE, "ALLOC": OP_ALLOC, "FREE": OP_FREE, "BACK": OP_BACK, "MARK": OP_MARK,
    "READ": OP_READ, "WRITE": OP_WRITE, "SYNC": OP_SYNC, "TRUNCATE": OP_TRUNCATE, "DROP_CACHES": OP_DROP_CACHES,
    "FORK": OP_FORK, "EXEC": OP_EXEC, "MUNMAP": OP_MUNMAP,
    "SLAB_GROW": OP_SLAB_GROW, "SLAB_SHRINK": OP_SLAB_SHRINK,
}

#: Flag of MMAP: the mapping never uses huge pages.
NO_THP = OPF_NO_THP

#: Flag of SYNC: every file.
ALL_FILES = OPF_ALL_FILES

#: Flag of DROP_CACHES: kernel caches that can be shrunk, too.
SLAB = OPF_SLAB

#: Flags of SLAB_SHRINK: which objects go, if not scattered ones.
OLDEST, NEWEST = OPF_OLDEST, OPF_NEWEST

#: Kinds of kernel memory for ALLOC.
KINDS = {"kernel": KIND_KERNEL, "user": KIND_USER, "reclaimable": KIND_RECLAIMABLE, "atomic": KIND_ATOMIC}

#: Largest process, mapping, slot, kernel cache or file number.
MAX_NUMBER = 1 << 16

#: Largest mapping, pages.
MAX_PAGES = 1 << 34

#: Smallest object of a kernel cache, bytes.
MIN_OBJECT_BYTES = 8

#: Largest file, pages.
MAX_FILE_PAGES = 1 << 30


def _fail(rows, bad, reason):
    if bad.any():
        row = int(bad.argmax())
        name = {number: name for name, number in OPS.items()}.get(int(rows["op"][row]), "?")
        raise OpError(f"op array: row {row} ({name}): {reason}; got {dict(zip(OP_DTYPE.names, rows[row].tolist()))}")


def op_rows(ops):
    """The same array if it is a one-dimensional array of OP_DTYPE (a single row counts as one); raises OpError."""
    if not isinstance(ops, (np.ndarray, np.void)) or ops.dtype != OP_DTYPE:
        raise OpError(f"op array: expected a structured array of {OP_DTYPE}, got "
                      f"{f'an array of {ops.dtype}' if isinstance(ops, np.ndarray) else repr(ops)}")
    if ops.ndim > 1:
        raise OpError(f"op array: expected one dimension, got shape {ops.shape}")
    return np.atleast_1d(ops)


def validate(ops, npfn):
    """Check an op array and return it contiguous in OP_DTYPE.

    Every process must be spawned before its rows and ended before its number is used again, every mapping made before
    it is touched, every range inside its mapping, every page frame of BACK below npfn. Raises OpError naming the first
    row that is wrong.
    """
    rows = np.ascontiguousarray(op_rows(ops))
    op, a, b = rows["op"], rows["a"], rows["b"]

    def at(*names):
        return np.isin(op, [OPS[name] for name in names])

    _fail(rows, op >= NR_OPS, f"unknown op, expected one of {', '.join(OPS)}")
    _fail(rows, (a < 0) | (b < 0), "a and b must not be negative")
    for field in ("proc", "region", "file"):
        _fail(rows, rows[field] > MAX_NUMBER, f"{field} must not exceed {MAX_NUMBER}")
    _fail(rows, at("ALLOC") & (rows["order"] > 10), "order must be between 0 and 10")
    _fail(rows, at("ALLOC") & ((rows["flags"] & OPF_KIND) >= NR_KINDS), f"kind must be one of {KINDS}")
    _fail(rows, at("MMAP") & ((a < 1) | (a > MAX_PAGES)), f"a mapping must have 1 to {MAX_PAGES} pages")
    _fail(rows, at("BACK") & ((a > npfn) | (b > npfn) | (a + b > npfn)), f"page frames must be below {npfn}")
    _fail(rows, at("READ", "WRITE") & ((a > MAX_FILE_PAGES) | (b > MAX_FILE_PAGES) | (a + b > MAX_FILE_PAGES)),
          f"a + b: a file must not have more than {MAX_FILE_PAGES} pages")
    _fail(rows, at("TRUNCATE") & (a > MAX_FILE_PAGES), f"a: a file must not have more than {MAX_FILE_PAGES} pages")
    _fail(rows, at("FORK") & (a > MAX_NUMBER), f"a: a process number must not exceed {MAX_NUMBER}")
    _fail(rows, at("FORK") & (a == rows["proc"]), "a: a process cannot be its own child")
    _check_slab(rows, at)
    _fail(rows, at("DROP_CACHES") & (rows["flags"] > OPF_SLAB), "flags must be 0 or SLAB")
    _fail(rows, at("SYNC") & ((rows["flags"] | OPF_ALL_FILES) != OPF_ALL_FILES), "flags must be 0 or ALL_FILES")
    _check_order(rows)
    return rows


def _check_slab(rows, at):
    kinds = (KIND_KERNEL, KIND_RECLAIMABLE)
    grow = at("SLAB_GROW")
    _fail(rows, grow & (rows["order"] > COSTLY_ORDER), f"order must be between 0 and {COSTLY_ORDER}")
    _fail(rows, grow & ~np.isin(rows["flags"], kinds), 'flags must be the kind "kernel" or "reclaimable" of KINDS')
    most = (PAGE_BYTES // MIN_OBJECT_BYTES) << np.minimum(rows["order"], COSTLY_ORDER).astype(np.int64)
    _fail(rows, grow & ((rows["b"] < 1) | (rows["b"] > most)),
          f"b: objects of a slab must be 1 to {PAGE_BYTES // MIN_OBJECT_BYTES} a page")
    _fail(rows, at("SLAB_SHRINK") & (rows["flags"] > OPF_NEWEST), "flags must be 0, OLDEST or NEWEST")


def slab_caches(rows, known):
    """{cache: (order, kind, objects of a slab)} of the kernel caches that an op array uses.

    known: those that exist already. Raises OpError for a cache that is another one elsewhere, or that never grows.
    """
    found = dict(known)
    grow, shrink = rows["op"] == OP_SLAB_GROW, rows["op"] == OP_SLAB_SHRINK
    key = (rows["proc"].astype(np.int64) << 32) + (rows["order"].astype(np.int64) << 24)
    key += (rows["flags"].astype(np.int64) << 16) + np.where(grow, rows["b"], 0)
    for one in np.unique(key[grow]).tolist():
        number, kind = one >> 32, (one >> 24 & 0xFF, one >> 16 & 0xFF, one & 0xFFFF)
        _fail(rows, grow & (key == one) & (found.setdefault(number, kind) != kind),
              f"proc: kernel cache {number} has (order, kind, objects of a slab) {found[number]}")
    for number in np.unique(rows["proc"][shrink]).tolist():
        _fail(rows, shrink & (rows["proc"] == number) & (number not in found),
              f"proc: kernel cache {number} does not exist: SLAB_GROW it first")
    return found


def begun(rows):
    """Numbers of the processes that begin in an op array."""
    return np.unique(np.concatenate([rows["proc"][rows["op"] == OP_SPAWN], rows["a"][rows["op"] == OP_FORK]]))


def numbers_used(rows):
    """One more than the largest process or slot number of an op array."""
    forks = rows["a"][rows["op"] == OP_FORK]
    return 1 + max(int(rows["proc"].max(initial=0)), int(forks.max(initial=0)))


def file_ends(rows):
    """{file: one past its last page} of the rows of an op array that use files."""
    uses = np.isin(rows["op"], [OP_READ, OP_WRITE, OP_SYNC, OP_TRUNCATE])
    last = np.where(np.isin(rows["op"], [OP_READ, OP_WRITE]), rows["a"] + rows["b"], 0)
    numbers, which = np.unique(rows["file"][uses], return_inverse=True)
    most = np.zeros(len(numbers), np.int64)
    np.maximum.at(most, which, last[uses])
    return dict(zip(numbers.tolist(), most.tolist()))


def _check_order(rows):
    """Rows of processes and mappings that do not exist at that point."""
    mapped = {}
    wanted = [OPS[name] for name in ("SPAWN", "MMAP", "TOUCH", "UNMAP", "EXIT", "FORK", "EXEC", "MUNMAP")]
    for row in np.flatnonzero(np.isin(rows["op"], wanted)):
        op, proc, region = int(rows["op"][row]), int(rows["proc"][row]), int(rows["region"][row])
        bad = np.zeros(len(rows), bool)
        bad[row] = True
        if op == OP_SPAWN:
            if proc in mapped:
                _fail(rows, bad, f"process {proc} lives already: EXIT it first")
            mapped[proc] = {}
        elif proc not in mapped:
            _fail(rows, bad, f"process {proc} does not exist here: SPAWN it first")
        elif op == OP_MMAP:
            if region in mapped[proc]:
                _fail(rows, bad, f"mapping {region} of process {proc} exists already")
            mapped[proc][region] = int(rows["a"][row])
        elif op == OP_EXIT:
            del mapped[proc]
        elif op == OP_EXEC:
            mapped[proc] = {}
        elif op == OP_FORK:
            child = int(rows["a"][row])
            if child in mapped:
                _fail(rows, bad, f"a: process {child} lives already: EXIT it first")
            mapped[child] = dict(mapped[proc])
        elif region not in mapped[proc]:
            _fail(rows, bad, f"mapping {region} of process {proc} does not exist here: MMAP it first")
        elif op == OP_MUNMAP:
            del mapped[proc][region]
        elif int(rows["a"][row]) + int(rows["b"][row]) > mapped[proc][region]:
            _fail(rows, bad, f"pages beyond the mapping's {mapped[proc][region]}")


def _field_value(name, field, value):
    legal = np.iinfo(OP_DTYPE[field])
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not legal.min <= value <= legal.max:
        raise OpError(f"op {name}: {field} must be a whole number between {legal.min} and {legal.max}, got {value!r}")
    return value


def program(*rows):
    """An op array from rows given as (name, {field: value}) pairs.

    >>> len(program(("SLEEP", {"a": 1000})))
    1
    """
    out = np.zeros(len(rows), OP_DTYPE)
    for i, (name, values) in enumerate(rows):
        if name not in OPS:
            raise OpError(f"op {name!r} is unknown, expected one of {', '.join(OPS)}")
        out["op"][i] = OPS[name]
        for field, value in values.items():
            if field not in OP_DTYPE.names:
                raise OpError(f"op {name}: unknown field {field!r}, expected one of {', '.join(OP_DTYPE.names)}")
            out[field][i] = _field_value(name, field, value)
    return out
