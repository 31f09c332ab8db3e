from collections.abc import Iterable
from typing import Self, final

import numpy as np
from numpy.typing import NDArray

NULL_VALUE: int
FALSE: int
TRUE: int
INT: int
FLOAT: int
STRING: int
ESCAPED: int
ARRAY: int
OBJECT: int

OK: int
SYNTAX: int
SHORT: int
DEEP: int
TWICE: int
UNKNOWN: int

FIRST: int
VALUE: int
SEPARATOR: int
CLOSED: int
SEQUENCE: int

def count_lines(buffer: NDArray[np.uint8]) -> int:
    """Return the number of line feeds."""

def value_end(buffer: NDArray[np.uint8], start: int) -> tuple[int, int, int]:
    """Return (end, kind, why) of the value at ``start``."""

def split_lines(
    buffer: NDArray[np.uint8], start: int, final: bool, starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> tuple[int, int]:
    """Find lines that hold more than blanks: (rows, where to go on)."""

def split_elements(
    buffer: NDArray[np.uint8], start: int, final: bool, state: int, starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> tuple[int, int, int, int]:
    """Find elements of an array: (rows, where to go on, state, why)."""

@final
class ObjectWalker:
    """The wanted keys of objects, in UTF-8."""

    names: tuple[bytes, ...]
    refuse_unknown: bool
    def __new__(cls, names: Iterable[bytes], refuse_unknown: bool) -> Self: ...
    def walk(
        self,
        buffer: NDArray[np.uint8],
        row_starts: NDArray[np.int64],
        row_ends: NDArray[np.int64],
        starts: NDArray[np.int64],
        ends: NDArray[np.int64],
        kinds: NDArray[np.uint8],
        rest_offsets: NDArray[np.int32] | None = None,
        rest_out: NDArray[np.uint8] | None = None,
    ) -> tuple[int, int, int]:
        """Fill spans (keys, rows) of the wanted keys: (good rows, why the next is not, where)."""

def elements_at(
    buffer: NDArray[np.uint8],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    kinds: NDArray[np.uint8],
    index: int,
) -> int:
    """Replace the spans of arrays by those of one element; return the first row that is no array, or -1."""
