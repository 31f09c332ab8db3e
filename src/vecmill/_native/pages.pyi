import numpy as np
from numpy.typing import NDArray

def vector_levels(n_rows: int, dim: int, validity: NDArray[np.uint8] | None) -> bytes:
    """Return repetition and definition levels of optional lists of ``dim`` values, each with its length."""

def list_levels(counts: NDArray[np.int64], validity: NDArray[np.uint8] | None, dim: int, max_def: int) -> bytes:
    """Return repetition and definition levels of lists of (n,) ``counts`` elements, each with its length."""

def text_counts_into(offsets: NDArray[np.int32], data: NDArray[np.uint8], out: NDArray[np.int64]) -> None:
    """Count the texts of each row of packed arrays into (n,)."""

def struct_part_into(
    offsets: NDArray[np.int32],
    data: NDArray[np.uint8],
    validity: NDArray[np.uint8] | None,
    widths: NDArray[np.int64],
    part: int,
    counts: NDArray[np.int64],
    out: NDArray[np.uint8],
) -> int:
    """Gather sub-field ``part`` of packed struct arrays in ``out``; return the bytes used."""
