"""Strategies by which a guest hands free memory back, with their parameters.

Each module of this package holds one strategy and registers it; its classes can be imported from here.

>>> from hinting import strategies
>>> strategies.V8(entries=500).entries
500
"""

import importlib
import pkgutil
from typing import TYPE_CHECKING, Any

from hinting.strategies.base import Parameter, StrategySpec, find, names

__all__ = ["Parameter", "StrategySpec", "find", "names"]

for _module in sorted(module.name for module in pkgutil.iter_modules(__path__)):
    _found = importlib.import_module(f"{__name__}.{_module}")
    for _name in _found.__all__:
        if isinstance(getattr(_found, _name), type) and issubclass(getattr(_found, _name), StrategySpec):
            globals()[_name] = getattr(_found, _name)
            if _name not in __all__:
                __all__ += [_name]

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...
