import numpy as np
from numpy.typing import NDArray

OK: int
BAD: int
LENGTH: int
RANGE: int

def int64s_into(
    buffer: NDArray[np.uint8],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    kinds: NDArray[np.uint8],
    out: NDArray[np.int64],
    lenient: bool,
) -> tuple[int, int]:
    """Parse integers into (n,): (-1, OK), or (row, BAD or RANGE) of the first that is none."""

def float64s_into(
    buffer: NDArray[np.uint8],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    kinds: NDArray[np.uint8],
    out: NDArray[np.float64],
    lenient: bool,
) -> tuple[int, int]:
    """Parse numbers into (n,): (-1, OK), or (row, BAD) of the first that is none."""

def float32_lists_into(
    buffer: NDArray[np.uint8],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    kinds: NDArray[np.uint8],
    out: NDArray[np.float32],
    lenient: bool,
) -> tuple[int, int, int]:
    """Parse lists of dim numbers into (n, dim): (-1 or row, reason, values found)."""

def int64_lists_into(
    buffer: NDArray[np.uint8],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    kinds: NDArray[np.uint8],
    out: NDArray[np.int64],
    lenient: bool,
) -> tuple[int, int, int]:
    """Parse lists of dim integers into (n, dim): (-1 or row, reason, values found)."""
