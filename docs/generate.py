"""What follows from the code: reference pages of commands, scenario files and the C interface; docstrings as reStructuredText."""

from __future__ import annotations

import re
import textwrap
import typing
from collections.abc import Iterable
from pathlib import Path

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from hinting.cli import app
from hinting.scenarios import Scenario
from hinting.scenarios import tables as scenario_tables

CORE = Path(__file__).parents[1] / "src" / "_core"
#: Tables of a scenario file, by where they stand in it.
TABLES = {
    "top level": Scenario,
    "[host]": scenario_tables.HostTable,
    "[host.policy]": scenario_tables.PolicyTable,
    "[[guests]]": scenario_tables.GuestsTable,
    "[guests.fleet]": scenario_tables.FleetTable,
    "[[guests.workloads]]": scenario_tables.WorkloadTable,
    "[schedule]": scenario_tables.ScheduleTable,
    "strategy, [[strategy]]": scenario_tables.StrategyTable,
    "[metrics]": scenario_tables.MetricsTable,
    "[costs]": scenario_tables.CostsTable,
}


def write(folder: Path) -> None:
    """Write all pages that differ from what is there."""
    folder.mkdir(exist_ok=True)
    for name, text in {"commands": commands(), "scenario-files": scenario_files(), "c-interface": c_interface()}.items():
        page = folder / f"{name}.md"
        if not page.exists() or page.read_text() != text:
            page.write_text(text)


def _cell(text: object) -> str:
    """Text for a cell of a Markdown table."""
    return re.sub(r"([|<>\[\]*_])", r"\\\1", " ".join(str(text).split()))


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head)]
    lines += [["---"] * len(lines[0]), *map(list, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def commands() -> str:
    """The command line, from typer."""
    root = typer.main.get_command(app)
    parts = ["# Commands\n", "What `hinting COMMAND --help` says. Exit status: 0 good, 1 the run says no, 2 bad input, with one "
             "line that says what was expected.\n"]
    for name, command in root.commands.items():
        context = typer.Context(command, info_name=name)
        usage = " ".join(["hinting", name, *command.collect_usage_pieces(context)])
        parts.append(f"## hinting {name}\n\n{_prose(command.help or '')}\n\n```text\n{usage}\n```\n")
        records = [parameter.get_help_record(context) for parameter in command.params]
        rows = [[f"`{record[0]}`".replace("|", "\\|"), _cell(record[1])] for record in records if record]
        if rows:
            parts.append(_table(("argument or option", "what it does"), rows))
    return "\n".join(parts)


def _prose(text: str) -> str:
    return re.sub(r"([<>\[\]*_])", r"\\\1", text)


def _type(annotation: object) -> str:
    """A field's type in words."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is typing.Any:
        return "text or number"
    if origin is typing.Literal:
        return ", ".join(f'"{value}"' for value in arguments)
    if origin is tuple:
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return "table"
    if arguments:
        return " or ".join(_type(one) for one in arguments if one is not type(None))
    return {"str": "text", "int": "whole number", "float": "number", "bool": "true or false"}.get(
        getattr(annotation, "__name__", ""), "table"
    )


def _default(field: FieldInfo) -> str:
    """A field's default as a cell."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, tuple):
        value = ", ".join(getattr(one, "label", str(one)) for one in value)
    if value in ("", {}, None) or isinstance(value, BaseModel):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def scenario_files() -> str:
    """Keys of a scenario file, from the pydantic models."""
    parts = ["# Scenario files\n", "Every key of a scenario file, from the models that check it. "
             "[Scenarios](../scenarios.md) explains them by examples.\n"]
    for name, model in TABLES.items():
        parts.append(f"## {name}\n")
        parts += [_prose(" ".join(part.split())) + "\n" for part in (model.__doc__ or "").split("\n\n") if ">>>" not in part]
        rows = []
        for key, field in model.model_fields.items():
            rows.append([f"`{key}`", _cell(_type(field.annotation)), _default(field)])
        parts.append(_table(("key", "type", "default"), rows))
    return "\n".join(parts)


def c_interface() -> str:
    """Declarations for other Cython code."""
    about = (
        "The `.pxd` files of `hinting._core` are installed with the package: `cimport hinting._core.api`, and compile with "
        "`include_path=[hinting.get_include()]`. `api.pxd` is the stable one, for strategies; the others are the cores "
        "themselves and may change."
    )
    declarations = f"```cython\n{(CORE / 'api.pxd').read_text()}```"
    parts = [f"# C interface\n\n{about}\n\n## The interface for strategies\n\n{declarations}\n\n## All declarations\n"]
    rows = []
    for file in sorted(CORE.rglob("*.pxd")):
        found = re.match(r'"""(.*?)(?:\n\n|""")', file.read_text(), re.DOTALL)
        if found:
            module = ".".join(("hinting._core", *file.relative_to(CORE).with_suffix("").parts))
            rows.append([f"`{module}`", _cell(found[1])])
    return "\n".join([*parts, _table(("module", "what it declares"), rows)])


def as_rst(lines: list[str]) -> None:
    """Make reStructuredText of a docstring of ours, in place: paragraphs of plain text with `code`, and doctests."""
    text = "\n".join(lines)
    parts = []
    for paragraph in re.split(r"\n\s*\n", text.strip("\n")):
        if paragraph.lstrip().startswith(">>>"):
            parts.append(textwrap.dedent(paragraph))
        else:
            words = re.split(r"(`+[^`]+`+)", " ".join(paragraph.split()))
            parts.append("".join(f"``{word.strip('`')}``" if i % 2 else re.sub(r"([*|\\_])", r"\\\1", word)
                                 for i, word in enumerate(words)))
    lines[:] = "\n\n".join([*parts, ""]).split("\n")

