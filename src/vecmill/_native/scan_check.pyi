import numpy as np
from numpy.typing import NDArray

HAS_NUL: int
NOT_TEXT: int
BAD: int
MORE: int
DEEP: int

def scan_ucs4(values: NDArray[np.uint32], n_bytes: NDArray[np.int64], flags: NDArray[np.uint8]) -> bool:
    """Fill (n,) bytes of UTF-8 and (n,) flags of (n, width) code points; True if a flag is set."""

def json_end(
    text: bytes | bytearray | memoryview | NDArray[np.uint8], start: int, as_float: bool = False
) -> tuple[int, int]:
    """Return (end of the JSON value at ``start``, -1), or (BAD, DEEP or MORE, place)."""

def check_json(offsets: NDArray[np.int32], data: NDArray[np.uint8], first: int, only_objects: bool) -> tuple[int, int]:
    """Find the first value that is not JSON text: (row, place of the first wrong byte), or (-1, -1)."""
