"""Small simulations that take milliseconds: guests of 640 MiB and 1 GiB, mostly without boot."""

import hinting as h

__all__ = ["PAGE", "launch", "play", "total_pages"]

PAGE = 4096


def launch(workload, *, memory="1GiB", host="4GiB", seed=1, boot=False, **guest):
    """(simulation, vm) of one guest with a workload on vCPU 0; nothing has run yet."""
    sim = h.Simulation(h.Host(host), seed=seed)
    return sim, sim.launch(h.Guest(memory, **guest), workload=workload, boot=boot)


def play(*rows, **options):
    """Run rows given as (name, {field: value}) to their end, check everything, and return the vm."""
    sim, vm = launch(h.workloads.program(*rows), **options)
    sim.run()
    sim.check()
    return vm


def total_pages(guest):
    """Free pages with those on per-CPU lists drained first."""
    guest.drain()
    return guest.free_pages()
