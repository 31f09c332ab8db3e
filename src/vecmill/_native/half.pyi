import numpy as np
from numpy.typing import NDArray

def float32_to_float16_into(src: NDArray[np.float32], out: NDArray[np.uint16]) -> int:
    """Round (n,) float32 to (n,) float16; -1 or the first index whose result is NaN or infinite."""

def float32_to_bfloat16_into(src: NDArray[np.float32], out: NDArray[np.uint16]) -> int:
    """Round (n,) float32 to (n,) bfloat16; -1 or the first index whose result is NaN or infinite."""

def float64_to_float16_into(src: NDArray[np.float64], out: NDArray[np.uint16]) -> int:
    """Round (n,) float64 to (n,) float16; -1 or the first index whose result is NaN or infinite."""

def float64_to_bfloat16_into(src: NDArray[np.float64], out: NDArray[np.uint16]) -> int:
    """Round (n,) float64 to (n,) bfloat16; -1 or the first index whose result is NaN or infinite."""

def float64_to_float32_into(src: NDArray[np.float64], out: NDArray[np.float32]) -> int:
    """Round (n,) float64 to (n,) float32; -1 or the first index whose result is NaN or infinite."""

def float16_finite(values: NDArray[np.uint16]) -> int:
    """Return the index of the first NaN or infinity in (n,) float16, or -1."""

def bfloat16_finite(values: NDArray[np.uint16]) -> int:
    """Return the index of the first NaN or infinity in (n,) bfloat16, or -1."""

def float32_finite(values: NDArray[np.float32]) -> int:
    """Return the index of the first NaN or infinity in (n,) float32, or -1."""

def float64_finite(values: NDArray[np.float64]) -> int:
    """Return the index of the first NaN or infinity in (n,) float64, or -1."""
