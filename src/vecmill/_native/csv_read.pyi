import numpy as np
from numpy.typing import NDArray

OK: int
QUOTE: int
FEW: int
MANY: int
END: int

FINE: int
NOT_UTF8: int
SURROGATE: int

JSON: int
BACKSLASH: int

def split_fields(
    buffer: NDArray[np.uint8],
    start: int,
    final: bool,
    separator: int,
    quote: int,
    null: NDArray[np.uint8],
    slots: NDArray[np.int32],
    max_rows: int,
    row_starts: NDArray[np.int64],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    kinds: NDArray[np.uint8],
) -> tuple[int, int, int, int]:
    """Split rows of CSV or COPY into spans: (rows, where to go on, why, fields of the row that is wrong)."""

def strings_into(
    buffer: NDArray[np.uint8],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    kinds: NDArray[np.uint8],
    style: int,
    offsets: NDArray[np.int32],
    out: NDArray[np.uint8],
) -> tuple[int, int]:
    """Gather text as (n + 1,) offsets and UTF-8: (-1, FINE) or (row, reason) of the first that is not text."""
