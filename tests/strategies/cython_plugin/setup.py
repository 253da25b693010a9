"""A strategy of a third party, compiled against an installed hinting: `python setup.py build_ext --inplace`."""

from Cython.Build import cythonize
from setuptools import Extension, setup

import hinting

setup(
    name="eager-strategy",
    version="1.0",
    packages=["eager"],
    package_dir={"": "src"},
    ext_modules=cythonize([Extension("eager.hooks", ["src/eager/hooks.pyx"])], include_path=[hinting.get_include()]),
    entry_points={"hinting.strategies": ["eager = eager:Eager"]},
)
