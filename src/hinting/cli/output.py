"""Where output goes: results to standard output, everything else to standard error."""

from __future__ import annotations

import json
import sys
from typing import Any, NoReturn

from rich.console import Console

__all__ = ["fail", "print_json", "result_console", "status_console"]


def status_console() -> Console:
    """For progress and notes: standard error."""
    return Console(stderr=True, highlight=False)


def result_console() -> Console:
    """For tables: standard output, wide enough when it is no terminal."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=140)


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    json.dump(value, sys.stdout, indent=2)
    sys.stdout.write("\n")


def fail(message: str) -> NoReturn:
    """One line of error, exit status 2."""
    print(f"hinting: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)
