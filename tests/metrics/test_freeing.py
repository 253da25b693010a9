"""What freeing a block takes its vCPU, by hand: per-CPU lists, direct frees, and the struct pages of large blocks."""

import pytest

import hinting as h
from hinting.strategies import Balloon
from hinting.workloads import KINDS, program
from tests.metrics.harness import cost, direct_free_ns


def launched(*rows, **guest):
    sim = h.Simulation(h.Host("4GiB", fragmentation=0.0))
    vm = sim.launch(h.Guest("640MiB", kernel="linux-6.1", **guest), boot=False)
    vm.submit(program(*rows))
    sim.run()
    return sim, vm


@pytest.mark.parametrize("order", range(11))
def test_a_block_freed(order):
    ns = cost("guest.pcp_free_hit") if order <= 3 else direct_free_ns(order)
    _, vm = launched(
        ("ALLOC", {"proc": 0, "flags": KINDS["kernel"], "order": order, "b": 1}),
        ("MARK", {"a": 1}), ("FREE", {"proc": 0}), ("MARK", {"a": 2}),
    )  # fmt: skip
    begin, end = (mark.t_ns for mark in vm.marks())
    assert end - begin == pytest.approx(ns, abs=1)


def test_a_balloon_of_huge_blocks_prepares_and_checks_their_struct_pages():
    _, vm = launched(("RESIZE", {"a": 8 * 512}), ("SLEEP", {"a": 10**9}), ("RESIZE", {"a": 0}), ("SLEEP", {"a": 10**9}),
                     strategy=Balloon(order=9))  # fmt: skip
    work = vm.guest.strategy_core.work
    assert work["allocated_blocks"] == work["freed_blocks"] == 8
    assert work["struct_pages"] == 2 * 8 * 512
    assert work["allocated"] == work["freed"] == 0


def test_a_balloon_of_single_pages_has_no_such_work():
    _, vm = launched(("RESIZE", {"a": 300}), ("SLEEP", {"a": 10**9}), ("RESIZE", {"a": 0}), ("SLEEP", {"a": 10**9}),
                     strategy=Balloon())  # fmt: skip
    work = vm.guest.strategy_core.work
    assert work["allocated"] == work["freed"] == 300
    assert work["allocated_blocks"] == work["freed_blocks"] == work["struct_pages"] == 0


def test_a_deflated_page_costs_the_vmm_neither_notifier_nor_discard():
    """The VMM's time, ns, for a request of 256 untouched pages, in and out."""
    vmm = []
    for rows in ((("RESIZE", {"a": 256}),), (("RESIZE", {"a": 256}), ("SLEEP", {"a": 10**9}), ("RESIZE", {"a": 0}))):
        _, vm = launched(*rows, ("SLEEP", {"a": 10**9}), strategy=Balloon())
        vmm.append(vm.accounts()["vmm"])
    fixed = cost("virt.vq_pop_element", "virt.vq_push_notify", "virt.vq_map_sg")
    inflate = vmm[0]
    deflate = vmm[1] - vmm[0]
    assert inflate - deflate == pytest.approx(256 * cost("host.mmu_notifier_range"), rel=1e-6)
    work = cost("host.balloon_pfn_overhead", "host.madvise_call_empty") - cost("host.mmu_notifier_range")
    assert deflate == pytest.approx(256 * work + fixed, rel=0.05)
