from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

OP_DTYPE: np.dtype[np.void]
OPS: dict[str, int]
NO_THP: int
SINCE_MARK: int
ALL_FILES: int
SLAB: int
OLDEST: int
NEWEST: int
KINDS: dict[str, int]
MAX_NUMBER: int
MAX_PAGES: int
MAX_FILE_PAGES: int

def op_rows(ops: object) -> NDArray[np.void]:
    """The same array if it is a one-dimensional array of OP_DTYPE; raises OpError."""

def validate(ops: NDArray[np.void], npfn: int, elsewhere: ArrayLike = ()) -> NDArray[np.void]:
    """Check an op array and return it contiguous in OP_DTYPE. elsewhere: processes that begin on other vCPUs."""

def begun(rows: NDArray[np.void]) -> NDArray[np.int64]:
    """Numbers of the processes that begin in an op array."""

def numbers_used(rows: NDArray[np.void]) -> int:
    """One more than the largest process or slot number of an op array."""

def slab_caches(
    rows: NDArray[np.void], known: Mapping[int, tuple[int, int, int]]
) -> dict[int, tuple[int, int, int]]:
    """{cache: (order, kind, objects of a slab)} of the kernel caches that an op array uses."""

def file_ends(rows: NDArray[np.void]) -> dict[int, int]:
    """{file: one past its last page} of the rows of an op array that use files."""

def program(*rows: tuple[str, Mapping[str, int]]) -> NDArray[np.void]:
    """An op array from rows given as (name, {field: value}) pairs."""
