"""The code blocks of a page of the docs: files are written, commands and Python are run."""

from __future__ import annotations

import re
from pathlib import Path

from tests.conftest import ROOT


def blocks(page: str, language: str) -> list[tuple[int, str]]:
    """(number of lines before it, code) of each code block of a language in docs/<page>."""
    text = (ROOT / "docs" / page).read_text()
    return [
        (text[: found.start(1)].count("\n"), found[1])
        for found in re.finditer(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    ]


def write_files(page: str, language: str, folder: Path) -> None:
    """Write the blocks that begin with a comment `file: NAME`."""
    for _, code in blocks(page, language):
        name = re.match(r"# file: (\S+)\n", code)
        if name:
            (folder / name[1]).write_text(code)


def commands(page: str) -> list[str]:
    """The `hinting` commands of a page."""
    lines = [line for _, code in blocks(page, "console") for line in code.splitlines()]
    return [line[2:] for line in lines if line.startswith("$ hinting ")]


def run_python(page: str) -> dict[str, object]:
    """Run the Python blocks of a page in order, in one namespace."""
    names: dict[str, object] = {"__name__": "docs_example"}
    for line, code in blocks(page, "python"):
        exec(compile("\n" * line + code, str(ROOT / "docs" / page), "exec"), names)
    return names
