"""The stage: small column buffers in which rows gather before they are written.

One anonymous memory map per writer holds a buffer for every column. It is filled, drained as one Span, and filled
again, so that no fresh pages are needed after the first round; for NPY it is small enough for the cache of a core.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from vecmill._native.columns import ColumnBuffer, RowScatter
from vecmill.encode.blocks import TEXT_GUESS, Bytes, FixedBlock, FixedColumn, Span, SpanColumn, VariableBlock
from vecmill.encode.columns import BLOCK_BYTES
from vecmill.encode.plan import ColumnPlan
from vecmill.encode.values import column_buffer
from vecmill.types.text import META

_ALIGN = 64
# A stage of more rows than this gains nothing.
_MAX_ROWS = 256 * 1024
# Least bytes for the values of a text column, so that one long value fits beside others: the longest VARCHAR does.
_LONG_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class _Slot:
    """Memory of one column, for ``capacity`` rows.

    ``values``: uint8. ``offsets``: int32, one more than rows; None for fixed width. ``validity``: one byte per row, 1
    for a value and 0 for a null; None if there are no nulls. ``room``: bytes of ``values`` that several values may fill
    together; a single longer one may take all. 0 for fixed width.
    """

    plan: ColumnPlan
    values: Bytes
    offsets: Any
    validity: Bytes | None
    room: int


@dataclass(frozen=True, slots=True)
class _StagedFixed:
    """A column of fixed width in the stage, read in blocks that fit the cache. ``values``: uint8 of (rows, width)."""

    values: Bytes
    validity: Bytes | None

    def blocks(self) -> Iterator[FixedBlock]:
        step = max(1, BLOCK_BYTES // self.values.shape[1])
        for low in range(0, len(self.values), step):
            validity = None if self.validity is None else self.validity[low : low + step]
            yield FixedBlock(self.values[low : low + step], validity)

    @property
    def releases_gil(self) -> bool:
        return True

    def rows(self, start: int, stop: int) -> _StagedFixed:
        return _StagedFixed(self.values[start:stop], None if self.validity is None else self.validity[start:stop])


class Stage:
    """Column buffers for about ``target_bytes`` of rows.

    ``capacity``: most rows. ``scatter``: the kernel that takes row dicts; `add` takes columns of a batch.
    """

    def __init__(self, plans: Sequence[ColumnPlan], target_bytes: int) -> None:
        row_bytes = sum(plan.width or TEXT_GUESS for plan in plans)
        self.capacity = max(1, min(target_bytes // row_bytes, _MAX_ROWS))
        sizes = [size for plan in plans for size in _sizes(plan, self.capacity)]
        self._map = mmap.mmap(-1, sum(sizes))
        memory = np.frombuffer(self._map, np.uint8)
        cuts = np.concatenate([[0], np.cumsum(sizes)])
        parts = [memory[start:stop] for start, stop in pairwise(cuts)]
        self._slots = [_slot(plan, self.capacity, parts[3 * i : 3 * i + 3]) for i, plan in enumerate(plans)]
        self._n_cleared = 0
        self.scatter = RowScatter([_buffer(slot, self.capacity) for slot in self._slots], plans[-1].kind is META)

    @property
    def n_rows(self) -> int:
        """Rows in the stage."""
        return self.scatter.n_rows

    @property
    def n_taken(self) -> int:
        """Rows that were ever put into the stage."""
        return self._n_cleared + self.scatter.n_rows

    @property
    def n_bytes(self) -> int:
        """Bytes of the rows in the stage."""
        n = self.n_rows
        return sum(int(slot.offsets[n]) if slot.plan.is_variable else n * slot.plan.width for slot in self._slots)

    def text_room(self, n_bytes: Sequence[int]) -> bool:
        """Whether values of ``n_bytes`` (one entry per column of variable width) fit behind the rows that are here."""
        slots = [slot for slot in self._slots if slot.plan.is_variable]
        row = self.n_rows
        return all(int(slot.offsets[row]) + extra <= slot.room for slot, extra in zip(slots, n_bytes, strict=True))

    def add(self, columns: Sequence[SpanColumn], n_rows: int) -> None:
        """Append the first ``n_rows`` of these columns; those of variable width are a VariableBlock.

        The caller makes sure that there is room. Raises Misfit; the stage then holds the rows it held before.
        """
        row = self.n_rows
        for slot, source in zip(self._slots, columns, strict=True):
            if isinstance(source, VariableBlock):
                _copy_text(slot, source, row)
            else:
                _copy_fixed(slot, source, row)
        self.scatter.n_rows = row + n_rows

    def span(self) -> Span:
        """Return the rows in the stage as views, which are valid until ``clear``."""
        n = self.n_rows
        columns: list[SpanColumn] = []
        for slot in self._slots:
            validity = None if slot.validity is None or slot.validity[:n].all() else slot.validity[:n]
            if slot.plan.is_variable:
                columns.append(VariableBlock(slot.offsets[: n + 1], slot.values, validity))
            else:
                width = slot.plan.width
                columns.append(_StagedFixed(slot.values[: n * width].reshape(n, width), validity))
        return Span(n, columns)

    def clear(self) -> None:
        """Forget the rows; the memory stays."""
        self._n_cleared += self.n_rows
        self.scatter.n_rows = 0


def _sizes(plan: ColumnPlan, capacity: int) -> tuple[int, int, int]:
    """Return the bytes of values, offsets and validity of a column, each rounded up to the alignment."""
    if plan.is_variable:
        # Room for the longest value, if it comes first. Pages that are never touched cost nothing.
        values = max(_room(plan, capacity), plan.max_bytes)
        offsets = 4 * (capacity + 1)
    else:
        values, offsets = capacity * plan.width, 0
    validity = capacity if plan.nullable else 0
    return _up(values), _up(offsets), _up(validity)


def _room(plan: ColumnPlan, capacity: int) -> int:
    return max(capacity * TEXT_GUESS, min(plan.max_bytes, _LONG_BYTES)) if plan.is_variable else 0


def _up(n_bytes: int) -> int:
    return -(-n_bytes // _ALIGN) * _ALIGN


def _slot(plan: ColumnPlan, capacity: int, parts: Sequence[Bytes]) -> _Slot:
    values, offsets, validity = parts
    if not plan.is_variable:
        values = values[: capacity * plan.width]
    return _Slot(
        plan=plan,
        values=values,
        offsets=offsets.view(np.int32)[: capacity + 1] if plan.is_variable else None,
        validity=validity[:capacity] if plan.nullable else None,
        room=_room(plan, capacity),
    )


def _buffer(slot: _Slot, capacity: int) -> ColumnBuffer:
    return column_buffer(slot.plan, capacity, slot.values, slot.offsets, slot.validity, slot.room)


def _copy_fixed(slot: _Slot, source: FixedColumn, row: int) -> None:
    rows = slot.values.reshape(-1, slot.plan.width)
    at = row
    for block in source.blocks():
        rows[at : at + block.n_rows] = block.values
        if slot.validity is not None:
            slot.validity[at : at + block.n_rows] = 1 if block.validity is None else block.validity
        at += block.n_rows


def _copy_text(slot: _Slot, block: VariableBlock, row: int) -> None:
    start, first, size = int(slot.offsets[row]), int(block.offsets[0]), block.n_bytes
    slot.values[start : start + size] = block.data[first : first + size]
    slot.offsets[row + 1 : row + 1 + block.n_rows] = block.offsets[1:] + np.int32(start - first)
    if slot.validity is not None:
        slot.validity[row : row + block.n_rows] = 1 if block.validity is None else block.validity
