"""What must not take the interpreter down or hang it: each in a process of its own."""

import subprocess
import sys
import textwrap


def outcome(code: str) -> str:
    """What the code prints; "crashed" or "hangs" if it does."""
    start = "import hinting as h\nfrom hinting.workloads import program\n"
    try:
        done = subprocess.run(
            [sys.executable, "-c", start + textwrap.dedent(code)], capture_output=True, text=True, timeout=20
        )
    except subprocess.TimeoutExpired:
        return "hangs"
    return "crashed" if done.returncode < 0 else done.stdout.strip() or done.stderr


def test_one_process_number_on_two_vcpus():
    """Refused, or the processes are two: never one that the other vCPU pulls away."""
    out = outcome("""
        sim = h.Simulation(h.Host("4GiB"))
        rows = [("SPAWN", {}), ("MMAP", {"a": 50000}), ("TOUCH", {"b": 50000}), ("EXIT", {})]
        vm = sim.launch(h.Guest("1GiB", vcpus=2), boot=False, workload=program(*rows))
        try:
            vm.submit(program(("COMPUTE", {"a": 2000000}), ("SPAWN", {})), vcpu=1)
        except h.HintingError:
            pass
        sim.run()
        sim.check()
        print("fine")
    """)
    assert out == "fine"


def test_a_process_number_that_lives_is_not_begun_again_for_nothing():
    """SPAWN of a live process frees its memory, or is refused: the pages are not lost."""
    out = outcome("""
        sim = h.Simulation(h.Host("4GiB"))
        guest = h.Guest("1GiB")
        start = guest.free_pages()
        rows = [("SPAWN", {}), ("MMAP", {"a": 5000}), ("TOUCH", {"b": 5000})]
        try:
            sim.launch(guest, boot=False, workload=program(*rows, *rows, ("EXIT", {})))
        except h.HintingError:
            print("fine")
        else:
            sim.run()
            guest.drain()
            print("fine" if guest.free_pages() == start else f"{start - guest.free_pages()} pages are lost")
    """)
    assert out == "fine"


def test_a_run_ends_although_a_timer_ticks():
    """`idle_flush` ticks for ever: a run without `until` still ends when nobody has anything to do."""
    out = outcome("""
        sim = h.Simulation(h.Host("4GiB"))
        guest = h.Guest("1GiB", strategy=h.strategies.V8(idle_flush="500ms"))
        vm = sim.launch(guest, boot=False, workload=h.workloads.memhog("64MiB"))
        sim.run()
        print("fine" if vm.is_idle else "not idle")
    """)
    assert out == "fine"


def test_a_sleep_beyond_the_end_of_time():
    """A sleep of nearly 2^63 ns is refused or very long: it does not end at once."""
    out = outcome("""
        sim = h.Simulation(h.Host("4GiB"))
        rows = program(("SLEEP", {"a": 5}), ("SLEEP", {"a": 2**63 - 1}), ("MARK", {"a": 1}))
        try:
            vm = sim.launch(h.Guest("1GiB"), boot=False, workload=rows)
        except h.HintingError:
            print("fine")
        else:
            sim.run(until="10s")
            print("fine" if vm.marks() == [] else f"woke up at {vm.marks()[0].t_ns} ns")
    """)
    assert out == "fine"
