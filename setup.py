"""Extension modules: every .pyx below src/_core becomes hinting._core.*.

All other metadata is in pyproject.toml. Set HINTING_NATIVE=1 to compile for the CPU of this machine.
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

ROOT = Path(__file__).resolve().parent
CORE = Path("src/hinting/_core")  # a symbolic link to src/_core, so that Cython finds the .pxd files by qualified name

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "initializedcheck": False,
    "cdivision": True,
    "embedsignature": True,
    "freethreading_compatible": False,
}


def extensions() -> list[Extension]:
    native = ["-march=native"] if os.environ.get("HINTING_NATIVE") == "1" else []
    names = sorted(p.relative_to(ROOT / CORE) for p in (ROOT / CORE).rglob("*.pyx"))
    return [
        Extension(
            ".".join(("hinting._core", *name.with_suffix("").parts)),
            [str(CORE / name)],
            extra_compile_args=["-O3", "-fno-strict-aliasing", "-Wno-unused-function", *native],
        )
        for name in names
    ]


setup(
    ext_modules=cythonize(
        extensions(),
        include_path=["src"],
        compiler_directives=DIRECTIVES,
        build_dir="build/cython",
        nthreads=os.cpu_count() or 1,
    ),
)
