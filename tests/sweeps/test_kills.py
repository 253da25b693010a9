"""kill -9 of the driver or a worker at any moment: the same command finishes, with no point lost and none there twice."""

import os
import random
import signal
import time

import pytest

from tests.sweeps import harness


def kill_at_random(tmp_path, kills, rng):
    """Sweeps with kills until there were enough; what each has come to."""
    file = harness.write(tmp_path)
    done, folders = {"driver": 0, "worker": 0}, []
    while sum(done.values()) < kills:
        out = tmp_path / f"out-{len(folders)}"
        folders.append(out)
        finished = False
        while not finished:
            driver = harness.drive(file, out)
            early = rng.random() < 0.2  # while it starts; else some time after its workers are there, however long that takes
            life = rng.uniform(0.3, 2.5)
            until = time.monotonic() + life if early else None
            while driver.poll() is None:
                time.sleep(rng.uniform(0.02, 0.25))
                workers = harness.children(driver.pid)
                enough = sum(done.values()) >= kills
                if until is None and workers:
                    until = time.monotonic() + life
                if until is not None and time.monotonic() > until and not enough:
                    driver.send_signal(signal.SIGKILL)
                    done["driver"] += driver.wait() == -signal.SIGKILL
                elif workers and not enough and rng.random() < 0.5:
                    with_luck = rng.choice(workers)
                    try:
                        os.kill(with_luck, signal.SIGKILL)
                        done["worker"] += 1
                    except ProcessLookupError:
                        pass
            _, errors = driver.communicate()
            finished = driver.returncode == 0
            assert b"Traceback" not in errors, errors.decode()
            assert finished or driver.returncode == -signal.SIGKILL, errors.decode()
    return done, folders


def check(tmp_path, finished, kills, seed):
    expected = harness.tables(finished[1])
    done, folders = kill_at_random(tmp_path, kills, random.Random(seed))
    assert sum(done.values()) >= kills
    assert min(done.values()) > 0
    for folder in folders:
        assert harness.tables(folder) == expected
        assert not list(folder.rglob(".writing-*"))
    return done


def test_killed_at_random(tmp_path, finished):
    check(tmp_path, finished, 24, 1)


@pytest.mark.slow
def test_killed_at_random_many_times(tmp_path, finished, capsys):
    done = check(tmp_path, finished, 200, 2)
    with capsys.disabled():
        print(f"\nkills survived: {done}")


def test_workers_end_with_the_driver(tmp_path):
    driver = harness.drive(harness.write(tmp_path), tmp_path / "out")
    while not harness.children(driver.pid):
        assert driver.poll() is None
        time.sleep(0.02)
    workers = harness.children(driver.pid)
    driver.kill()
    driver.communicate()
    until = time.monotonic() + 20
    while any(os.path.exists(f"/proc/{worker}") for worker in workers):
        assert time.monotonic() < until
        time.sleep(0.05)
