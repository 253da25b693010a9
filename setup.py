"""Extension modules: every .pyx below src/_core becomes hinting._core.*.

All other metadata is in pyproject.toml. Set HINTING_NATIVE=1 to compile for the CPU of this machine.
"""

import os
import subprocess
import sys
from pathlib import Path

import Cython
from Cython.Build import cythonize
from Cython.Compiler.Errors import CompileError
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

CORE = Path("src/hinting/_core")  # a symbolic link to src/_core, so that Cython finds the .pxd files by qualified name
BUILD = Path("build")
BUILT_WITH = BUILD / "built-with.txt"  # newer than whatever was built with other settings

# -Wno-array-bounds: where Cython compares an object with None, gcc 12 inlines its fast path for bytes into that branch and
# warns that None is smaller than a bytes object; the path is never taken for None.
C_FLAGS = ["-O3", "-fno-strict-aliasing", "-Wno-unused-function", "-Wno-array-bounds"]
if os.environ.get("HINTING_NATIVE") == "1":
    C_FLAGS.append("-march=native")

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
    sources = sorted(CORE.rglob("*.pyx"))
    if not sources:
        sys.exit(f"hinting: no Cython sources in {CORE}: check out with symbolic links (git config core.symlinks true)")
    return [
        Extension(
            ".".join(("hinting._core", *source.relative_to(CORE).with_suffix("").parts)),
            [str(source)],
            extra_compile_args=C_FLAGS,
        )
        for source in sources
    ]


class BuildCores(build_ext):
    """Check the compiler first, translate all cores at once, compile in parallel."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()
        if self.inplace:  # a folder that stays, so that an editable install compiles only what changed
            self.build_lib = self.build_temp = str(BUILD / "inplace")

    def build_extensions(self) -> None:
        self.check_compiler()
        self.translate()
        super().build_extensions()

    def check_compiler(self) -> None:
        compiler = self.compiler.compiler_so
        includes = [f"-I{folder}" for folder in self.include_dirs]

        def compiles(code: str) -> bool:
            try:
                command = [*compiler, *includes, "-x", "c", "-fsyntax-only", "-"]
                return subprocess.run(command, input=code.encode(), capture_output=True).returncode == 0
            except OSError:
                return False

        if not compiles("int nothing;"):
            sys.exit(
                f"hinting: no C compiler found ({compiler[0]}): install gcc or clang (Debian: apt-get install gcc python3-dev)"
            )
        if not compiles("#include <Python.h>"):
            sys.exit("hinting: no Python.h found: install Python's C headers (Debian: apt-get install python3-dev)")

    def translate(self) -> None:
        built_with = f"Cython {Cython.__version__} {DIRECTIVES}\n{C_FLAGS}\n"
        changed = not BUILT_WITH.exists() or BUILT_WITH.read_text() != built_with
        try:
            made = cythonize(
                self.extensions,
                include_path=["src"],
                compiler_directives=DIRECTIVES,
                build_dir=str(BUILD / "cython"),
                nthreads=os.cpu_count() or 1,
                force=self.force or changed,
                quiet=not self.verbose,
            )
        except CompileError as error:
            sys.exit(f"hinting: Cython cannot compile {error}")
        if changed:
            BUILT_WITH.write_text(built_with)
        sources = {extension.name: extension.sources for extension in made}
        for extension in self.extensions:
            extension.sources = sources[extension.name]
            extension.depends = [str(BUILT_WITH)]


setup(ext_modules=extensions(), cmdclass={"build_ext": BuildCores})
