"""Every example of docs/snapshots.md runs."""

import re
import shlex

import hinting as h
from tests.conftest import ROOT
from tests.snapshots.test_commands import run

PAGE = ROOT / "docs" / "snapshots.md"
TEXT = PAGE.read_text()


def blocks(language):
    """(number of lines before it, code) of each code block of a language."""
    return [(TEXT[: found.start(1)].count("\n"), found[1])
            for found in re.finditer(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)]


def test_python_examples(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "docs_example"}
    found = blocks("python")
    assert len(found) == 5
    for line, code in found:
        exec(compile("\n" * line + code, str(PAGE), "exec"), names)
    shown = capsys.readouterr().out
    assert shown.startswith("half.npz: damaged or truncated: ")
    assert "Page block order: 9" in shown


def test_recordings_as_guests(tmp_path, monkeypatch):
    """The inline example and the commands, from a checkout's folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    inline = re.search(r"`(Guest\.from_snapshot\(\"tests/[^`]*)`", TEXT)[1]
    names = {}
    exec(f"from hinting import Guest\nguest = {inline}", names)
    commands = [line[2:] for _, code in blocks("console") for line in code.splitlines()]
    assert all(command.startswith("hinting ") for command in commands)
    (tmp_path / "buddyinfo").write_text(h.Guest("1GiB").buddyinfo_text())
    written, shown, buddyinfo, kept, fragmented = (run(*shlex.split(command)[1:]) for command in commands)
    assert "written: guest.npz" in written.stderr
    assert "strategy  v8" in shown.stdout
    assert buddyinfo.stdout == names["guest"].buddyinfo_text()
    assert "written: fragmented.npz" in kept.stderr
    assert fragmented.stdout == h.Guest("1GiB").buddyinfo_text()
