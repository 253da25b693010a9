"""Base lines: the clock, a null system call, a trapping instruction, a lock, and walks over memory.

Every function returns float64 samples, ns per operation, each the mean of a short burst; the clock's own cost is in them.
"""

from libc.stdint cimport int64_t, uint64_t

import numpy as np

from hinting._core.probes.clock cimport now_ns

cdef extern from *:
    """
    #include <unistd.h>
    #include <sys/syscall.h>
    #if defined(__x86_64__) || defined(__i386__)
    #include <cpuid.h>
    static int can_trap(void) { return 1; }
    static void trap(void) { unsigned a, b, c, d; __cpuid(0, a, b, c, d); }
    #else
    static int can_trap(void) { return 0; }
    static void trap(void) {}
    #endif
    static void null_syscall(void) { syscall(SYS_getppid); }
    static void lock_unlock(volatile char *lock) {
        while (__atomic_test_and_set(lock, __ATOMIC_ACQUIRE)) {}
        __atomic_clear(lock, __ATOMIC_RELEASE);
    }
    """
    bint can_trap() nogil
    void trap() nogil
    void null_syscall() nogil
    void lock_unlock(char *lock) nogil

cdef enum:
    CLOCK
    SYSCALL
    TRAP
    LOCK

ACTIONS = {"clock": CLOCK, "syscall": SYSCALL, "trap": TRAP, "lock": LOCK}


def has_trap():
    """Whether there is an instruction here that traps in a virtual machine (cpuid on x86)."""
    return bool(can_trap())


def burst(str action not None, int samples, int each):
    """ns of one action: "clock" (read it), "syscall" (getppid), "trap" (cpuid) or "lock" (take and release a free lock).

    samples, each: how many bursts of how many actions.
    """
    cdef int what = ACTIONS[action]
    cdef double[::1] out = np.empty(samples)
    cdef int i, _
    cdef int64_t since
    cdef char lock = 0
    with nogil:
        for i in range(samples):
            since = now_ns()
            for _ in range(each):
                if what == CLOCK:
                    now_ns()
                elif what == SYSCALL:
                    null_syscall()
                elif what == TRAP:
                    trap()
                else:
                    lock_unlock(&lock)
            out[i] = <double>(now_ns() - since) / each
    return np.asarray(out)


def chase(const uint64_t[::1] chain not None, int samples, int each):
    """ns of one step along a chain: chain[i] is the index of the next element."""
    cdef double[::1] out = np.empty(samples)
    cdef int i, _
    cdef uint64_t at = 0
    cdef int64_t since
    if chain.shape[0] == 0:
        raise ValueError("chain must not be empty")
    if np.max(chain) >= chain.shape[0]:
        raise ValueError(f"chain must hold indices below {chain.shape[0]}, got {np.max(chain)}")
    with nogil:
        for i in range(samples):
            since = now_ns()
            for _ in range(each):
                at = chain[at]
            out[i] = <double>(now_ns() - since) / each
    return np.asarray(out), at


def count_bits(const uint64_t[::1] words not None, int samples):
    """ns for one bit of a bitmap that is read word by word, set bits picked out; and how many were set."""
    cdef double[::1] out = np.empty(samples)
    cdef int i
    cdef Py_ssize_t j
    cdef uint64_t word, seen = 0
    cdef int64_t since
    with nogil:
        for i in range(samples):
            since = now_ns()
            for j in range(words.shape[0]):
                word = words[j]
                while word:
                    word &= word - 1
                    seen += 1
            out[i] = <double>(now_ns() - since) / (64 * words.shape[0])
    return np.asarray(out), seen
