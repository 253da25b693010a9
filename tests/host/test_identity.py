"""The accounting identity holds after every event: each slice of each vCPU, VMM and kernel thread, each death."""

import hinting as h
from hinting import workloads


def mixed(khugepaged, oom_reap, swap):
    """Guests of every kind of RAM on a host that is too small for them, with other guests that come and go."""
    host = h.Host("1800MiB", base="200MiB", swap=swap, khugepaged=khugepaged, oom_reap=oom_reap, hugepages="448MiB",
                  fragmentation_growth=0.5)
    sim = h.Simulation(host, seed=2)
    busy = workloads.memhog("250MiB", repeat=3, gap="2s")
    for options in (
        {"backing": "hugetlb-2M"},
        {"backing": "memfd", "limits": h.Limits(max="350MiB", swap_max="200MiB" if swap else None)},
        {"prealloc": True},
        {},
        {"locked": True},
    ):
        memory = "448MiB" if options.get("backing") == "hugetlb-2M" else "512MiB"
        program = workloads.memhog("20MiB", repeat=4, gap="1s") if memory == "448MiB" else busy
        guest = h.Guest(memory, strategy="page-reporting-6.1", kernel="linux-6.1")
        try:
            sim.launch(guest, workload=program, **options)
        except h.errors.HostError:
            assert options.get("locked")  # no memory left to lock
        sim.run(until=sim.now_ns + 1_000_000_000)
    return sim


def identity(sim):
    memory = sim.host.memory
    page, _, free, _ = memory.pool
    guests = sum(b.held_frames + b.swap_cache_frames + b.vmm_frames + sum(b.table_frames) for b in memory.guests)
    held = sum(b.rss_pages + b.deferred[1] for b in memory.guests)
    assert held == sum(b.held_frames for b in memory.guests)
    assert memory.frames_total == memory.frames_free + memory.base_frames + memory.page_cache_frames + page * free + guests
    assert memory.swap[1] == sum(b.swap_slots for b in memory.guests)
    return sum(b.swap_cache_frames for b in memory.guests)


def run(khugepaged, oom_reap, swap):
    sim = mixed(khugepaged, oom_reap, swap)
    most_cached = dying = 0
    for i in range(6_000):
        if not sim.step():
            break
        most_cached = max(most_cached, identity(sim))
        dying = max(dying, sim.host.memory.dying)
        if i % 200 == 0:
            sim.check()
    sim.check()
    return sim, most_cached, dying


def test_with_swap_and_khugepaged():
    sim, cached, _ = run(True, "50ms", "1GiB")
    assert cached > 0
    assert sim.host.vmstat()["pswpout"] > 0


def test_with_kills():
    sim, _, dying = run(False, "50ms", 0)
    assert dying > 0
    assert sim.engine.oom_kills > 0
