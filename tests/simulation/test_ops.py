"""What each row of an op array does to the guest's memory and to the host's."""

import numpy as np
import pytest

import hinting as h
from hinting.workloads.memhog import MARK_DONE, MARK_HELD
from tests.simulation.harness import PAGE, launch, play, total_pages

PAGES = 4096
#: A process's kernel stack and its first page tables.
KERNEL_PAGES = 8
PROCESS = [("SPAWN", {"proc": 1}), ("MMAP", {"proc": 1, "a": PAGES})]


def free_at_start(**guest):
    return total_pages(h.Guest("1GiB", **guest))


@pytest.mark.parametrize("thp", ["always", "never"])
@pytest.mark.parametrize("kernel", h.kernels.names())
def test_touched_pages_are_used_until_the_process_ends(kernel, thp):
    vm = play(*PROCESS, ("TOUCH", {"proc": 1, "b": PAGES}), kernel=kernel, thp=thp)
    start = free_at_start(kernel=kernel, thp=thp)
    used = start - total_pages(vm.guest)
    assert PAGES <= used <= PAGES + PAGES // 256
    counts = vm.counts()
    assert counts["touched_pages"] == PAGES
    assert counts["thp_faults"] == (PAGES // 512 if thp == "always" else 0)
    assert counts["held_frames"] >= PAGES
    gone = play(*PROCESS, ("TOUCH", {"proc": 1, "b": PAGES}), ("EXIT", {"proc": 1}), kernel=kernel, thp=thp)
    assert total_pages(gone.guest) == start


def test_mapped_memory_costs_nothing_until_touched():
    vm = play(*PROCESS)
    assert vm.counts()["touched_pages"] == 0
    assert total_pages(vm.guest) == free_at_start() - KERNEL_PAGES


def test_pages_are_touched_once():
    twice = play(*PROCESS, *[("TOUCH", {"proc": 1, "a": 5, "b": 700})] * 2, thp="never")
    assert twice.counts()["touched_pages"] == 700


def test_unmapped_pages_go_back_and_fault_again():
    rows = [*PROCESS, ("TOUCH", {"proc": 1, "b": PAGES}), ("UNMAP", {"proc": 1, "a": 1024, "b": 1024})]
    assert total_pages(play(*rows, thp="never").guest) - total_pages(play(*rows[:-1], thp="never").guest) == 1024
    again = play(*rows, ("TOUCH", {"proc": 1, "a": 1024, "b": 1024}), thp="never")
    assert again.counts()["touched_pages"] == PAGES + 1024


def test_a_mapping_without_huge_pages():
    rows = [("SPAWN", {"proc": 1}), ("MMAP", {"proc": 1, "a": PAGES, "flags": h.workloads.NO_THP})]
    vm = play(*rows, ("TOUCH", {"proc": 1, "b": PAGES}), thp="always")
    assert vm.counts()["thp_faults"] == 0
    assert vm.counts()["touched_pages"] == PAGES


def test_several_mappings_and_processes():
    rows = []
    for process in range(3):
        rows += [("SPAWN", {"proc": process})]
        for region in range(3):
            rows += [
                ("MMAP", {"proc": process, "region": region, "a": 600}),
                ("TOUCH", {"proc": process, "region": region, "a": 10, "b": 100}),
            ]
    vm = play(*rows, thp="never")
    assert vm.counts()["touched_pages"] == 900
    vm = play(*rows, *(("EXIT", {"proc": process}) for process in (1, 0, 2)), thp="never")
    assert total_pages(vm.guest) == free_at_start(thp="never")


@pytest.mark.parametrize("kind", sorted(h.workloads.KINDS))
@pytest.mark.parametrize("order", [0, 3, 10])
def test_kernel_blocks(kind, order):
    flags = h.workloads.KINDS[kind]
    taken = play(("ALLOC", {"proc": 3, "order": order, "b": 7, "flags": flags}))
    assert free_at_start() - total_pages(taken.guest) == 7 << order
    some = play(("ALLOC", {"proc": 3, "order": order, "b": 7, "flags": flags}), ("FREE", {"proc": 3, "b": 2}))
    assert free_at_start() - total_pages(some.guest) == 5 << order
    none = play(("ALLOC", {"proc": 3, "order": order, "b": 7, "flags": flags}), ("FREE", {"proc": 3}))
    assert free_at_start() == total_pages(none.guest)
    assert taken.counts()["failed_allocations"] == 0


def test_freeing_more_than_there_is_frees_all():
    vm = play(("FREE", {"proc": 9, "b": 5}), ("ALLOC", {"proc": 9, "b": 3}), ("FREE", {"proc": 9, "b": 50}))
    assert total_pages(vm.guest) == free_at_start()


def test_reserved_memory_is_backed_by_the_host():
    none, some = play(("NOP", {})), play(("BACK", {"a": 4096, "b": 2048}))
    assert some.counts()["held_frames"] - none.counts()["held_frames"] >= 2048
    assert total_pages(some.guest) == total_pages(none.guest)


def test_marks_note_what_host_and_guest_use():
    vm = play(("MARK", {"a": 4}), *PROCESS, ("TOUCH", {"proc": 1, "b": PAGES}), ("MARK", {"a": 9}), ("MARK", {"a": 4}))
    assert [mark.number for mark in vm.marks()] == [4, 9, 4]
    before, after, again = vm.marks()
    assert after.t_ns > before.t_ns
    assert again.t_ns == after.t_ns
    assert after.held_bytes - before.held_bytes == after.host_used_bytes - before.host_used_bytes >= PAGES * PAGE


def test_two_vcpus_work_at_the_same_time():
    sim, vm = launch(h.workloads.program(("COMPUTE", {"a": 5_000_000}), ("MARK", {"a": 0})), vcpus=2)
    vm.submit(h.workloads.program(("COMPUTE", {"a": 5_000_000}), ("MARK", {"a": 1})), vcpu=1)
    sim.run()
    assert sorted((mark.number, mark.t_ns) for mark in vm.marks()) == [(0, 5_000_000), (1, 5_000_000)]


@pytest.mark.parametrize("vcpus", [1, 2, 4])
def test_a_process_on_every_vcpu(vcpus):
    sim, vm = launch(None, vcpus=vcpus, thp="never", strategy=h.strategies.V8(entries=128))
    start = total_pages(vm.guest)
    for vcpu in range(vcpus):
        vm.submit(h.workloads.memhog("32MiB", process=vcpu, repeat=2, gap="1ms"), vcpu=vcpu)
    sim.run()
    sim.check()
    assert vm.counts()["touched_pages"] == vcpus * 2 * 8192
    assert vm.counts()["reports"] >= vcpus
    assert total_pages(vm.guest) == start
    assert len(vm.marks()) == vcpus * 2 * 3


def test_rows_appended_in_parts_are_one_program():
    rows = h.workloads.memhog("16MiB", hold="1ms")
    sim, vm = launch(rows)
    sim.run()
    other, parts = launch(None)
    for row in range(len(rows)):
        parts.submit(rows[row : row + 1])
        other.run()
    assert [mark.number for mark in parts.marks()] == [mark.number for mark in vm.marks()]
    assert parts.counts() == vm.counts()
    assert np.array_equal(parts.guest.buddyinfo(), vm.guest.buddyinfo())


def test_memhog_repeats_and_holds():
    sim, vm = launch(h.workloads.memhog("16MiB", hold="3s", repeat=4, gap="2s"))
    sim.run()
    held = [mark for mark in vm.marks() if mark.number == MARK_HELD]
    done = [mark for mark in vm.marks() if mark.number == MARK_DONE]
    assert len(held) == len(done) == 4
    assert all(late.t_ns - early.t_ns >= 3_000_000_000 for early, late in zip(held, done, strict=True))
    assert done[-1].t_ns == pytest.approx((4 * 3 + 3 * 2) * 1e9, rel=0.02)
    sim.check()
