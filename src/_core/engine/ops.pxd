"""One row of an op array: what a guest does next. The one instruction set between Python and the cores."""

from libc.stdint cimport int64_t, uint8_t, uint32_t

cdef enum opcode_t:
    OP_NOP = 0
    OP_SPAWN = 1                        # a process with an empty address space
    OP_MMAP = 2                         # an anonymous private mapping of `a` pages
    OP_TOUCH = 3                        # write to pages [a, a + b) of a mapping, ascending
    OP_UNMAP = 4                        # give pages [a, a + b) of a mapping back
    OP_EXIT = 5                         # the process ends, its memory is torn down
    OP_SLEEP = 6                        # the vCPU idles for `a` ns
    OP_COMPUTE = 7                      # the vCPU computes for `a` ns in user mode
    OP_ALLOC = 8                        # the kernel allocates `b` blocks of `order` into a slot
    OP_FREE = 9                         # the kernel frees the `b` newest blocks of a slot (all if b is 0)
    OP_BACK = 10                        # reserved memory [a, a + b) (page frames) is written at boot
    OP_MARK = 11                        # remember the time under the number `a`
    OP_READ = 12                        # read pages [a, a + b) of a file through the page cache, ascending
    OP_WRITE = 13                       # write whole pages [a, a + b) of a file into the page cache, ascending
    OP_SYNC = 14                        # write the dirty pages of a file back and wait for the disk
    OP_TRUNCATE = 15                    # a file ends after `a` pages; 0 deletes it
    OP_DROP_CACHES = 16                 # drop the clean pages of all files
    OP_FORK = 17                        # process `a` begins as a copy of process `proc`
    OP_EXEC = 18                        # the address space of a process begins anew, empty
    OP_MUNMAP = 19                      # a mapping goes, with its table pages
    OP_SLAB_GROW = 20                   # kernel cache `proc` gets `a` objects; `b` objects fit into a slab of `order`
    OP_SLAB_SHRINK = 21                 # `a` objects of kernel cache `proc` are freed (all if a is 0)
    OP_WAIT = 22                        # until mark `a` of this guest was set `b` times (once if b is 0)
    OP_RESIZE = 23                      # the host wants the guest to do without `a` pages
    NR_OPS = 24

cdef enum:
    OPF_NO_THP = 1                      # OP_MMAP: MADV_NOHUGEPAGE
    OPF_ALL_FILES = 2                   # OP_SYNC: every file
    OPF_SINCE_MARK = 4                  # OP_SLEEP: `a` ns since mark `b` was last set, not from now
    OPF_OLDEST = 1                      # OP_SLAB_SHRINK: the oldest objects, not scattered ones
    OPF_NEWEST = 2                      # OP_SLAB_SHRINK: the newest objects
    OPF_SLAB = 1                        # OP_DROP_CACHES: reclaimable kernel caches too
    OPF_KIND = 0x0F                     # OP_ALLOC, OP_SLAB_GROW: KIND_*

    KIND_KERNEL = 0                     # GFP_KERNEL: unmovable
    KIND_USER = 1                       # GFP_HIGHUSER_MOVABLE
    KIND_RECLAIMABLE = 2                # GFP_KERNEL | __GFP_RECLAIMABLE
    KIND_ATOMIC = 3                     # GFP_ATOMIC
    NR_KINDS = 4

ctypedef packed struct op_t:
    uint8_t op                          # OP_*
    uint8_t flags                       # OPF_*, KIND_*
    uint8_t order
    uint8_t pad
    uint32_t proc                       # process number, or slot of OP_ALLOC and OP_FREE
    uint32_t region                     # mapping of the process
    uint32_t file                       # number of a file
    int64_t a
    int64_t b
