import numpy as np
from numpy.typing import NDArray

OK: int
FIELDS: int
LENGTH: int
END: int

def split_rows(
    buffer: NDArray[np.uint8],
    start: int,
    slots: NDArray[np.int32],
    max_rows: int,
    row_starts: NDArray[np.int64],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    kinds: NDArray[np.uint8],
) -> tuple[int, int, int, int]:
    """Split rows of binary COPY into spans: (rows, where to go on, why, fields of the next row)."""

def gather_into(
    buffer: NDArray[np.uint8],
    starts: NDArray[np.int64],
    kinds: NDArray[np.uint8],
    skip: int,
    width: int,
    out: NDArray[np.uint8],
) -> None:
    """Copy big-endian numbers of ``width`` bytes to (n, k * width) little-endian bytes."""
