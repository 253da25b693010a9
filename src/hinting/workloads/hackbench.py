"""Many small messages between tasks: kernel memory that comes and goes, with little net footprint."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from hinting._core.engine.ops import KINDS
from hinting.units import PAGE_BYTES
from hinting.workloads.memhog import MARK_DONE, MARK_START
from hinting.workloads.registry import SEED, workload
from hinting.workloads.rows import interleave, join, random, rows
from hinting.workloads.rules import Span, Whole

__all__ = ["hackbench"]

#: Kernel memory of one message besides its bytes: the socket buffer's head and what the slab rounds up.
MESSAGE_OVERHEAD = 768
#: Share of the messages' memory in slab blocks of order 0, 1, 2, 3.
ORDER_SHARES = (0.25, 0.15, 0.2, 0.4)
#: Pages of a task's own memory, and the order of its kernel stack.
TASK_PAGES, STACK_ORDER = 64, 2
#: Messages in flight lie in so many slots of a vCPU; each loop of a group empties one of them and fills it anew.
SLOTS = 8


@workload
def hackbench(
    groups: Annotated[int, Whole("groups of tasks", low=1, high=1000)] = 20,
    *,
    tasks: Annotated[int, Whole("senders of a group, and as many receivers", low=1, high=100)] = 20,
    size: Annotated[int, Whole("bytes of a message", low=1, high=65536)] = 100,
    loops: Annotated[int, Whole("messages from each sender to each receiver", low=1, high=10**6)] = 100,
    message_time: Annotated[int, Span("CPU time of one message")] = 3_000,
    threads: Annotated[int, Whole("vCPUs that share the groups", low=1, high=256, of_guest="vcpus")] = 1,
    seed: Annotated[int, SEED] = 0,
) -> list[np.ndarray]:
    """Groups of senders and receivers exchange small messages: slab blocks of order 0 to 3 come and go.

    Source: hackbench, the scheduler benchmark of the hinting reports.
    """
    rng = random(seed)
    shares = [len(range(thread, groups, threads)) for thread in range(threads)]
    return [_thread(thread, n, tasks, size, loops, message_time, rng) for thread, n in enumerate(shares)]


def message_pages(tasks: int, size: int) -> int:
    """Pages of the messages that one loop of a group has in flight."""
    return tasks * tasks * (size + MESSAGE_OVERHEAD) // PAGE_BYTES + 1


def _thread(
    thread: int, groups: int, tasks: int, size: int, loops: int, message_time: int, rng: np.random.Generator
) -> np.ndarray:
    """All groups of one vCPU: their tasks start, every loop of a group fills one slot anew, and all end."""
    stacks = thread * (1 + SLOTS)
    members, turns = 2 * tasks * groups, loops * groups
    slot = stacks + 1 + rng.integers(0, SLOTS, turns)
    blocks = [rows("FREE", turns, proc=slot)]
    for order, part in enumerate(ORDER_SHARES):
        least = int(message_pages(tasks, size) * part) >> order
        count = least + rng.integers(0, 2, turns)
        blocks.append(rows("ALLOC", turns, proc=slot, order=order, flags=KINDS["kernel"], b=count))
    blocks.append(rows("COMPUTE", turns, a=tasks * tasks * message_time))
    return join(
        rows("MARK", a=MARK_START),
        rows("ALLOC", proc=stacks, order=STACK_ORDER, flags=KINDS["kernel"], b=members),
        rows("SPAWN", proc=thread),
        rows("MMAP", proc=thread, a=max(1, members * TASK_PAGES)),
        rows("TOUCH", proc=thread, b=members * TASK_PAGES),
        interleave(*blocks),
        *(rows("FREE", proc=stacks + number) for number in range(1 + SLOTS)),
        rows("EXIT", proc=thread),
        rows("MARK", a=MARK_DONE),
    )
