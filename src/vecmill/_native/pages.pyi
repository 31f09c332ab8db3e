import numpy as np
from numpy.typing import NDArray

def vector_levels(n_rows: int, dim: int, validity: NDArray[np.uint8] | None) -> bytes: ...
def list_levels(counts: NDArray[np.int64], validity: NDArray[np.uint8] | None, dim: int, max_def: int) -> bytes: ...
def text_counts_into(offsets: NDArray[np.int32], data: NDArray[np.uint8], out: NDArray[np.int64]) -> None: ...
def struct_part_into(
    offsets: NDArray[np.int32],
    data: NDArray[np.uint8],
    validity: NDArray[np.uint8] | None,
    widths: NDArray[np.int64],
    part: int,
    counts: NDArray[np.int64],
    out: NDArray[np.uint8],
) -> int: ...
