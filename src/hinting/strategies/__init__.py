"""Strategies by which a guest hands free memory back, with their parameters.

>>> from hinting import strategies
>>> strategies.V8(entries=500).entries
500
"""

from hinting.strategies.base import Parameter, StrategySpec, find, names, parameter
from hinting.strategies.page_reporting import PageReporting, PageReporting57, PageReporting61, PageReporting612
from hinting.strategies.user import PAGE_COMPOUND, PAGE_FREE, PAGE_OTHER, PAGE_USED, strategy
from hinting.strategies.v8 import V8, V8Posted, V8Stats

__all__ = [
    "PAGE_COMPOUND",
    "PAGE_FREE",
    "PAGE_OTHER",
    "PAGE_USED",
    "V8",
    "PageReporting",
    "PageReporting57",
    "PageReporting61",
    "PageReporting612",
    "Parameter",
    "StrategySpec",
    "V8Posted",
    "V8Stats",
    "find",
    "names",
    "parameter",
    "strategy",
]
