"""Wake-ups between two threads, and what a thread on another CPU costs: run the two sides in threads of their own.

Samples are float64, ns for one round trip; the clock's own cost is in them.
"""

from libc.errno cimport errno
from libc.stdint cimport int64_t, uint64_t

import os
import select

import numpy as np

from hinting._core.probes.clock cimport now_ns

cdef extern from *:
    """
    #include <unistd.h>
    #include <sys/epoll.h>
    #include <sys/ioctl.h>
    #include <sys/syscall.h>
    #include <linux/futex.h>
    static void futex_wait(int *word, int value) { syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, 0, 0, 0); }
    static void futex_wake(int *word) { syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0); }
    static int load(int *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
    static void store(int *word, int value) { __atomic_store_n(word, value, __ATOMIC_RELEASE); }
    static void take(char *lock) { while (__atomic_test_and_set(lock, __ATOMIC_ACQUIRE)) {} }
    static void give(char *lock) { __atomic_clear(lock, __ATOMIC_RELEASE); }
    """
    ssize_t c_read "read"(int fd, void *to, size_t n) nogil
    ssize_t c_write "write"(int fd, const void *data, size_t n) nogil
    int c_ioctl "ioctl"(int fd, unsigned long request, long argument) nogil
    struct epoll_event:
        pass
    int epoll_wait(int fd, epoll_event *events, int most, int timeout) nogil
    void futex_wait(int *word, int value) nogil
    void futex_wake(int *word) nogil
    int load(int *word) nogil
    void store(int *word, int value) nogil
    void take(char *lock) nogil
    void give(char *lock) nogil


cdef class Events:
    """Two event file descriptors, there and back; poll: the far side sleeps in epoll before it reads."""

    cdef int there, back, epoll
    cdef object poll

    def __init__(self, bint poll=False):
        self.there, self.back = os.eventfd(0), os.eventfd(0)
        self.epoll = -1
        if poll:
            self.poll = select.epoll()
            self.poll.register(self.there, select.EPOLLIN)
            self.epoll = self.poll.fileno()

    def close(self):
        """Close the descriptors."""
        os.close(self.there)
        os.close(self.back)
        if self.poll is not None:
            self.poll.close()

    def near(self, int rounds):
        """Signal there and wait for the answer, `rounds` times: ns for each round."""
        cdef double[::1] out = np.empty(rounds)
        cdef uint64_t one = 1, got
        cdef int i
        cdef int64_t since
        with nogil:
            for i in range(rounds):
                since = now_ns()
                if c_write(self.there, &one, 8) != 8 or c_read(self.back, &got, 8) != 8:
                    break
                out[i] = <double>(now_ns() - since)
        return np.asarray(out)

    def far(self, int rounds):
        """Answer `rounds` signals."""
        cdef uint64_t one = 1, got
        cdef epoll_event event
        cdef int _
        with nogil:
            for _ in range(rounds):
                if self.epoll >= 0:
                    epoll_wait(self.epoll, &event, 1, -1)
                if c_read(self.there, &got, 8) != 8 or c_write(self.back, &one, 8) != 8:
                    break

    def signal(self, int samples, int each):
        """ns of one write to the descriptor, nobody waiting."""
        cdef double[::1] out = np.empty(samples)
        cdef uint64_t one = 1, got
        cdef int i, _
        cdef int64_t since
        with nogil:
            for i in range(samples):
                since = now_ns()
                for _ in range(each):
                    c_write(self.there, &one, 8)
                out[i] = <double>(now_ns() - since) / each
                c_read(self.there, &got, 8)
        return np.asarray(out)


cdef class Words:
    """Shared words: a flag that two threads pass by futex or by looking, a lock that both take, and a word to stop by."""

    cdef int turn
    cdef int stop
    cdef char lock

    def near(self, int rounds, bint sleep):
        """Give the turn away and get it back, `rounds` times: ns for each; sleep: wait by futex, else look all the time."""
        cdef double[::1] out = np.empty(rounds)
        cdef int i
        cdef int64_t since
        with nogil:
            for i in range(rounds):
                since = now_ns()
                store(&self.turn, 1)
                if sleep:
                    futex_wake(&self.turn)
                while load(&self.turn) == 1:
                    if sleep:
                        futex_wait(&self.turn, 1)
                out[i] = <double>(now_ns() - since)
        return np.asarray(out)

    def far(self, int rounds, bint sleep):
        """The other side of `near`."""
        cdef int _
        with nogil:
            for _ in range(rounds):
                while load(&self.turn) == 0:
                    if sleep:
                        futex_wait(&self.turn, 0)
                store(&self.turn, 0)
                if sleep:
                    futex_wake(&self.turn)

    def spin(self):
        """Keep a CPU busy in this process until `end`."""
        with nogil:
            while load(&self.stop) == 0:
                pass

    def contend(self):
        """Take and give the lock until `end`."""
        with nogil:
            while load(&self.stop) == 0:
                take(&self.lock)
                give(&self.lock)

    def locked(self, int samples, int each):
        """ns to take and give the lock."""
        cdef double[::1] out = np.empty(samples)
        cdef int i, _
        cdef int64_t since
        with nogil:
            for i in range(samples):
                since = now_ns()
                for _ in range(each):
                    take(&self.lock)
                    give(&self.lock)
                out[i] = <double>(now_ns() - since) / each
        return np.asarray(out)

    def end(self):
        """End `spin` and `contend`."""
        store(&self.stop, 1)


def ioctl_times(int fd, unsigned long request, int calls):
    """ns of each of `calls` calls of ioctl(fd, request, 0); OSError at the first that fails."""
    cdef double[::1] out = np.empty(calls)
    cdef int i, refused = 0
    cdef int64_t since
    with nogil:
        for i in range(calls):
            since = now_ns()
            if c_ioctl(fd, request, 0) < 0:
                refused = errno
                break
            out[i] = <double>(now_ns() - since)
    if refused:
        raise OSError(refused, os.strerror(refused))
    return np.asarray(out)
