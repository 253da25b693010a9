"""A plain, slow Python model of the Linux page allocator, written to be obviously right.

It is the second implementation that the compiled core is compared with: lists are Python lists (index 0 is the head),
every rule is spelled out for each kernel, and nothing is cached that can be counted.
"""

from reference.model import Model

__all__ = ["Model"]
