"""Encoded columns on their way to a format: blocks and spans, views of memory that they do not own.

A block is valid until its consumer asks for the next block: its memory is a stage, which is reused, or the caller's
array. Nothing here copies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

# Bytes of a text, assumed where room is laid out before the first text is seen.
TEXT_GUESS = 64


@dataclass(frozen=True, slots=True)
class FixedBlock:
    """Fixed width values: ``values`` (n, width) uint8, C-contiguous; ``validity`` (n,) uint8 0/1, None if all valid.

    A null row holds zeros. ``lasts``: the values lie in the array of a batch, and stay valid until the batch is taken.
    """

    values: Bytes
    validity: Bytes | None = None
    lasts: bool = False

    @property
    def n_rows(self) -> int:
        """Rows of the block."""
        return len(self.values)


@dataclass(frozen=True, slots=True)
class VariableBlock:
    """Values of any width, as in Arrow: ``offsets`` (n + 1,) int32 into ``data``; ``validity`` as in FixedBlock.

    Text is UTF-8. Elements of an array lie one behind the other in Parquet's PLAIN form: numbers little-endian, a bool
    as a byte, a text as its length in four bytes and its UTF-8. See `ColumnPlan`.
    """

    offsets: NDArray[np.int32]
    data: Bytes
    validity: Bytes | None = None

    @property
    def n_rows(self) -> int:
        """Rows of the block."""
        return len(self.offsets) - 1

    @property
    def n_bytes(self) -> int:
        """Bytes of the values."""
        return int(self.offsets[-1] - self.offsets[0])

    def rows(self, start: int, stop: int) -> VariableBlock:
        """Return rows ``start`` to ``stop`` as a view."""
        validity = None if self.validity is None else self.validity[start:stop]
        return VariableBlock(self.offsets[start : stop + 1], self.data, validity)


class FixedColumn(Protocol):
    """A fixed width column of a span that is encoded and checked while it is consumed.

    ``releases_gil``: two threads can encode two parts of it at the same time.
    """

    @property
    def releases_gil(self) -> bool:
        """See the class."""

    def blocks(self) -> Iterator[FixedBlock]:
        """Yield the rows in order. Each block is valid until the next one is asked for."""

    def rows(self, start: int, stop: int) -> FixedColumn:
        """Return rows ``start`` to ``stop`` as a column; nothing is encoded yet."""


SpanColumn = FixedColumn | VariableBlock


@dataclass(frozen=True, slots=True)
class Span:
    """Rows that are written together: one column per field of the file, in the file's order, each of ``n_rows``."""

    n_rows: int
    columns: Sequence[SpanColumn]

    def rows(self, start: int, stop: int) -> Span:
        """Return rows ``start`` to ``stop`` as a span."""
        return Span(stop - start, [column.rows(start, stop) for column in self.columns])
