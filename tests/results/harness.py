"""The command line as a user runs it."""

import subprocess

from tests.conftest import HINTING

__all__ = ["hinting"]


def hinting(*arguments, status=0, cwd=None):
    done = subprocess.run([HINTING, *map(str, arguments)], capture_output=True, text=True, timeout=120, cwd=cwd)
    assert done.returncode == status, done.stderr
    if status == 2:
        assert done.stdout == ""
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert done.stderr.startswith("hinting: ")
    return done
