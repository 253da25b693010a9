"""A worker process: `python -m hinting.sweeps.worker FD PARENT` takes tasks from a socket and sends each point as it ends."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection

__all__ = ["main"]


def _end_with(parent: int) -> None:
    """End at once when the driver has ended, whatever the task does."""
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)


def _free() -> None:
    """Free the guests of a point, which refer to each other: much memory in few objects, which Python would keep for long."""
    gc.collect()
    if not gc.get_freeze_count():
        gc.freeze()  # all modules are there by now, and need not be looked at again


def _send(connection: Connection, answer: object) -> None:
    """Send an answer; end if nobody is there any more to read it."""
    try:
        connection.send(answer)
    except (BrokenPipeError, ConnectionResetError):
        os._exit(1)


def main() -> None:
    """Solve tasks until the driver closes the socket or ends. Ctrl-C is for the driver."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(int(sys.argv[2]),), daemon=True).start()
    connection = Connection(int(sys.argv[1]))
    import pyarrow as pa

    from hinting.sweeps.solve import solve

    pa.set_cpu_count(1)
    while True:
        try:
            task = connection.recv()
        except (EOFError, OSError):
            return
        try:
            _send(connection, None)  # the first point begins
            for outcome in solve(task):
                _send(connection, outcome)
                _free()
        except Exception as error:
            _send(connection, error)


if __name__ == "__main__":
    main()
