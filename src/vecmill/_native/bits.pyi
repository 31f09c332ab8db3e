import numpy as np
from numpy.typing import NDArray

def pack_bits_into(matrix: NDArray[np.uint8] | NDArray[np.bool_], out: NDArray[np.uint8]) -> int:
    """Pack (n, dim) zeros and ones into (n, dim // 8) bytes; -1 or the flat index of the first other element."""
