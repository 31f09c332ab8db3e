from typing import Any

import numpy as np
from numpy.typing import NDArray

ENTRY_BYTES: int
SLACK_BYTES: int

def dict_text(value: Any) -> str | None:
    """Return the JSON object of a dict of int to float; None: Python has to look at it."""

def rows_text_into(
    indptr: NDArray[np.int64],
    indices: NDArray[np.int64],
    values: NDArray[np.float32],
    offsets: NDArray[np.int32],
    out: NDArray[np.uint8],
) -> int:
    """Write rows of a CSR matrix as JSON objects; -1 or the first row that is wrong."""

def check_sparse(offsets: NDArray[np.int32], data: NDArray[np.uint8], first: int) -> int:
    """Return the first value from row ``first`` on that is not certainly JSON of a sparse vector, or -1."""
