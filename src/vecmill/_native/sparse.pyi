from typing import Any

import numpy as np
from numpy.typing import NDArray

ENTRY_BYTES: int
SLACK_BYTES: int

def dict_text(value: Any) -> str | None: ...
def rows_text_into(
    indptr: NDArray[np.int64],
    indices: NDArray[np.int64],
    values: NDArray[np.float32],
    offsets: NDArray[np.int32],
    out: NDArray[np.uint8],
) -> int: ...
