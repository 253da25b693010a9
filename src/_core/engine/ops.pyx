"""The op array: one structured dtype that workload generators, recordings and other simulators all produce.

A guest executes rows in order on one vCPU. A process belongs to the vCPU whose program spawns it, which forks it, execs
and ends it; it may have threads on others, whose programs MMAP, TOUCH, UNMAP and MUNMAP. A thread's row for which the process or
the mapping is not there when its turn comes is passed over: let the thread WAIT for a mark. Every row takes emulated time
by the cost profile.

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
SLEEP       the vCPU idles for `a` ns; flags SINCE_MARK: until `a` ns after mark `b` was last set
COMPUTE     the vCPU computes for `a` ns in user mode
ALLOC       the kernel allocates `b` blocks of `order` into slot `proc`; flags: kind of memory (KIND)
FREE        the kernel frees the `b` newest blocks of slot `proc`, all if `b` is 0
BACK        reserved memory, page frames [a, a + b), is written: what boot does to memory that the allocator never sees
MARK        note the time under number `a`
WAIT        the vCPU waits until mark `a` of this guest was set `b` times by any vCPU, once if `b` is 0
READ        read pages [a, a + b) of file `file` through the page cache, ascending; what is not cached comes from the disk
WRITE       write whole pages [a, a + b) of file `file` into the page cache, ascending; they are dirty until written back
SYNC        write the dirty pages of file `file` back and wait for the disk; flags ALL_FILES: of every file
TRUNCATE    file `file` ends after `a` pages: cached pages beyond are freed, dirty or not; `a` = 0 deletes it
DROP_CACHES all clean pages of the page cache are freed, as by writing 1 to /proc/sys/vm/drop_caches; flags SLAB: reclaimable
            kernel caches too, as by writing 3
SLAB_GROW   kernel cache `proc` gets `a` objects, `b` of which fit into a slab of `order`; flags: kernel or reclaimable
SLAB_SHRINK `a` objects of kernel cache `proc` are freed, all if `a` is 0: here and there, or flags OLDEST, NEWEST
RESIZE      the host wants the guest to do without `a` pages of its memory; the guest's strategy must be one that can
=========== ==========================================================================================================
"""

from libc.string cimport memset

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
    "WAIT": OP_WAIT,
    "FORK": OP_FORK, "EXEC": OP_EXEC, "MUNMAP": OP_MUNMAP,
    "SLAB_GROW": OP_SLAB_GROW, "SLAB_SHRINK": OP_SLAB_SHRINK,
    "RESIZE": OP_RESIZE,
}

#: Flag of MMAP: the mapping never uses huge pages.
NO_THP = OPF_NO_THP

#: Flag of SLEEP: from the moment when mark `b` was last set.
SINCE_MARK = OPF_SINCE_MARK

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
        _fail_at(rows, int(bad.argmax()), reason)


def _fail_at(rows, row, reason):
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


def validate(ops, npfn, elsewhere=()):
    """Check an op array and return it contiguous in OP_DTYPE. elsewhere: processes that begin on other vCPUs.

    Every process of its own must be spawned before its rows and end before its number is used again, every mapping made before it
    is touched, every range inside its mapping, every page frame of BACK below npfn. Raises OpError naming the first row
    that is wrong.
    """
    rows = np.ascontiguousarray(op_rows(ops))
    op, a, b = rows["op"], rows["a"], rows["b"]

    def at(*names):
        wanted = np.zeros(256, bool)
        wanted[[OPS[name] for name in names]] = True
        return wanted[op]

    _fail(rows, op >= NR_OPS, f"unknown op, expected one of {', '.join(OPS)}")
    _fail(rows, (a < 0) | (b < 0), "a and b must not be negative")
    for field in ("proc", "region", "file"):
        _fail(rows, rows[field] > MAX_NUMBER, f"{field} must not exceed {MAX_NUMBER}")
    _fail(rows, at("ALLOC") & (rows["order"] > 10), "order must be between 0 and 10")
    _fail(rows, at("ALLOC") & ((rows["flags"] & OPF_KIND) >= NR_KINDS), f"kind must be one of {KINDS}")
    _fail(rows, at("MMAP") & ((a < 1) | (a > MAX_PAGES)), f"a mapping must have 1 to {MAX_PAGES} pages")
    _fail(rows, at("BACK") & ((a > npfn) | (b > npfn) | (a + b > npfn)), f"page frames must be below {npfn}")
    _fail(rows, at("SLEEP") & ((rows["flags"] | OPF_SINCE_MARK) != OPF_SINCE_MARK), "flags must be 0 or SINCE_MARK")
    _fail(rows, at("READ", "WRITE") & ((a > MAX_FILE_PAGES) | (b > MAX_FILE_PAGES) | (a + b > MAX_FILE_PAGES)),
          f"a + b: a file must not have more than {MAX_FILE_PAGES} pages")
    _fail(rows, at("TRUNCATE") & (a > MAX_FILE_PAGES), f"a: a file must not have more than {MAX_FILE_PAGES} pages")
    _fail(rows, at("FORK") & (a > MAX_NUMBER), f"a: a process number must not exceed {MAX_NUMBER}")
    _fail(rows, at("FORK") & (a == rows["proc"]), "a: a process cannot be its own child")
    _check_slab(rows, at)
    _fail(rows, at("DROP_CACHES") & (rows["flags"] > OPF_SLAB), "flags must be 0 or SLAB")
    _fail(rows, at("SYNC") & ((rows["flags"] | OPF_ALL_FILES) != OPF_ALL_FILES), "flags must be 0 or ALL_FILES")
    _fail(rows, at("RESIZE") & (a > npfn), f"a must be at most the guest's {npfn} pages")
    _check_threads(rows, np.isin(rows["proc"], np.asarray(elsewhere, np.int64)), at)
    _check_order(rows, elsewhere)
    return rows


def _check_threads(rows, is_thread, at):
    _fail(rows, is_thread & at("FORK", "EXEC", "EXIT"),
          "the process begins on another vCPU, which is to do this: a thread can only MMAP, TOUCH, UNMAP and MUNMAP")
    most = np.maximum(rows["a"], rows["b"])
    _fail(rows, is_thread & at("TOUCH", "UNMAP") & (most > MAX_PAGES), f"a mapping has at most {MAX_PAGES} pages")


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


cdef enum:
    FINE = 0
    NO_PROCESS = 1
    MAPPED_ALREADY = 2
    NOT_MAPPED = 3
    BEYOND = 4
    LIVES = 5
    CHILD_LIVES = 6


cdef int wrong_at(const op_t *o, int64_t *process, const int64_t *base, int64_t *made, int64_t *pages) noexcept nogil:
    """What is wrong with a row of a process, FINE if nothing; the row's effect is noted.

    process: by number, how often it was spawned, negative while it does not live. Of each mapping, at base[process] +
    region: made, in which life of the process it was mapped; pages.
    """
    cdef int64_t life = process[o.proc]
    cdef int64_t at
    if o.op == OP_SPAWN:
        if life > 0:
            return LIVES
        process[o.proc] = 1 - life
        return FINE
    if life <= 0:
        return NO_PROCESS
    if o.op == OP_EXIT:
        process[o.proc] = -life
        return FINE
    if o.op == OP_EXEC:
        process[o.proc] = life + 1
        return FINE
    if o.op == OP_FORK:
        if process[o.a] > 0:
            return CHILD_LIVES
        process[o.a] = 1 - process[o.a]
        for at in range(base[o.proc + 1] - base[o.proc]):
            if made[base[o.proc] + at] == life:
                made[base[o.a] + at] = process[o.a]
                pages[base[o.a] + at] = pages[base[o.proc] + at]
        return FINE
    at = base[o.proc] + o.region
    if o.op == OP_MMAP:
        if made[at] == life:
            return MAPPED_ALREADY
        made[at] = life
        pages[at] = o.a
        return FINE
    if at >= base[o.proc + 1] or made[at] != life:
        return NOT_MAPPED
    if o.op == OP_MUNMAP:
        made[at] = 0
        return FINE
    return FINE if o.a <= pages[at] and o.b <= pages[at] - o.a else BEYOND


def _check_order(rows, elsewhere):
    """Refuse rows of processes and mappings that do not exist at that point, but for processes of other vCPUs."""
    cdef op_t[::1] ops = rows
    cdef int64_t n = rows.size, i
    lives = np.zeros(numbers_used(rows), np.int64)
    cdef int64_t[::1] process = lives
    cdef uint8_t[::1] threads = np.isin(np.arange(lives.size), np.asarray(elsewhere, np.int64)).view(np.uint8)
    room = np.zeros(process.size + 1, np.int64)
    cdef int64_t[::1] base = room
    cdef int64_t[::1] made, pages
    cdef uint8_t[256] of_process
    memset(of_process, 0, sizeof(of_process))
    for name in ("SPAWN", "MMAP", "TOUCH", "UNMAP", "EXIT", "FORK", "EXEC", "MUNMAP"):
        of_process[<int>OPS[name]] = 1
    cdef int wrong = FINE
    with nogil:
        for i in range(n):
            if ops[i].op == OP_MMAP and ops[i].region + 1 > base[ops[i].proc + 1]:
                base[ops[i].proc + 1] = ops[i].region + 1
            elif ops[i].op == OP_FORK and base[ops[i].proc + 1] > base[ops[i].a + 1]:
                base[ops[i].a + 1] = base[ops[i].proc + 1]
    np.cumsum(room, out=room)
    made, pages = np.zeros(room.max() + 1, np.int64), np.zeros(room.max() + 1, np.int64)
    with nogil:
        for i in range(n):
            if of_process[ops[i].op] and not threads[ops[i].proc]:
                wrong = wrong_at(&ops[i], &process[0], &base[0], &made[0], &pages[0])
                if wrong != FINE:
                    break
    if wrong != FINE:
        proc, region = ops[i].proc, ops[i].region
        found = pages[base[ops[i].proc] + ops[i].region] if wrong == BEYOND else 0
        _fail_at(rows, i, {
            NO_PROCESS: f"process {proc} does not exist here: SPAWN it first",
            LIVES: f"process {proc} lives already: EXIT it first",
            CHILD_LIVES: f"a: process {ops[i].a} lives already: EXIT it first",
            MAPPED_ALREADY: f"mapping {region} of process {proc} exists already",
            NOT_MAPPED: f"mapping {region} of process {proc} does not exist here: MMAP it first",
            BEYOND: f"pages beyond the mapping's {found}",
        }[wrong])


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
    for i, row in enumerate(rows):
        if not isinstance(row, (tuple, list)) or len(row) != 2 or not isinstance(row[1], dict):
            raise OpError(f"row {i}: expected an op and its fields, as ('SLEEP', {{'a': 1000}}), got {row!r}")
        name, values = row
        if not isinstance(name, str) or name not in OPS:
            raise OpError(f"op {name!r} is unknown, expected one of {', '.join(OPS)}")
        out["op"][i] = OPS[name]
        for field, value in values.items():
            if field not in OP_DTYPE.names:
                raise OpError(f"op {name}: unknown field {field!r}, expected one of {', '.join(OP_DTYPE.names)}")
            out[field][i] = _field_value(name, field, value)
    return out
