"""Nothing for Python: other cores use it by cimport."""
