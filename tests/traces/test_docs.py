"""Every example of docs/traces.md runs on the small traces, and it names all formats."""

import shlex

import hinting.traces
from tests import docs_examples
from tests.conftest import DATA, ROOT
from tests.strategies.harness import hinting_command

PAGE = "traces.md"


def test_the_scenarios_run(tmp_path):
    docs_examples.write_files(PAGE, "toml", tmp_path)
    (tmp_path / "google-2019.csv").write_bytes((DATA / "traces" / "google-2019.csv").read_bytes())
    for command in docs_examples.commands(PAGE)[:2]:
        done = hinting_command(*shlex.split(command)[1:], cwd=tmp_path)
        assert done.returncode == 0, done.stderr


def test_python(monkeypatch):
    monkeypatch.chdir(DATA / "traces")
    names = docs_examples.run_python(PAGE)
    assert names["trace"].names == ("380/0", "380/1")


def test_formats_are_all_there():
    text = (ROOT / "docs" / PAGE).read_text()
    for name in hinting.traces.FORMATS:
        stem, _, last = name.rpartition("-")
        assert f"`{name}`" in text or (f"`{stem}-" in text and f"`-{last}`" in text)
