"""Checks of arguments, for other cores; no Python names."""
