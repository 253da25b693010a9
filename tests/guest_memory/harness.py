"""One guest that does as it is told, row by row, and what is in its memory afterwards."""

import hinting as h
from hinting.workloads import program

MIB = 256  # pages


def launch(*rows, memory=None, host="8GiB", vcpus=1, kernel="linux-6.1", thp="never", strategy=None):
    """A simulation with one guest that has these rows on vCPU 0 and did not boot.

    It has 512 MiB, with huge pages 640 MiB: in less, a guest has none.
    """
    sim = h.Simulation(h.Host(host))
    memory = memory or ("512MiB" if thp == "never" else "640MiB")
    guest = h.Guest(memory, vcpus=vcpus, kernel=kernel, thp=thp, strategy=strategy)
    vm = sim.launch(guest, boot=False, workload=program(*rows) if rows else None)
    return sim, vm


def run(sim, vm, *rows, vcpu=0):
    """Let the guest do more rows to their end, and check everything."""
    vm.submit(program(*rows), vcpu=vcpu)
    assert vm.run_until_idle()
    sim.check()


def cache_rows(vm):
    """(file, index, flags) of the cached pages, in list order."""
    pages = vm.page_cache()
    return list(zip(pages["file"].tolist(), pages["index"].tolist(), pages["flags"].tolist(), strict=True))
