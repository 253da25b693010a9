from mmap import mmap

from numpy import float64, int64
from numpy.typing import NDArray

def transfer(fd: int, buffer: mmap | bytearray, offsets: NDArray[int64], write: bool) -> NDArray[float64]: ...
