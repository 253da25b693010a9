"""The command line: `hinting COMMAND`. Commands hold no logic of their own.

Exit status: 0 good, 1 the run says no, 2 bad input with one line that says what is wrong.
"""

from __future__ import annotations

import sys
from typing import Any

import typer

from hinting.cli import calibrate, compare, listing, query, repeat, replay, report, reproduce, run, snapshot, sweep, tune
from hinting.cli.output import fail
from hinting.errors import HintingError

__all__ = ["app", "main"]

app = typer.Typer(
    name="hinting",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A high-fidelity emulator of guest free page hinting.",
)
app.command("run")(run.run)
app.command("compare")(compare.compare)
app.command("report")(report.report)
app.command("repeat")(repeat.repeat)
app.command("sweep")(sweep.sweep)
app.command("tune")(tune.tune)
app.command("query")(query.query)
app.command("replay")(replay.replay)
app.command("calibrate")(calibrate.calibrate)
app.command("reproduce")(reproduce.reproduce)
app.command("snapshot")(snapshot.snapshot)
app.command("show")(snapshot.show)
app.command("strategies")(listing.strategies)
app.command("policies")(listing.policies)
app.command("scenarios")(listing.scenarios)
app.command("workloads")(listing.workloads)
app.command("kernels")(listing.kernels)
app.command("metrics")(listing.metrics)


#: Wrong options or arguments: the base of the one such error that typer makes public.
_UsageError: Any = typer.BadParameter.__base__


def _version(value: bool) -> None:
    if value:
        import hinting

        print(hinting.__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version and exit."),
) -> None:
    pass


def main() -> None:
    """Entry point of the `hinting` command."""
    try:
        sys.exit(app(standalone_mode=False))
    except HintingError as error:
        fail(str(error))
    except _UsageError as error:
        if len(sys.argv) == 1:
            error.show()
            sys.exit(2)
        fail(error.format_message())
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
