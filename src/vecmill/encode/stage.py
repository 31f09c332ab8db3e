"""The stage: small, mapped, recycled column buffers in which rows gather before they leave. The only place with mmap.

One anonymous map per writer holds a buffer for every column. It is filled, drained as one Span, and filled again: no
fresh pages after the first round, and for NPY small enough to stay in the cache of a core.
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
# Room for a value that is longer than the others, beside them; the longest VARCHAR fits.
_LONG_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class _Slot:
    """The memory of one column in the map. ``room``: of variable width, the bytes that are meant to be used."""

    plan: ColumnPlan
    values: Bytes
    offsets: Any
    validity: Bytes | None
    room: int


@dataclass(frozen=True, slots=True)
class _StagedFixed:
    """A fixed width column of the stage, cut into cache-sized blocks."""

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
    """Column buffers for about ``target_bytes`` of rows. ``scatter`` takes row dicts; ``add`` takes part of a batch."""

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
        """Whether values of so many bytes (one entry per column of variable width) fit beside what is here."""
        slots = [slot for slot in self._slots if slot.plan.is_variable]
        row = self.n_rows
        return all(int(slot.offsets[row]) + extra <= slot.room for slot, extra in zip(slots, n_bytes, strict=True))

    def add(self, columns: Sequence[SpanColumn], n_rows: int) -> None:
        """Copy the first ``n_rows`` of a batch behind the rows that are here; text comes as blocks already.

        The caller has made sure of the room. On a Misfit the stage holds what it held before.
        """
        row = self.n_rows
        for slot, source in zip(self._slots, columns, strict=True):
            if isinstance(source, VariableBlock):
                _copy_text(slot, source, row)
            else:
                _copy_fixed(slot, source, row)
        self.scatter.n_rows = row + n_rows

    def span(self) -> Span:
        """Return what is in the stage, as views. They are void after ``clear``."""
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
    """Bytes of values, offsets and validity, aligned."""
    if plan.is_variable:
        # A long value is taken when it comes first. Pages that none ever touched cost nothing.
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
