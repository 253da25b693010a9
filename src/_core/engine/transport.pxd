"""How a report reaches the host and what that costs: virtqueue to the VMM's main loop, an I/O thread or vhost, or a hypercall.

Follows virtqueue_kick_prepare (a device that is at work or polls needs no notification) and vhost's and QEMU's busy polling.
"""

from libc.stdint cimport int64_t

from hinting._core.engine.machine cimport machine_t

cdef enum:
    VIA_MAIN = 0                        # the VMM's main loop
    VIA_IOTHREAD = 1                    # a thread of the VMM
    VIA_VHOST = 2                       # a thread of the host's kernel
    VIA_HYPERCALL = 3                   # no queue: the host works on the vCPU that asks

cdef inline bint is_polling(const machine_t *g, int64_t t) noexcept nogil:
    """Whether the back-end still looks at the empty queue: since its last work no more than poll_ns have passed."""
    return g.poll_ns > 0 and g.vmm.polls_from >= 0 and t < g.vmm.polls_from + g.poll_ns

cdef inline double kick_ns(const machine_t *g, int64_t t, int64_t descriptors) noexcept nogil:
    """Guest CPU to hand over a report of so many descriptors."""
    if g.transport == VIA_HYPERCALL:
        return g.costs.virt_hypercall
    if g.vmm.queued or is_polling(g, t):
        return descriptors * g.costs.virt_vq_add_sg + g.costs.virt_vq_kick_check
    return descriptors * g.costs.virt_vq_add_sg + g.costs.virt_vm_exit_entry + g.costs.virt_ioeventfd_signal

cdef inline int64_t pickup_ns(machine_t *g, int64_t t) noexcept nogil:
    """From the kick until an idle back-end begins; the time that it has polled is its CPU time."""
    cdef bint polls = is_polling(g, t)
    if g.poll_ns > 0 and g.vmm.polls_from >= 0:
        g.account.vmm += t - g.vmm.polls_from if polls else g.poll_ns
        g.vmm.polls_from = -1
    if g.transport == VIA_HYPERCALL:
        return 0
    if polls:
        return <int64_t>g.costs.virt_busy_poll_pickup
    return <int64_t>(g.costs.virt_vhost_wakeup if g.transport == VIA_VHOST else g.costs.virt_vmm_wakeup)

cdef inline double pop_ns(const machine_t *g, int64_t descriptors) noexcept nogil:
    """The back-end's work to take a report."""
    return 0 if g.transport == VIA_HYPERCALL else g.costs.virt_vq_pop_element + descriptors * g.costs.virt_vq_map_sg

cdef inline double push_ns(const machine_t *g) noexcept nogil:
    """And to say that it is done."""
    return 0 if g.transport == VIA_HYPERCALL else g.costs.virt_vq_push_notify

cdef inline void back_end_rests(machine_t *g) noexcept nogil:
    """The queue is empty: polling begins, if it does."""
    if g.poll_ns > 0:
        g.vmm.polls_from = g.vmm.now
