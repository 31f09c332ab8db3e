"""ARRAY, struct and sparse columns of a batch from Arrow lists or matrices, without a Python object per value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecmill._native import text as text_kernel
from vecmill.encode.arrow import (
    fixed_from_arrow,
    list_layout,
    plain_storage,
    struct_members,
    text_from_arrow,
    validity_of,
)
from vecmill.encode.blocks import Bytes, VariableBlock
from vecmill.encode.decimals import for_field
from vecmill.encode.dense import encode_fixed
from vecmill.encode.misfit import NOT_UTF8, Misfit
from vecmill.encode.plan import ColumnPlan
from vecmill.types.sparse import SparseRows, sparse_block

_ROWS = 64 * 1024
_STRUCT_ROWS = 4096


@dataclass(frozen=True, slots=True)
class MatrixArrays:
    """A NumPy matrix (n, m) as n arrays of m elements."""

    plan: ColumnPlan
    matrix: NDArray[Any]

    def take(self, start: int, stop: int, max_bytes: int) -> VariableBlock:
        """Encode and check rows; see VariableSource."""
        m = self.matrix.shape[1]
        _refuse_lengths(self.plan, np.full(1, m), None, start)
        item = self.plan.items[0]
        n = min(stop - start, _ROWS, max(1, max_bytes // max(1, m * item.width)))
        part = self.matrix[start : start + n]
        try:
            data = _encoded(item, part.reshape(-1))
        except Misfit as misfit:
            raise _misfit_at(self.plan, np.arange(n + 1) * m, start, misfit) from None
        return VariableBlock((np.arange(n + 1) * (m * item.width)).astype(np.int32), data)


@dataclass(frozen=True, slots=True)
class SparseMatrix:
    """A compressed sparse row matrix: each row is a sparse vector."""

    plan: ColumnPlan
    rows: SparseRows

    def take(self, start: int, stop: int, max_bytes: int) -> VariableBlock:
        """Encode and check rows; see VariableSource."""
        try:
            return VariableBlock(*sparse_block(self.rows[start : min(stop, start + _ROWS)], max_bytes))
        except ValueError as error:
            got, row = error.args
            raise Misfit(self.plan.expected, got, start + row) from None


@dataclass(frozen=True, slots=True)
class ArrowArrays:
    """An Arrow array of lists, of any layout."""

    plan: ColumnPlan
    array: Any

    def take(self, start: int, stop: int, max_bytes: int) -> VariableBlock:
        """Encode and check rows; see VariableSource."""
        plan = self.plan
        valid, cuts, child = _rows(plan, self.array.slice(start, min(stop - start, _ROWS)), start)
        item = plan.items[0]
        try:
            ends, data = _packed(item, child)
        except Misfit as misfit:
            raise _misfit_at(plan, cuts, start, misfit) from misfit.__cause__
        return _fitting(ends[cuts], data, valid, max_bytes)


@dataclass(frozen=True, slots=True)
class ArrowStructs:
    """An Arrow array of lists of structs, of any layout."""

    plan: ColumnPlan
    array: Any

    def take(self, start: int, stop: int, max_bytes: int) -> VariableBlock:
        """Encode and check rows; see VariableSource."""
        plan = self.plan
        valid, cuts, child = _rows(plan, self.array.slice(start, min(stop - start, _STRUCT_ROWS)), start)
        names = [item.name for item in plan.items]
        members = struct_members(child, names)
        if members is None:
            raise Misfit(f"lists of structs of exactly {', '.join(names)}", f"Arrow lists of type {child.type}")
        parts = []
        for item in plan.items:
            column = plain_storage(members[item.name])
            try:
                _refuse_null_element(item, column)
                ends, data = _packed(item, column)
            except Misfit as misfit:
                named = Misfit(misfit.expected, f"{misfit.got} in {item.name!r}", misfit.row)
                raise _misfit_at(plan, cuts, start, named) from misfit.__cause__
            parts.append((ends[cuts].tolist(), data.tobytes()))
        rows = []
        for row, count in enumerate(np.diff(cuts).tolist()):
            if valid is None or valid[row]:
                packed = (data[ends[row] : ends[row + 1]] for ends, data in parts)
                rows.append(b"".join((count.to_bytes(4, "little"), *packed)))
            else:
                rows.append(b"")
        offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
        return _fitting(offsets, np.frombuffer(b"".join(rows), np.uint8), valid, max_bytes)


def _rows(plan: ColumnPlan, part: Any, first: int) -> tuple[Bytes | None, NDArray[np.int64], Any]:
    """Return (validity or None, cuts (n + 1,), elements of all rows): row i has elements cuts[i] to cuts[i + 1]."""
    valid = validity_of(part)
    starts, lengths, child = list_layout(part)
    lengths = lengths.astype(np.int64)
    if valid is not None:
        lengths = np.where(valid.astype(bool), lengths, 0)
    _refuse_lengths(plan, lengths, valid, first)
    child = plain_storage(_gathered(child, starts, lengths))
    cuts = np.concatenate([[0], np.cumsum(lengths)])
    try:
        _refuse_null_element(plan.items[0], child)
    except Misfit as misfit:
        raise _misfit_at(plan, cuts, first, misfit) from None
    return valid, cuts, child


def _refuse_null_element(item: ColumnPlan, child: Any) -> None:
    if child.null_count:
        raise Misfit(item.expected, "a null element", int(np.argmin(child.is_valid().to_numpy(zero_copy_only=False))))


def _fitting(offsets: NDArray[Any], data: Bytes, valid: Bytes | None, max_bytes: int) -> VariableBlock:
    """Return the first rows that fit in ``max_bytes`` bytes, at least one."""
    n = max(1, int(np.searchsorted(offsets[1:], max_bytes, side="right")))
    return VariableBlock(offsets[: n + 1].astype(np.int32), data, None if valid is None else valid[:n])


def _gathered(child: Any, starts: NDArray[Any], lengths: NDArray[Any]) -> Any:
    """Return the elements of all rows, one row behind another."""
    used = lengths > 0
    if not used.any():
        return child.slice(0, 0)
    starts, lengths = starts[used].astype(np.int64), lengths[used]
    total = int(lengths.sum())
    if (starts[1:] == starts[:-1] + lengths[:-1]).all():
        return child.slice(int(starts[0]), total)
    before = np.repeat(np.cumsum(lengths) - lengths, lengths)
    return child.take(np.repeat(starts, lengths) + np.arange(total) - before)


def _refuse_lengths(plan: ColumnPlan, lengths: NDArray[Any], valid: Bytes | None, first: int) -> None:
    wrong = lengths > plan.capacity
    why = ""
    if plan.refuse_empty and not wrong.any():
        wrong = lengths == 0 if valid is None else (lengths == 0) & valid.astype(bool)
        why = " (the server reads an empty list of a nullable field as null)"
    if wrong.any():
        row = int(np.argmax(wrong))
        raise Misfit(plan.expected, f"{int(lengths[row])} elements{why}", first + row)


def _packed(item: ColumnPlan, child: Any) -> tuple[NDArray[Any], Bytes]:
    """Return (offsets (n + 1,), packed elements). A Misfit has the index of the element as its row."""
    child = for_field(item, child)
    if not item.is_variable:
        return np.arange(len(child) + 1) * item.width, _encoded(item, fixed_from_arrow(item, child))
    offsets, data = text_from_arrow(item, child)
    base = int(offsets[0])
    data, offsets = data[base : int(offsets[-1])], (offsets - base).astype(np.int64)
    if offsets[-1] > 2**31 - 1:
        raise Misfit("lists whose texts make less than 2 GiB in 65,536 rows", f"{int(offsets[-1])} bytes", 0)
    short = offsets.astype(np.int32)
    at, reason = text_kernel.check_text(short, data, item.max_bytes)
    if at >= 0:
        if reason == text_kernel.NOT_UTF8:
            raise Misfit(*NOT_UTF8, at)
        raise Misfit(item.expected, f"{int(offsets[at + 1] - offsets[at])} bytes", at)
    packed = np.empty(len(data) + 4 * len(child), np.uint8)
    text_kernel.plain_byte_array_into(short, data, None, packed)
    return offsets + 4 * np.arange(len(offsets)), packed


def _encoded(item: ColumnPlan, values: NDArray[Any]) -> Bytes:
    if len(values) == 0:
        return np.empty(0, np.uint8)
    return encode_fixed(item, values, np.empty((len(values), item.width), np.uint8)).reshape(-1)


def _misfit_at(plan: ColumnPlan, cuts: NDArray[Any], first: int, misfit: Misfit) -> Misfit:
    """Return the misfit of an element, whose row is an index among all elements, with its row and position."""
    if misfit.row is None:
        return Misfit(plan.expected, misfit.got)
    row = int(np.searchsorted(cuts, misfit.row, side="right")) - 1
    return Misfit(misfit.expected, f"{misfit.got} at position {misfit.row - int(cuts[row])}", first + row)
