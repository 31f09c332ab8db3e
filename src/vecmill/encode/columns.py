"""Columns of a batch, checked against the schema and encoded into blocks.

A column is a NumPy array, an Arrow array or a list of Python values. Fixed width columns are encoded block by block
while they are consumed: check, conversion and write find the block in the cache, and only one block is held. Text is
encoded in pieces that the caller bounds. Errors are Misfits with the row in the column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from vecmill._native import row_check
from vecmill._native.columns import ColumnBuffer
from vecmill.encode.arrow import (
    fixed_from_arrow,
    has_index_members,
    is_json_text,
    is_list,
    is_text,
    plain_storage,
    text_from_arrow,
    validity_of,
)
from vecmill.encode.blocks import Bytes, FixedBlock, VariableBlock
from vecmill.encode.decimals import for_field
from vecmill.encode.dense import encode_fixed
from vecmill.encode.lists import ArrowArrays, ArrowStructs, MatrixArrays, SparseMatrix
from vecmill.encode.misfit import Misfit, describe
from vecmill.encode.plain import has_text_form, python_values
from vecmill.encode.plan import ColumnPlan
from vecmill.encode.texts import TEXT_ROWS, ArrowText, NumpyText, checked, decoded, shifted
from vecmill.encode.values import column_buffer, fill_list
from vecmill.schema.fields import DYNAMIC_FIELD
from vecmill.types.json import compact_json
from vecmill.types.sparse import SparseRows
from vecmill.types.text import META

# Larger blocks fall out of the cache between check, checksum and write.
BLOCK_BYTES = 2 * 1024 * 1024
# Rows that are made into Python values at once: few enough for long arrays, many enough to make the calls cheap.
_PYTHON_ROWS = 1024


# By group: what text of dates, times and UUIDs becomes. Other text for a JSON field is JSON, this is a value; instants
# end as those of a datetime in UTC do.
_FORMS: Mapping[str, Callable[[str], str]] = {
    "json": compact_json,
    "timestamptz": lambda text: text.removesuffix("Z") + "+00:00" if text.endswith("Z") else text,
}


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
        return _PythonValues(plan, array if array.dtype.kind == "U" else decoded(array))
    return NumpyText(plan, array)


def _open_arrow(plan: ColumnPlan, array: Any) -> Source:
    found = _open_objects(plan, array)
    if found is not None:
        return found
    form = _FORMS.get(plan.kind.group) if has_text_form(array.type) else None
    array = for_field(plan, plain_storage(array))
    if plan.items and is_list(array.type):
        _refuse_null_row(plan, array)
        return ArrowArrays(plan, array) if plan.kind.group == "array" else ArrowStructs(plan, array)
    if (
        plan.kind.is_json
        and form is None
        and is_text(array.type)
        and (plan.default is None or plan.kind is META or not array.null_count)
    ):
        _refuse_null_row(plan, array)
        return JsonText(plan, array)
    if plan.is_variable and plan.kind.group != "text":
        return _PythonValues(plan, array, form=form)
    if plan.default is not None and array.null_count:
        return open_column(plan, array.to_pylist(), len(array))
    _refuse_null_row(plan, array)
    if plan.is_variable:
        offsets, data = text_from_arrow(plan, array)
        return ArrowText(plan, offsets, data, validity_of(array))
    if array.null_count == 0:
        return _NumpyFixed(plan, fixed_from_arrow(plan, array))
    return _ArrowFixed(plan, array)


def _open_objects(plan: ColumnPlan, array: Any) -> Source | None:
    """Return the source of lists and objects in JSON text, or in structs of indices; None for other arrays."""
    if plan.kind.group in ("sparse", "array", "struct") and is_json_text(array.type):
        return _PythonValues(plan, array)
    if plan.kind.group == "sparse" and has_index_members(array.type):
        return _PythonValues(plan, [_present(row) for row in array.to_pylist()])
    return None


def _present(row: dict[str, Any] | None) -> dict[int, Any] | None:
    """Return the members of a struct that are no nulls: those that its row had."""
    return None if row is None else {int(name): value for name, value in row.items() if value is not None}


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
                raise shifted(misfit, low) from None
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
                raise shifted(misfit, low) from None
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

    ``form`` makes what the field takes of the values of an array. None: it takes them as they are.
    """

    def __init__(self, plan: ColumnPlan, column: Any, *, form: Callable[[str], str] | None = None) -> None:
        self._plan = plan
        self._column = column
        self._form = form
        self._data = np.empty(0, np.uint8)  # reused: a block is valid until the next one is taken

    def take(self, start: int, stop: int, max_bytes: int) -> VariableBlock:
        plan = self._plan
        rows = min(stop - start, TEXT_ROWS)
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
            if self._form is not None:
                values = [value if value is None else self._form(value) for value in values]
            return fill_list(buffer, self._plan, values, 0, len(values), row)
        except Misfit as misfit:
            raise shifted(misfit, start) from misfit.__cause__


class MetaText:
    """``$meta`` of a batch: the columns that are not fields, and ``$meta`` itself, gathered row by row."""

    def __init__(self, plan: ColumnPlan, columns: Mapping[str, Any]) -> None:
        self._plan = plan
        self._columns = columns

    def take(self, start: int, stop: int, max_bytes: int) -> VariableBlock:
        """Encode rows as JSON objects; see VariableSource."""
        stop = min(stop, start + TEXT_ROWS)
        names = list(self._columns)
        try:
            parts = [_python_values(column, start, stop) for column in self._columns.values()]
            rows = [dict(zip(names, values, strict=True)) for values in zip(*parts, strict=True)]
            return _PythonValues(self._plan, rows).take(0, len(rows), max_bytes)
        except Misfit as misfit:
            raise shifted(misfit, start) from misfit.__cause__


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


class JsonText:
    """JSON text in an Arrow array, of a JSON field or the dynamic field: a kernel passes what is certainly valid.

    What it does not pass is checked value by value. ``names``: fields, no keys of dynamic values.
    """

    def __init__(self, plan: ColumnPlan, array: Any, names: Sequence[str] = ()) -> None:
        self._plan = plan
        self._array = array
        self._names = [name.encode() for name in names]
        self._text = ArrowText(plan, *text_from_arrow(plan, array), validity_of(array))

    def take(self, start: int, stop: int, max_bytes: int) -> VariableBlock:
        """See VariableSource."""
        plan = self._plan
        block = self._text.cut(start, stop, max_bytes)
        validity = None if block.validity is None else np.asarray(block.validity, np.uint8)
        passed = row_check.json_passed(
            block.offsets, block.data, validity, self._names, plan.kind is META, plan.json_digits, plan.max_bytes
        )
        if passed == block.n_rows and not (plan.kind is META and validity is not None):
            return checked(plan, block, start)
        if plan.kind is META:
            return MetaText(plan, {DYNAMIC_FIELD: self._array}).take(start, stop, max_bytes)
        return _PythonValues(plan, self._array).take(start, stop, max_bytes)


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
