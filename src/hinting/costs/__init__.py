"""Cost profiles: how long each operation takes, and how large things are. The numbers are in default.toml."""

from hinting.costs.profile import MODES, CostProfile, load, names
from hinting.costs.table import SCHEMA, Cost, CostTable, default_table

__all__ = ["MODES", "SCHEMA", "Cost", "CostProfile", "CostTable", "default_table", "load", "names"]
