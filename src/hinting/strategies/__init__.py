"""Strategies by which a guest hands free memory back, with their parameters.

Each other module of this package holds one strategy and registers it; its classes can be imported from here.

>>> from hinting import strategies
>>> strategies.V8(entries=500).entries
500
"""

import importlib
import pkgutil
from typing import TYPE_CHECKING, Any

from hinting.strategies.base import Parameter, StrategySpec, find, names, parameter
from hinting.strategies.user import PAGE_COMPOUND, PAGE_FREE, PAGE_OTHER, PAGE_USED, strategy

__all__ = ["PAGE_COMPOUND", "PAGE_FREE", "PAGE_OTHER", "PAGE_USED", "Parameter", "StrategySpec", "find", "names",
           "parameter", "strategy"]

#: Modules that hold no strategy. Some import what only users of Numba have.
_MACHINERY = {"base", "numba_guest", "numba_hooks", "plugins", "python_hooks", "user"}

for _module in sorted({module.name for module in pkgutil.iter_modules(__path__)} - _MACHINERY):
    for _name, _value in vars(importlib.import_module(f"{__name__}.{_module}")).items():
        if isinstance(_value, type) and issubclass(_value, StrategySpec) and _value.__module__.endswith(f".{_module}"):
            globals()[_name] = _value
            __all__ += [_name]

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...
