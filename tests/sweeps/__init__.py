"""Sweeps: what the design is, what is kept whatever dies, and what is refused."""
