"""Importing the package loads nothing heavy and prints nothing."""

import subprocess
import sys

import pytest

HEAVY = ("numba", "matplotlib", "dask", "distributed", "simpy", "duckdb", "pandas", "altair", "vl_convert", "optuna", "typer",
         "hypothesis")


def modules_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return {name.partition(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize(
    "code",
    [
        "import hinting",
        "import hinting as h\nh.Guest('1GiB', strategy='v8').alloc()",
        "import hinting as h\nsim = h.Simulation(h.Host('4GiB'))\nsim.launch(h.Guest('1GiB'), boot=False)\nsim.run()",
        "import hinting.recordings",
        "import hinting.experiments",
    ],
)
def test_nothing_heavy_is_imported(code):
    assert modules_after(code).isdisjoint(HEAVY)


def test_the_command_line_draws_only_when_asked():
    code = "from contextlib import suppress\nimport sys\nsys.argv = ['hinting', 'kernels']\nfrom hinting.cli import main\n"
    code += "with suppress(SystemExit):\n    main()"
    assert modules_after(code).isdisjoint({"numba", "matplotlib", "altair", "vl_convert", "dask", "simpy", "pandas"})


def test_version_is_the_distributions():
    from importlib.metadata import version

    import hinting

    assert hinting.__version__ == version("hinting")


def test_get_include_has_the_declarations():
    from pathlib import Path

    import hinting

    folder = Path(hinting.get_include())
    assert (folder / "hinting" / "_core" / "common.pxd").is_file()
