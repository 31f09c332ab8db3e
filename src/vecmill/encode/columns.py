"""Columns of a batch, checked against the schema and encoded into blocks.

A column is a NumPy array, an Arrow array or a list of Python values. Fixed width columns are encoded block by block
while they are consumed: check, conversion and write find the block in the cache, and only one block is held. Text is
encoded in pieces that the caller bounds. Errors are Misfits with the row in the column.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn, Protocol

import numpy as np
from numpy.typing import NDArray

from vecmill._native import text as text_kernel
from vecmill._native.columns import ColumnBuffer
from vecmill.encode.arrow import fixed_from_arrow, is_list, plain_storage, text_from_arrow, validity_of
from vecmill.encode.blocks import Bytes, FixedBlock, VariableBlock
from vecmill.encode.decimals import for_field
from vecmill.encode.dense import encode_fixed, native
from vecmill.encode.lists import ArrowArrays, ArrowStructs, MatrixArrays, SparseMatrix
from vecmill.encode.misfit import NOT_UTF8, Misfit, describe
from vecmill.encode.plain import has_text_form, python_values
from vecmill.encode.plan import ColumnPlan
from vecmill.encode.values import column_buffer, fill_list, normalise
from vecmill.types.json import compact_json
from vecmill.types.sparse import SparseRows

# Larger blocks fall out of the cache between check, checksum and write.
BLOCK_BYTES = 2 * 1024 * 1024
_TEXT_ROWS = 64 * 1024
# Rows that are made into Python values at once: few enough for long arrays, many enough to make the calls cheap.
_PYTHON_ROWS = 1024
# Offsets beyond this are counted anew: adding the size of a page to an offset must not overflow int32.
_FAR = 2**30


class FixedSource(Protocol):
    """A fixed width column of a batch; ``releases_gil`` as in FixedColumn."""

    @property
    def releases_gil(self) -> bool:
        """See FixedColumn."""

    def blocks(self, start: int, stop: int) -> Iterator[FixedBlock]:
        """Encode and check rows ``start`` to ``stop``. Each block is valid until the next one is asked for."""


class VariableSource(Protocol):
    """A text column of a batch."""

    def take(self, start: int, stop: int, max_bytes: int) -> VariableBlock:
        """Encode and check rows from ``start`` up to ``stop``: as many as fit in ``max_bytes`` bytes, at least one."""


Source = FixedSource | VariableSource


def rows_per_block(plan: ColumnPlan) -> int:
    """Return the number of rows in one block of a fixed width column."""
    return max(1, BLOCK_BYTES // plan.width)


def open_column(plan: ColumnPlan, column: Any, n_rows: int) -> Source:
    """Return the source of a column of ``n_rows``: an ndarray, a pyarrow Array, a list; None: it is absent."""
    if isinstance(column, np.ndarray):
        return _open_ndarray(plan, column)
    if column is None or isinstance(column, list):
        return _PythonValues(plan, column) if plan.is_variable else _ListFixed(plan, column)
    if isinstance(column, SparseRows):
        if plan.kind.group != "sparse":
            raise Misfit(plan.expected, "a sparse matrix")
        return SparseMatrix(plan, column)
    return _open_arrow(plan, column)


def _open_ndarray(plan: ColumnPlan, array: NDArray[Any]) -> Source:
    if isinstance(array, np.ma.MaskedArray) and array.dtype.kind in "mM":  # tolist gives a bare count of nanoseconds
        pairs = zip(array.data, np.ma.getmaskarray(array), strict=True)
        return open_column(plan, [None if is_masked else value for value, is_masked in pairs], len(array))
    if isinstance(array, np.ma.MaskedArray) or (array.dtype.kind in "OTV" and array.dtype.name != "bfloat16"):
        return open_column(plan, array.tolist(), len(array))
    if not plan.is_variable:
        return _NumpyFixed(plan, array)
    if plan.kind.group == "array" and array.ndim == 2:
        return MatrixArrays(plan, array)
    is_time = plan.kind.group == "timestamptz" and array.dtype.kind == "M" and array.ndim == 1
    if is_time or (plan.kind.is_json and array.dtype.kind not in "US"):
        return _PythonValues(plan, array)
    if array.ndim != 1 or array.dtype.kind not in "US":
        raise Misfit(plan.expected, describe(array))
    if plan.kind.group != "text":
        return _PythonValues(plan, array if array.dtype.kind == "U" else _decoded(array))
    return _NumpyText(plan, array)


def _open_arrow(plan: ColumnPlan, array: Any) -> Source:
    is_json_value = plan.kind.is_json and has_text_form(array.type)
    array = for_field(plan, plain_storage(array))
    if plan.items and is_list(array.type):
        _refuse_null_row(plan, array)
        return ArrowArrays(plan, array) if plan.kind.group == "array" else ArrowStructs(plan, array)
    if plan.is_variable and plan.kind.group != "text":
        return _PythonValues(plan, array, quoted=is_json_value)
    if plan.default is not None and array.null_count:
        return open_column(plan, array.to_pylist(), len(array))
    _refuse_null_row(plan, array)
    if plan.is_variable:
        offsets, data = text_from_arrow(plan, array)
        return _ArrowText(plan, offsets, data, validity_of(array))
    if array.null_count == 0:
        return _NumpyFixed(plan, fixed_from_arrow(plan, array))
    return _ArrowFixed(plan, array)


def _refuse_null_row(plan: ColumnPlan, array: Any) -> None:
    if array.null_count and not plan.nullable:
        row = int(np.argmin(validity_of(array)))  # type: ignore[arg-type]
        raise Misfit(plan.expected_not_null, "null", row)


@dataclass(frozen=True, slots=True)
class _NumpyFixed:
    """A NumPy array: views of the caller's memory if it has the column's type, else one block of scratch."""

    plan: ColumnPlan
    array: NDArray[Any]
    releases_gil: ClassVar[bool] = True

    def blocks(self, start: int, stop: int) -> Iterator[FixedBlock]:
        step = rows_per_block(self.plan)
        scratch = np.empty((min(step, stop - start), self.plan.width), np.uint8)
        for low in range(start, stop, step):
            try:
                values = encode_fixed(self.plan, self.array[low : min(low + step, stop)], scratch)
            except Misfit as misfit:
                raise _shifted(misfit, low) from None
            yield FixedBlock(values, lasts=np.may_share_memory(values, self.array))


@dataclass(frozen=True, slots=True)
class _ArrowFixed:
    """An Arrow array with nulls, made dense block by block."""

    plan: ColumnPlan
    array: Any
    releases_gil: ClassVar[bool] = True

    def blocks(self, start: int, stop: int) -> Iterator[FixedBlock]:
        step = rows_per_block(self.plan)
        scratch = np.empty((min(step, stop - start), self.plan.width), np.uint8)
        for low in range(start, stop, step):
            part = self.array.slice(low, min(step, stop - low))
            try:
                values = encode_fixed(self.plan, fixed_from_arrow(self.plan, part), scratch)
            except Misfit as misfit:
                raise _shifted(misfit, low) from None
            yield FixedBlock(values, validity_of(part))


class _ListFixed:
    """A list of Python values, through the same kernel as row dicts. None: no such column, every row is absent."""

    releases_gil = False

    def __init__(self, plan: ColumnPlan, values: list[Any] | None) -> None:
        self._plan = plan
        self._values = values

    def blocks(self, start: int, stop: int) -> Iterator[FixedBlock]:
        plan = self._plan
        step = min(rows_per_block(plan), stop - start)
        slots = np.empty((step, plan.width), np.uint8)
        validity = np.empty(step, np.uint8) if plan.nullable else None
        buffer = column_buffer(plan, step, slots.reshape(-1), None, validity)
        for low in range(start, stop, step):
            high = min(low + step, stop)
            _fill_part(buffer, plan, self._values, low, high, 0)
            yield FixedBlock(slots[: high - low], _validity_part(validity, high - low))


class _PythonValues:
    """Python values of variable width, from a list or slice by slice from an array. None: every row is absent.

    ``quoted``: they are text of which JSON strings are made; else text for a JSON field is JSON.
    """

    def __init__(self, plan: ColumnPlan, column: Any, *, quoted: bool = False) -> None:
        self._plan = plan
        self._column = column
        self._quoted = quoted
        self._data = np.empty(0, np.uint8)  # reused: a block is valid until the next one is taken

    def take(self, start: int, stop: int, max_bytes: int) -> VariableBlock:
        plan = self._plan
        rows = min(stop - start, _TEXT_ROWS)
        if len(self._data) < max(max_bytes, plan.max_bytes):
            self._data = np.empty(max(max_bytes, plan.max_bytes), np.uint8)
        data = self._data
        offsets = np.zeros(rows + 1, np.int32)
        validity = np.empty(rows, np.uint8) if plan.nullable else None
        buffer = column_buffer(plan, rows, data, offsets, validity, max_bytes)
        n = 0
        while n < rows:
            step = rows - n if self._column is None or isinstance(self._column, list) else min(rows - n, _PYTHON_ROWS)
            taken = self._fill(buffer, start + n, start + n + step, n)
            n += taken
            if taken < step:
                break
        return VariableBlock(offsets[: n + 1], data, _validity_part(validity, n))

    def _fill(self, buffer: ColumnBuffer, start: int, stop: int, row: int) -> int:
        if self._column is None or isinstance(self._column, list):
            return _fill_part(buffer, self._plan, self._column, start, stop, row)
        try:
            values = _python_values(self._column, start, stop)
            if self._quoted:
                values = [value if value is None else compact_json(value) for value in values]
            return fill_list(buffer, self._plan, values, 0, len(values), row)
        except Misfit as misfit:
            raise _shifted(misfit, start) from misfit.__cause__


class MetaText:
    """``$meta`` of a batch: the columns that are not fields, and ``$meta`` itself, gathered row by row."""

    def __init__(self, plan: ColumnPlan, columns: Mapping[str, Any]) -> None:
        self._plan = plan
        self._columns = columns

    def take(self, start: int, stop: int, max_bytes: int) -> VariableBlock:
        """Encode rows as JSON objects; see VariableSource."""
        stop = min(stop, start + _TEXT_ROWS)
        names = list(self._columns)
        try:
            parts = [_python_values(column, start, stop) for column in self._columns.values()]
            rows = [dict(zip(names, values, strict=True)) for values in zip(*parts, strict=True)]
            return _PythonValues(self._plan, rows).take(0, len(rows), max_bytes)
        except Misfit as misfit:
            raise _shifted(misfit, start) from misfit.__cause__


def _python_values(column: Any, start: int, stop: int) -> list[Any]:
    part = column[start:stop]
    if isinstance(part, list):
        return part
    if isinstance(part, SparseRows):
        values: list[Any] = part.to_pylist()
    elif hasattr(part, "to_pylist"):
        values = python_values(part)
    else:  # dates are kept: tolist gives some of them as a bare count of nanoseconds
        values = list(part) if part.dtype.kind in "mM" else part.tolist()
    return values


class _NumpyText:
    """NumPy strings: ``<U`` or ``S`` (UTF-8)."""

    def __init__(self, plan: ColumnPlan, array: NDArray[Any]) -> None:
        self._plan = plan
        self._array = array

    def take(self, start: int, stop: int, max_bytes: int) -> VariableBlock:
        plan = self._plan
        stop = min(stop, start + _TEXT_ROWS)
        part = self._array[start:stop]
        try:
            units = native(part if part.dtype.kind == "U" else _decoded(part))
        except Misfit as misfit:
            raise _shifted(misfit, start) from None
        rows = units.view(np.uint32).reshape(len(units), -1)
        data = np.empty(max(max_bytes, 4 * rows.shape[1], 1), np.uint8)
        offsets = np.zeros(len(rows) + 1, np.int32)
        n, reason = text_kernel.utf8_from_ucs4_into(rows, offsets, data, plan.refuse_nul)
        if reason == text_kernel.SURROGATE:
            wrong = ((rows[n] >= 0xD800) & (rows[n] < 0xE000)) | (rows[n] > 0x10FFFF)
            at = int(np.argmax(wrong))
            raise Misfit("text in Unicode", f"U+{int(rows[n, at]):04X}, no character, at position {at}", start + n)
        if n < len(rows) and not (reason == text_kernel.NO_ROOM and n > 0):
            refuse_text(plan, str(units[n]), start + n)
        return _checked(plan, VariableBlock(offsets[: n + 1], data), start)


class _ArrowText:
    """An Arrow string column: its own memory, once lengths and UTF-8 are checked."""

    def __init__(self, plan: ColumnPlan, offsets: NDArray[Any], data: Bytes, validity: Bytes | None) -> None:
        self._plan = plan
        self._offsets = offsets
        self._data = data
        self._validity = validity

    def take(self, start: int, stop: int, max_bytes: int) -> VariableBlock:
        first = int(self._offsets[start])
        ends = self._offsets[start + 1 : min(stop, start + _TEXT_ROWS) + 1]
        n = max(1, int(np.searchsorted(ends, first + max_bytes, side="right")))
        offsets = self._offsets[start : start + n + 1]
        data = self._data
        if offsets.dtype != np.int32 or offsets[-1] > _FAR:
            data = data[first : max(first, int(offsets[-1]))]
            offsets = (offsets - first).astype(np.int32)
        validity = None if self._validity is None else self._validity[start : start + n]
        return _checked(self._plan, VariableBlock(offsets, data, validity), start)


def refuse_text(plan: ColumnPlan, value: str, row: int) -> NoReturn:
    """Raise the Misfit for a text value that a kernel refused."""
    try:
        normalise(plan, value)
    except Misfit as misfit:
        raise Misfit(misfit.expected, misfit.got, row) from None
    raise AssertionError(f"field {plan.name!r}, row {row}: a kernel refused text that Python takes")


def _checked(plan: ColumnPlan, block: VariableBlock, first: int) -> VariableBlock:
    row, reason = text_kernel.check_text(
        block.offsets, block.data, plan.max_bytes, plan.refuse_nul, plan.refuse_crlf, plan.null_text, block.validity
    )
    if row < 0:
        return block
    raw = block.data[block.offsets[row] : block.offsets[row + 1]].tobytes()
    if reason == text_kernel.NOT_UTF8:
        raise Misfit(*NOT_UTF8, first + row)
    refuse_text(plan, raw.decode(), first + row)


def _decoded(array: NDArray[Any]) -> NDArray[Any]:
    for row, raw in enumerate(array.tolist()):
        try:
            raw.decode()
        except UnicodeDecodeError:
            raise Misfit(*NOT_UTF8, row) from None
    return np.char.decode(array, "utf-8")


def _fill_part(
    buffer: ColumnBuffer, plan: ColumnPlan, values: list[Any] | None, start: int, stop: int, row: int
) -> int:
    if values is not None:
        return fill_list(buffer, plan, values, start, stop, row)
    try:
        return fill_list(buffer, plan, [None] * (stop - start), 0, stop - start, row)
    except Misfit as misfit:
        raise Misfit(misfit.expected, "no such column", None) from None


def _validity_part(validity: Bytes | None, n: int) -> Bytes | None:
    if validity is None or validity[:n].all():
        return None
    return validity[:n]


def _shifted(misfit: Misfit, by: int) -> Misfit:
    return Misfit(misfit.expected, misfit.got, by if misfit.row is None else by + misfit.row)
