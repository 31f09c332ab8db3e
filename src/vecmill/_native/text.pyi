import numpy as np
from numpy.typing import NDArray

from vecmill.encode.plan import TextRules

FINE: int
TOO_LONG: int
HAS_NUL: int
NOT_UTF8: int
SURROGATE: int
NO_ROOM: int
HAS_CRLF: int
IS_NULL_TEXT: int

def check_text(
    offsets: NDArray[np.int32],
    data: NDArray[np.uint8],
    max_bytes: int,
    rules: TextRules | None = None,
    validity: NDArray[np.uint8] | None = None,
) -> tuple[int, int]:
    """Find the first value that breaks a rule: (row, reason), or (-1, FINE)."""

def longest_codepoints(offsets: NDArray[np.int32], data: NDArray[np.uint8]) -> int:
    """Return the code points of the longest value."""

def plain_byte_array_into(
    offsets: NDArray[np.int32], data: NDArray[np.uint8], validity: NDArray[np.uint8] | None, out: NDArray[np.uint8]
) -> int:
    """Write values as PLAIN BYTE_ARRAY without nulls; return the bytes written."""

def fixed_byte_array_into(values: NDArray[np.uint8], validity: NDArray[np.uint8] | None, out: NDArray[np.uint8]) -> int:
    """Write (n, width) bytes as PLAIN BYTE_ARRAY without nulls; return the bytes written."""

def ucs4_from_plain_into(plain: NDArray[np.uint8], out: NDArray[np.uint32]) -> int:
    """Expand PLAIN BYTE_ARRAY to (n, width) code points; return the bytes read."""

def utf8_from_ucs4_into(
    values: NDArray[np.uint32], offsets: NDArray[np.int32], out: NDArray[np.uint8], refuse_nul: bool
) -> tuple[int, int]:
    """Narrow (n, width) code points to UTF-8: (rows taken, reason of the next)."""
