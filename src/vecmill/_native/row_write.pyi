from collections.abc import Sequence
from typing import Any, Never

import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

@disjoint_base
class RowText:
    """How rows of columns are written as JSON, or with ``separator`` as CSV: (kind, dim, lead, items) each."""

    def __init__(
        self,
        *args: Never,
        columns: Sequence[tuple[str, int, bytes, tuple[Any, ...]]],
        tail: bytes,
        null: bytes,
        separator: bytes | None = None,
    ) -> None: ...
    @property
    def row_room(self) -> int:
        """Most bytes of a row, without the bytes of its values of variable width."""

    def render_into(
        self,
        columns: Sequence[tuple[NDArray[np.uint8], NDArray[np.int32] | None, NDArray[np.uint8] | None]],
        start: int,
        stop: int,
        out: NDArray[np.uint8],
        ends: NDArray[np.int64] | None = None,
    ) -> tuple[int, int]:
        """Write rows ``start`` to ``stop``: (first row without room, bytes written); ``ends``: bytes up to each row."""
