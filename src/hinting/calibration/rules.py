"""From samples to costs: which measurement gives which cost of the table, and what has to be taken off."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["RULES", "SANITY", "Rule", "Sanity"]


@dataclass(frozen=True, slots=True)
class Rule:
    """cost = factor * (sample - the medians of `minus`). samples: the name of the measurement."""

    cost: str
    samples: str
    minus: tuple[str, ...] = ()
    factor: float = 1.0


#: A cost that several rules give is taken from the first one that has samples.
RULES = (
    Rule("guest.zone_lock_uncontended", "lock"),
    Rule("guest.zone_lock_handoff", "lock_contended", ("lock",)),
    Rule("guest.scan_free_list_entry", "list_step"),
    Rule("guest.scan_bitmap_page", "bitmap_page"),
    Rule("guest.fault_path_4k", "touch_4k", ("clear_4k",)),
    Rule("guest.rcu_batch_free_4k", "unmap_page"),
    Rule("mem.clear_4k", "clear_4k"),
    Rule("mem.clear_2m", "clear_2m"),
    Rule("mem.copy_4k", "copy_4k"),
    Rule("mem.stream_1t_gib_s", "stream_gib_s"),
    Rule("sched.syscall", "syscall"),
    Rule("sched.context_switch", "futex_one_cpu", factor=0.5),
    Rule("sched.wakeup_same_cpu", "event_one_cpu", factor=0.5),
    Rule("sched.wakeup_idle_cpu", "event_two_cpus", factor=0.5),
    Rule("virt.vm_exit_entry", "kvm_exit"),
    Rule("virt.vm_exit_entry", "trap"),
    Rule("virt.hypercall", "kvm_hypercall"),
    Rule("virt.exit_to_user", "kvm_exit_to_user"),
    Rule("virt.kick_total", "kvm_kick"),
    Rule("virt.ioeventfd_signal", "event_write"),
    Rule("virt.vmm_wakeup", "poll_two_cpus", factor=0.5),
    Rule("virt.busy_poll_pickup", "flag_two_cpus", factor=0.5),
    Rule("host.madvise_call_empty", "advise_none"),
    Rule("host.madvise_zap_4k_single", "advise_1"),
    # A call of n small pages is that of one page and n - 1 entries more, one of a huge page the empty call and its entry.
    Rule("host.zap_4k_bulk", "advise_512", ("advise_1",), 1 / 511),
    Rule("host.zap_2m_thp", "advise_huge", ("advise_none",)),
    Rule("host.thp_split_pmd", "advise_in_huge"),
    Rule("host.madvise_free_4k", "advise_free_512", ("advise_none",), 1 / 512),
    Rule("host.mmu_notifier_range", "kvm_advise_1", ("advise_1",)),
    Rule("host.tlb_shootdown_base", "advise_1_peer", ("advise_1",)),
    Rule("host.tlb_shootdown_per_cpu", "advise_1_per_peer"),
    Rule("fault.gup_path_4k", "kvm_unmapped", ("kvm_host_mapped", "clear_4k")),
    Rule("fault.tdp_map", "kvm_host_mapped", ("kvm_exit",)),
    Rule("fault.ept_4k_total", "kvm_unmapped"),
    Rule("fault.ept_4k_total", "fresh_4k"),
    Rule("fault.ept_2m_total", "kvm_unmapped_2m"),
    Rule("fault.ept_2m_total", "fresh_2m"),
    Rule("fault.thp_alloc", "touch_2m", ("clear_2m",)),
    Rule("fault.read_zero_page", "read_4k"),
    Rule("fault.uffd_missing", "missing_one_cpu"),
    Rule("fault.collapse_2m", "collapse"),
    *(Rule(f"dev.{device}.{cost}", samples) for device, costs in {
        "nvme": {"read": "device_read", "read_p99": "device_read_p99", "write": "device_write",
                 "read_mib_s": "device_read_mib_s", "write_mib_s": "device_write_mib_s"},
        "sata": {"read": "device_read", "read_p99": "device_read_p99", "write": "device_write",
                 "read_mib_s": "device_read_mib_s"},
        "hdd": {"random": "device_read", "seq_mib_s": "device_read_mib_s"},
    }.items() for cost, samples in ((f"{name}", f"{device}:{which}") for name, which in costs.items())),
)


@dataclass(frozen=True, slots=True)
class Sanity:
    """A relation that must hold: low * factor < high, both medians of samples; else `costs` are unreliable."""

    low: str
    high: str
    factor: float
    costs: tuple[str, ...]
    text: str


SANITY = (
    Sanity("clear_4k", "touch_4k", 1, ("mem.clear_4k", "guest.fault_path_4k"),
           "clearing a page takes longer than its first touch"),
    Sanity("advise_huge", "advise_512", 1, ("host.zap_2m_thp", "host.zap_4k_bulk"),
           "giving back a huge page takes longer than 512 small ones"),
)

#: A guest's write to a page that both levels map, ns; more means that KVM emulates, or is nested without help.
KVM_MAPPED_LIMIT_NS = 150.0
