"""Scenarios: experiments as TOML files, the built-in ones in this folder."""

from hinting.scenarios.files import names, text
from hinting.scenarios.model import Scenario

__all__ = ["Scenario", "names", "text"]
