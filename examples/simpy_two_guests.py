"""A SimPy process drives a host with two guests: SimPy's clock leads, the emulated host follows it.

pip install 'hinting[embed]'
python examples/simpy_two_guests.py
"""

import simpy

import hinting as h


def operator(env: simpy.Environment, sim: h.Simulation, vms: list[h.VM], log: list[tuple[float, float]]):
    """Hand a job to each guest in turn, and note every second what the host uses."""
    for second in range(40):
        if second in (10, 20):
            vms[second // 10 - 1].submit(h.workloads.memhog("1GiB"))
        yield env.timeout(1)
        sim.run(until=f"{env.now}s")
        log.append((env.now, sim.host.used_bytes() / 2**30))


def main() -> list[tuple[float, float]]:
    sim = h.Simulation(h.Host("8GiB"), seed=1)
    vms = [sim.launch(h.Guest("2GiB", strategy=h.strategies.V8(entries=240))) for _ in range(2)]
    env = simpy.Environment()
    log: list[tuple[float, float]] = []
    env.process(operator(env, sim, vms, log))
    env.run()
    sim.check()
    return log


if __name__ == "__main__":
    for now, used in main():
        print(f"{now:5.0f} s  {used:5.2f} GiB in use on the host")
