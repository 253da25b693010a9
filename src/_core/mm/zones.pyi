"""Zones from mappings, for other cores; no Python names."""
