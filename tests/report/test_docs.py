"""Every example of docs/report.md runs."""

import shlex

from tests import docs_examples
from tests.strategies.harness import hinting_command


def test_commands(tmp_path):
    commands = docs_examples.commands("report.md")
    assert len(commands) == 5
    for command in commands:
        done = hinting_command(*shlex.split(command)[1:], cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "three" / "report-figures" / "return-against-cost.svg").is_file()
    assert (tmp_path / "out" / "map" / "report-figures" / "memory-map.png").is_file()
    assert (tmp_path / "out" / "three.html").read_bytes() == (tmp_path / "out" / "three" / "report.html").read_bytes()
