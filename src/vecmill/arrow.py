"""Arrow arrays -> NumPy views of the same memory. The only place that reads Arrow's buffers.

Takes every layout that Arrow has for a kind of value (list, large_list, fixed_size_list, string, large_string,
string_view, dictionary, ...), sliced or not. pyarrow is imported where it is used: a caller without Arrow never pays.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecmill.blocks import Bytes
from vecmill.misfit import Misfit
from vecmill.plan import ColumnPlan

PaArray = Any


def plain_storage(array: PaArray) -> PaArray:
    """Strip what only changes the looks of an array: extension types, dictionaries, views."""
    import pyarrow as pa
    import pyarrow.types as pt

    while isinstance(array, pa.ExtensionArray):
        array = array.storage
    if pt.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pt.is_string_view(array.type):
        array = array.cast(pa.large_string())
    elif pt.is_binary_view(array.type):
        array = array.cast(pa.large_binary())
    elif pt.is_list_view(array.type) or pt.is_large_list_view(array.type):
        array = array.cast(pa.large_list(array.type.value_field))
    return array


def validity_of(array: PaArray) -> Bytes | None:
    """Return 0/1 a row, or None where no row is null."""
    if array.null_count == 0:
        return None
    valid: Bytes = array.is_valid().to_numpy(zero_copy_only=False).astype(np.uint8)
    return valid


def _view(buffer: Any, dtype: Any, start: int, count: int) -> NDArray[Any]:
    """View ``count`` elements of an Arrow buffer from ``start`` on; an absent buffer holds nothing."""
    dtype = np.dtype(dtype)
    if buffer is None:
        return np.empty(0, dtype) if count == 0 else np.zeros(count, dtype)
    return np.frombuffer(buffer, dtype=dtype, count=count, offset=start * dtype.itemsize)


def fixed_from_arrow(plan: ColumnPlan, array: PaArray) -> NDArray[Any]:
    """Return (n,) scalars or (n, m) vectors of a plain array in their own type; null rows hold zeros.

    A view wherever no row is null. Raises Misfit for a type that has no place in the field, a ragged list (with its
    row), or a null element.
    """
    import pyarrow.types as pt

    kind = array.type
    if pt.is_null(kind):
        return np.zeros((len(array), plan.dim) if plan.is_vector else len(array), plan.element)
    if plan.is_vector:
        return _vectors(plan, array)
    if pt.is_boolean(kind):
        filled = array.fill_null(False) if array.null_count else array
        return np.asarray(filled.to_numpy(zero_copy_only=False))
    if not (pt.is_integer(kind) or pt.is_floating(kind)):
        raise Misfit(plan.expected, f"Arrow values of type {kind}")
    values = _view(array.buffers()[1], kind.to_pandas_dtype(), array.offset, len(array))
    valid = validity_of(array)
    return values if valid is None else np.where(valid.astype(bool), values, values.dtype.type(0))


def _vectors(plan: ColumnPlan, array: PaArray) -> NDArray[Any]:
    import pyarrow.types as pt

    kind, n = array.type, len(array)
    valid = validity_of(array)
    if pt.is_fixed_size_binary(kind):
        width = kind.byte_width
        matrix = _view(array.buffers()[1], np.uint8, array.offset * width, n * width).reshape(n, width)
        return _zero_nulls(matrix, valid)
    if pt.is_fixed_size_list(kind):
        size = kind.list_size
        child = plain_storage(array.values.slice(array.offset * size, n * size))
        return _zero_nulls(_elements(plan, child, size, valid, array.offset).reshape(n, size), valid)
    if pt.is_binary(kind) or pt.is_large_binary(kind):
        offsets = _view(array.buffers()[1], np.int64 if pt.is_large_binary(kind) else np.int32, array.offset, n + 1)
        whole = _view(array.buffers()[2], np.uint8, 0, 0 if array.buffers()[2] is None else array.buffers()[2].size)
        return _ragged(plan, offsets, valid, whole, plan.width, "bytes")
    if pt.is_list(kind) or pt.is_large_list(kind):
        offsets = _view(array.buffers()[1], np.int64 if pt.is_large_list(kind) else np.int32, array.offset, n + 1)
        start, stop = (int(offsets[0]), int(offsets[-1])) if n else (0, 0)
        child = plain_storage(array.values.slice(start, stop - start))
        values = _elements(plan, child, 0, None, start)
        return _ragged(plan, offsets - start if start else offsets, valid, values, plan.dim, "values")
    raise Misfit(plan.expected, f"Arrow values of type {kind}")


def _elements(plan: ColumnPlan, child: PaArray, size: int, valid: Bytes | None, first: int) -> NDArray[Any]:
    """Return the flat elements of a list column; a null among them is refused unless its whole row is null."""
    import pyarrow.types as pt

    kind = child.type
    if pt.is_boolean(kind) and plan.kind == "binary_vector":
        filled = child.fill_null(False) if child.null_count else child
        flat = np.asarray(filled.to_numpy(zero_copy_only=False))
    elif pt.is_integer(kind) or pt.is_floating(kind):
        flat = _view(child.buffers()[1], kind.to_pandas_dtype(), child.offset, len(child))
    else:
        raise Misfit(plan.expected, f"Arrow lists of type {kind}")
    if child.null_count:
        missing = ~np.asarray(child.is_valid().to_numpy(zero_copy_only=False))
        if valid is not None and size:
            missing &= np.repeat(valid.astype(bool), size)
        if missing.any():
            raise NullElement(plan, int(np.argmax(missing)))
    return flat


class NullElement(Misfit):
    """A null inside a vector; its row is known only once the offsets are looked at."""

    def __init__(self, plan: ColumnPlan, index: int) -> None:
        super().__init__(plan.expected, "a null element", index // max(plan.dim, 1))


def _ragged(
    plan: ColumnPlan, offsets: NDArray[Any], valid: Bytes | None, values: NDArray[Any], expected: int, unit: str
) -> NDArray[Any]:
    """Give lists of one length as a matrix. Binary and half vectors as bytes have lengths of their own."""
    n = len(offsets) - 1
    lengths = np.diff(offsets)
    used = lengths if valid is None else lengths[valid.astype(bool)]
    size = expected
    if unit == "values" and len(used) and int(used[0]) == plan.width and values.dtype == np.uint8:
        size = plan.width
    if (used != size).any():
        wrong = lengths != size
        if valid is not None:
            wrong &= valid.astype(bool)
        row = int(np.argmax(wrong))
        raise Misfit(f"{size} {unit}" if unit == "bytes" else plan.expected, f"{int(lengths[row])} {unit}", row)
    if valid is None:
        return values[int(offsets[0]) : int(offsets[0]) + n * size].reshape(n, size)
    matrix = np.zeros((n, size), values.dtype)
    for row in np.flatnonzero(valid).tolist():
        matrix[row] = values[int(offsets[row]) : int(offsets[row + 1])]
    return matrix


def _zero_nulls(matrix: NDArray[Any], valid: Bytes | None) -> NDArray[Any]:
    if valid is None:
        return matrix
    return np.where(valid.astype(bool)[:, None], matrix, matrix.dtype.type(0))


def text_from_arrow(plan: ColumnPlan, array: PaArray) -> tuple[NDArray[Any], Bytes]:
    """Return (offsets (n + 1,) int32 or int64, data) of a plain string array, as views of its memory."""
    import pyarrow.types as pt

    kind, n = array.type, len(array)
    if pt.is_null(kind):
        return np.zeros(n + 1, np.int32), np.empty(0, np.uint8)
    if not (pt.is_string(kind) or pt.is_large_string(kind)):
        raise Misfit(plan.expected, f"Arrow values of type {kind}")
    buffers = array.buffers()
    offsets = _view(buffers[1], np.int64 if pt.is_large_string(kind) else np.int32, array.offset, n + 1)
    data = np.empty(0, np.uint8) if buffers[2] is None else np.frombuffer(buffers[2], np.uint8)
    return offsets, data
