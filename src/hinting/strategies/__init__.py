"""Strategies by which a guest hands free memory back, with their parameters.

Each module of this package holds one strategy and registers it; its classes can be imported from here.

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

for _module in pkgutil.iter_modules(__path__, f"{__name__}."):
    for _name, _value in vars(importlib.import_module(_module.name)).items():
        if isinstance(_value, type) and issubclass(_value, StrategySpec) and _value.name and _name not in __all__:
            globals()[_name] = _value
            __all__ += [_name]

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...
