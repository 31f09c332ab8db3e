from collections.abc import Iterable
from typing import Self, final

import numpy as np
from numpy.typing import NDArray

@final
class RowChecker:
    """The fields of one JSON or CSV file: (name, kind, item, optional, nullable, digits, low, top, count, max_bytes).

    ``later``: (k, 5) int64, filled with the values that Python has to check: row, field, start, stop, quotes doubled.
    """

    names: tuple[bytes, ...]
    forbidden: tuple[bytes, ...]
    def __new__(
        cls,
        fields: Iterable[tuple[bytes, str | None, str | None, bool, bool, int, int, int, int, int]],
        forbidden: Iterable[bytes],
        other_keys: bool,
        later: NDArray[np.int64],
    ) -> Self: ...
    def json_rows(self, data: bytes, start: int, limit: int, comma: bool) -> tuple[int, int, int]:
        """Pass over valid rows: (rows, where to go on, values in ``later``)."""

    def csv_rows(self, data: bytes, start: int, limit: int, separator: int, null: bytes) -> tuple[int, int, int]:
        """Pass over valid lines: (rows, where to go on, values in ``later``)."""

def json_passed(
    offsets: NDArray[np.int32],
    data: NDArray[np.uint8],
    validity: NDArray[np.uint8] | NDArray[np.bool_] | None,
    names: Iterable[bytes],
    only_objects: bool,
    digits: int,
    max_bytes: int,
) -> int:
    """Return the number of values, from the first on, that are certainly valid JSON text."""
