from collections.abc import Callable, Sequence
from typing import Any, Never

import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

from vecmill.encode.plan import TextRules

OK: int
FULL: int
REFUSED: int
MISSING: int

@disjoint_base
class ColumnBuffer:
    """One column of a stage, in memory of the caller, which stays exported. See ``encode.plan.ColumnPlan``."""

    name: str
    capacity: int
    def __init__(
        self,
        *args: Never,
        name: str,
        kind: str,
        capacity: int,
        values: NDArray[np.uint8],
        width: int = 0,
        dim: int = 0,
        offsets: NDArray[np.int32] | None = None,
        validity: NDArray[np.uint8] | None = None,
        max_bytes: int = -1,
        text_rules: TextRules | None = None,
        room: int | None = None,
        refuse_empty: bool = False,
        default: Any = None,
        encode: Callable[[Any], str] | None = None,
        items: Sequence[ColumnBuffer] = (),
    ) -> None: ...
    def fill(self, values: list[Any], start: int, stop: int, row: int) -> tuple[int, int]:
        """Put ``values[start:stop]`` at ``row`` and after; (values taken, status of the next or OK)."""

@disjoint_base
class RowScatter:
    """The column buffers of one stage, filled by row dicts; with ``has_meta`` the last takes unknown keys."""

    columns: tuple[ColumnBuffer, ...]
    capacity: int
    has_meta: bool
    n_rows: int
    def __init__(self, columns: Sequence[ColumnBuffer], has_meta: bool) -> None: ...
    def put(self, row: Any) -> int:
        """Take one row dict: 0, or status | column index << 8 (number of columns: the row itself)."""

    def put_many(self, rows: list[Any], start: int) -> tuple[int, int]:
        """Take ``rows[start:]`` up to the first that is refused: (its index, its code or 0)."""
