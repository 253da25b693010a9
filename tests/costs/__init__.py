"""Cost profiles."""
