from collections.abc import Iterable
from typing import Self, final

import numpy as np
from numpy.typing import NDArray

ANY: int
BOOL: int
INT: int
FLOAT: int
TEXT: int
JSON: int
META: int
SPARSE: int
LIST: int
LATER: int

def fine_sparse(offsets: NDArray[np.int32], data: NDArray[np.uint8], first: int) -> int: ...

@final
class FineRows:
    names: tuple[bytes, ...]
    forbidden: tuple[bytes, ...]
    def __new__(
        cls,
        fields: Iterable[tuple[bytes, int, int, bool, bool, bool, int, int, int, int, int]],
        forbidden: Iterable[bytes],
        other_keys: bool,
        later: NDArray[np.int64],
    ) -> Self: ...
    def json_rows(self, data: bytes, start: int, limit: int, comma: bool) -> tuple[int, int, int]: ...
    def csv_rows(self, data: bytes, start: int, limit: int, separator: int, null: bytes) -> tuple[int, int, int]: ...
