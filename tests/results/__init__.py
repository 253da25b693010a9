"""Output folders: opened, queried, described, repeated."""
