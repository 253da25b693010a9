"""Every example runs as a user runs it, in a process of its own, and is short enough to read."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT

EXAMPLE = ROOT / "examples" / "simpy_two_guests.py"


@pytest.fixture(scope="module")
def output():
    done = subprocess.run([sys.executable, str(EXAMPLE)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_it_prints_what_the_host_uses(output):
    rows = [line.split() for line in output if line.strip()]
    seconds = [float(row[0]) for row in rows]
    used = [float(row[2]) for row in rows]
    assert seconds == [float(second) for second in range(1, 41)]
    assert 0.9 < min(used) <= max(used) < 8
    assert max(used) > used[0] + 0.4


def test_it_is_short_and_documented():
    text = EXAMPLE.read_text()
    assert text.startswith('"""')
    assert text.count("\n") < 60
