"""A cost profile as a C struct: one double for each cost of hinting/costs/default.toml that the cores charge.

A field is the id of the cost with the dot as underscore; ns if not marked. A field `<id>_high` is the same cost at its
high end, for a step that is charged at its worst. No value is given here.
"""

from libc.stdint cimport uint64_t

from hinting._core.common cimport PAGEBLOCK_ORDER

ctypedef struct costs_t:
    double guest_pcp_alloc_hit
    double guest_pcp_refill_batch
    double guest_pcp_free_hit
    double guest_pcp_drain_batch
    double guest_buddy_alloc_direct
    double guest_buddy_alloc_order9
    double guest_buddy_free_direct
    double guest_zone_lock_uncontended
    double guest_zone_lock_handoff
    double guest_scan_free_list_entry
    double guest_scan_bitmap_page
    double guest_isolate_page
    double guest_putback_page
    double guest_fault_path_4k
    double guest_fault_path_2m
    double guest_rcu_batch_free_4k
    double mem_clear_4k
    double mem_clear_2m
    double mem_copy_4k
    double mem_stream_1t_gib_s              # GiB/s
    double sched_syscall
    double sched_context_switch
    double sched_wakeup_same_cpu
    double sched_wakeup_idle_cpu
    double sched_workqueue_delay_jitter
    double virt_vm_exit_entry
    double virt_hypercall
    double virt_exit_to_user
    double virt_ioeventfd_signal
    double virt_kick_total                  # a sum, for checks
    double virt_vmm_wakeup
    double virt_vhost_wakeup
    double virt_busy_poll_pickup
    double virt_vq_add_sg
    double virt_vq_kick_check
    double virt_vq_pop_element
    double virt_vq_map_sg
    double virt_vq_push_notify
    double virt_irq_inject
    double virt_guest_irq_to_task
    double host_ramblock_lookup
    double host_balloon_pfn_overhead
    double host_madvise_call_empty
    double host_madvise_zap_4k_single
    double host_zap_4k_bulk
    double host_zap_2m_thp
    double host_thp_split_pmd
    double host_thp_split_folio
    double host_madvise_free_4k
    double host_mmu_notifier_range
    double host_tlb_flush_local
    double host_tlb_shootdown_base
    double host_tlb_shootdown_per_cpu
    double fault_gup_path_4k
    double fault_tdp_map
    double fault_memcg_charge
    double fault_thp_alloc
    double fault_thp_alloc_high             # direct compaction that found no huge frame
    double fault_ept_4k_total               # a sum, for checks
    double fault_ept_2m_total               # a sum, for checks
    double fault_read_zero_page
    double fault_async_pf
    double fault_uffd_missing
    double fault_collapse_2m
    double swap_out_cpu_4k
    double swap_in_cpu_4k
    double swap_scan_page
    double swap_lz4_decompress
    double swap_lz4_compress
    double swap_lzo_decompress
    double swap_zstd_decompress
    double swap_zstd_compress
    double swap_ksm_scan_page
    double dev_optane_read
    double dev_nvme_read
    double dev_nvme_read_p99
    double dev_nvme_write
    double dev_nvme_read_mib_s              # MiB/s
    double dev_nvme_write_mib_s             # MiB/s
    double dev_nvme_qd                      # requests
    double dev_sata_read
    double dev_sata_read_p99
    double dev_sata_write
    double dev_sata_read_mib_s              # MiB/s
    double dev_sata_qd                      # requests
    double dev_hdd_random
    double dev_hdd_seq_mib_s                # MiB/s
    double dev_hdd_qd                       # requests
    double size_guest_base_mib              # MiB
    double size_struct_page_ratio           # fraction
    double size_vmm_fixed_mib               # MiB
    double size_vmm_per_vcpu_mib            # MiB
    double size_vmm_iothread_mib            # MiB
    double size_vmm_graphics_mib            # MiB
    double size_vmm_firecracker_mib         # MiB
    double size_ept_bytes_per_4k            # bytes
    double size_host_base_mib               # MiB

cdef enum:
    NR_CARDS = 1024                     # a power of two

ctypedef struct deck_t:                 # costs that vary: each charge takes them from another card
    const costs_t *card                 # NR_CARDS of them; NULL: costs are constant
    uint64_t seed
    uint64_t draws                      # cards drawn so far

cdef inline const costs_t *draw_card(deck_t *d) noexcept nogil:
    """The costs of the next charge: any card of the deck, by a hash of the number of the draw (splitmix64)."""
    cdef uint64_t z
    d.draws += 1
    z = d.seed + d.draws * <uint64_t>0x9E3779B97F4A7C15
    z = (z ^ (z >> 30)) * <uint64_t>0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * <uint64_t>0x94D049BB133111EB
    return &d.card[(z ^ (z >> 31)) & (NR_CARDS - 1)]

cdef inline double struct_page_ns(const costs_t *c) noexcept nogil:
    """One of many struct pages (64 B) that are read and written in a row, as fast as memory goes.

    STREAM counts the 128 B that copying 64 B reads and writes, for which 192 B move: the target is read, too. Here 128 B move.
    """
    return 2 / 3.0 * 128 * 1e9 / (c.mem_stream_1t_gib_s * (1 << 30))

cdef inline double direct_free_ns(const costs_t *c, int order) noexcept nogil:
    """A block freed to its list under the zone lock; one of 2 MiB or more has all of its struct pages checked first."""
    cdef double ns = c.guest_zone_lock_uncontended + c.guest_buddy_free_direct
    return ns if order < PAGEBLOCK_ORDER else ns + struct_page_ns(c) * (1 << order)

cdef class Costs:
    cdef costs_t c
    cdef readonly str name
    cdef readonly str hash
    cdef deck_t deck(self, cards, uint64_t seed) except *
