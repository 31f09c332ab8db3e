"""Arrow arrays -> NumPy views of the same memory. Only this module reads Arrow's buffers.

Takes every layout that Arrow has for a value (list, large_list, fixed_size_list, string, large_string, string_view,
dictionary, ...), sliced or not. pyarrow is imported inside of functions: callers without Arrow data never import it.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from vecmill.encode.blocks import Bytes
from vecmill.encode.durations import duration_texts
from vecmill.encode.misfit import Misfit
from vecmill.encode.plan import ColumnPlan

PaArray = Any


def plain_storage(array: PaArray) -> PaArray:
    """Return the array without extension types, dictionaries, runs and string views.

    Raises Misfit for an extension type whose storage says something else than its values.
    """
    import pyarrow as pa
    import pyarrow.types as pt

    while isinstance(array, pa.ExtensionArray):
        array = _storage(array)
    if pt.is_run_end_encoded(array.type):
        from pyarrow.compute import run_end_decode

        array = run_end_decode(array)
    if pt.is_dictionary(array.type):
        # Not dictionary_decode: Arrow cannot decode a dictionary of string_view, which Polars gives for categories.
        array = plain_storage(array.dictionary).take(array.indices)
    if pt.is_string_view(array.type):
        array = array.cast(pa.large_string())
    elif pt.is_binary_view(array.type):
        array = array.cast(pa.large_binary())
    return array


def _storage(array: PaArray) -> PaArray:
    import pyarrow as pa

    name = array.type.extension_name
    if name in ("pandas.period", "pandas.interval"):
        raise Misfit("values that a field can hold", f"Arrow values of type {name}; give their text, or their ends")
    if name == "arrow.uuid":
        texts = (None if raw is None else str(UUID(bytes=raw)) for raw in array.storage.to_pylist())
        return pa.array(texts, pa.string())
    return array.storage.cast(pa.bool_()) if name == "arrow.bool8" else array.storage


def validity_of(array: PaArray) -> Bytes | None:
    """Return (n,) uint8, 0 for a null row. None: no row is null."""
    if array.null_count == 0:
        return None
    valid: Bytes = array.is_valid().to_numpy(zero_copy_only=False).astype(np.uint8)
    return valid


def _view(buffer: Any, dtype: Any, start: int, count: int) -> NDArray[Any]:
    """Return ``count`` elements of an Arrow buffer from ``start`` on as a view; zeros for an absent buffer."""
    dtype = np.dtype(dtype)
    if buffer is None or buffer.size == 0:  # of no rows, at whatever offset
        return np.zeros(count, dtype)
    return np.frombuffer(buffer, dtype=dtype, count=count, offset=start * dtype.itemsize)


def fixed_from_arrow(plan: ColumnPlan, array: PaArray) -> NDArray[Any]:
    """Return (n,) scalars or (n, m) vectors of a plain array in their own type; null rows hold zeros.

    A view if no row is null. Raises Misfit for a type that the field does not take, and, with the row, for a list of
    another length or with a null element.
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
    buffers = array.buffers()
    if pt.is_fixed_size_binary(kind):
        width = kind.byte_width
        whole = _view(buffers[1], np.uint8, array.offset * width, n * width)
        return _of_bytes(
            plan, _ragged(plan, np.arange(n) * width, np.full(n, width), valid, whole, plan.width, "bytes")
        )
    if pt.is_binary(kind) or pt.is_large_binary(kind):
        offsets = _view(buffers[1], np.int64 if pt.is_large_binary(kind) else np.int32, array.offset, n + 1)
        whole = _view(buffers[2], np.uint8, 0, 0 if buffers[2] is None else buffers[2].size)
        return _of_bytes(plan, _ragged(plan, offsets[:-1], np.diff(offsets), valid, whole, plan.width, "bytes"))
    if not is_list(kind):
        raise Misfit(plan.expected, f"Arrow values of type {kind}")
    starts, lengths, values = list_layout(array)
    if _is_bytes(kind.value_type) and (lengths[_rows(n, valid)] == 1).all():
        return _vectors(plan, plain_storage(values).take(_indices(starts, valid)))
    if pt.is_fixed_size_list(kind):
        size = kind.list_size
        child = plain_storage(values.slice(array.offset * size, n * size))
        _refuse_null(plan, child, starts - array.offset * size, lengths, valid)
        return _zero_nulls(_elements(plan, child).reshape(n, size), valid)
    used = starts if valid is None else starts[valid.astype(bool)]
    ends = starts + lengths if valid is None else (starts + lengths)[valid.astype(bool)]
    first, last = (int(used.min()), int(ends.max())) if len(used) else (0, 0)
    child = plain_storage(values.slice(first, last - first))
    _refuse_null(plan, child, starts - first, lengths, valid)
    return _ragged(plan, starts - first, lengths, valid, _elements(plan, child), plan.dim, "values")


def _of_bytes(plan: ColumnPlan, raw: Bytes) -> NDArray[Any]:
    """Return (n, width) bytes of vectors as their elements."""
    vectors = raw.view(plan.element)
    return vectors if vectors.flags.aligned else vectors.copy()


def _is_bytes(kind: Any) -> bool:
    import pyarrow.types as pt

    return any(one(kind) for one in (pt.is_binary, pt.is_large_binary, pt.is_binary_view, pt.is_fixed_size_binary))


def _indices(starts: NDArray[Any], valid: Bytes | None) -> PaArray:
    import pyarrow as pa

    return pa.array(starts.astype(np.int64), mask=None if valid is None else ~valid.astype(bool))


def _rows(n: int, valid: Bytes | None) -> NDArray[Any]:
    """Return the rows that are not null."""
    return np.arange(n) if valid is None else np.flatnonzero(valid)


def is_list(kind: Any) -> bool:
    """Return True for an Arrow type of lists, of any layout."""
    import pyarrow.types as pt

    of_lists = (pt.is_list, pt.is_large_list, pt.is_fixed_size_list, pt.is_list_view, pt.is_large_list_view)
    return any(one(kind) for one in of_lists)


def has_index_members(kind: Any) -> bool:
    """Return True for a struct whose members are named by indices: dicts of sparse vectors, the keys of all rows."""
    import pyarrow.types as pt

    return bool(pt.is_struct(kind) and kind.num_fields and all(field.name.isdecimal() for field in kind))


def is_json_text(kind: Any) -> bool:
    """Return True for text that is JSON by its type."""
    return getattr(kind, "extension_name", "") == "arrow.json"


def is_text(kind: Any) -> bool:
    """Return True for text: a string type of either width."""
    import pyarrow.types as pt

    return bool(pt.is_string(kind) or pt.is_large_string(kind))


def struct_members(array: PaArray, names: list[str]) -> dict[str, PaArray] | None:
    """Return the members of an array of structs of exactly these, in any order. None: it is of another type.

    Lists that are all empty may have elements of type null: they are the members too.
    """
    import pyarrow.types as pt

    if pt.is_null(array.type):
        return dict.fromkeys(names, array)
    if not pt.is_struct(array.type) or sorted(field.name for field in array.type) != sorted(names):
        return None
    return {name: array.field(name) for name in names}


def list_layout(array: PaArray) -> tuple[NDArray[Any], NDArray[Any], PaArray]:
    """Return (starts (n,), lengths (n,), values) of an array of lists; undefined for null rows."""
    import pyarrow.types as pt

    kind, n, buffers = array.type, len(array), array.buffers()
    if pt.is_fixed_size_list(kind):
        return (array.offset + np.arange(n)) * kind.list_size, np.full(n, kind.list_size), array.values
    wide = np.int64 if pt.is_large_list(kind) or pt.is_large_list_view(kind) else np.int32
    if pt.is_list_view(kind) or pt.is_large_list_view(kind):
        # Not by Arrow's cast to large_list, which gives empty lists behind a null (26.0.1).
        starts, lengths = (_view(buffers[i], wide, array.offset, n) for i in (1, 2))
        return starts, lengths, array.values
    offsets = _view(buffers[1], wide, array.offset, n + 1)
    return offsets[:-1], np.diff(offsets), array.values


def _elements(plan: ColumnPlan, child: PaArray) -> NDArray[Any]:
    """Return the flat elements of a list column; the value of a null element is undefined."""
    import pyarrow.types as pt

    kind = child.type
    if pt.is_boolean(kind) and plan.kind.is_bits:
        filled = child.fill_null(False) if child.null_count else child
        return np.asarray(filled.to_numpy(zero_copy_only=False))
    if pt.is_integer(kind) or pt.is_floating(kind):
        return _view(child.buffers()[1], kind.to_pandas_dtype(), child.offset, len(child))
    if pt.is_null(kind):
        return np.zeros(len(child), plan.element)
    if pt.is_decimal(kind):
        return np.asarray(child.cast("float64").to_numpy(zero_copy_only=False))
    raise Misfit(plan.expected, f"Arrow lists of type {kind}")


def _refuse_null(
    plan: ColumnPlan, child: PaArray, starts: NDArray[Any], lengths: NDArray[Any], valid: Bytes | None
) -> None:
    """Raise Misfit for a null element, unless its whole row is null."""
    if child.null_count == 0:
        return
    present = np.asarray(child.is_valid().to_numpy(zero_copy_only=False))
    for row, (start, length) in enumerate(zip(starts.tolist(), lengths.tolist(), strict=True)):
        if (valid is None or valid[row]) and not present[start : start + length].all():
            raise Misfit(plan.expected, "a null element", row)


def _ragged(
    plan: ColumnPlan,
    starts: NDArray[Any],
    lengths: NDArray[Any],
    valid: Bytes | None,
    values: NDArray[Any],
    expected: int,
    unit: str,
) -> NDArray[Any]:
    """Return lists of one length as (n, length); Misfit, with the row, for a list of another length.

    Lists of numbers may also be the bytes of vectors.
    """
    n = len(starts)
    rows = _rows(n, valid)
    used = lengths if valid is None else lengths[rows]
    size = expected
    if unit == "values" and len(used) and int(used[0]) == plan.packed_length(values.dtype):
        size = plan.packed_length(values.dtype)
    if (used != size).any():
        row = int(rows[np.argmax(used != size)])
        raise Misfit(plan.expected_bytes if unit == "bytes" else plan.expected, f"{int(lengths[row])} {unit}", row)
    if not len(rows):
        return np.zeros((n, size), values.dtype)
    begins = starts[rows]
    first, end = int(begins[0]), int(begins[0]) + len(rows) * size
    if (begins == np.arange(first, end, size)).all():  # one behind the other, as most makers lay them out
        dense = values[first:end].reshape(len(rows), size)
    else:
        dense = sliding_window_view(values, size)[begins]
    if valid is None:
        return dense
    matrix = np.zeros((n, size), values.dtype)
    matrix[rows] = dense
    return matrix


def _zero_nulls(matrix: NDArray[Any], valid: Bytes | None) -> NDArray[Any]:
    if valid is None:
        return matrix
    return np.where(valid.astype(bool)[:, None], matrix, matrix.dtype.type(0))


def map_layout(array: PaArray) -> tuple[NDArray[Any], PaArray, PaArray]:
    """Return (cuts (n + 1,), keys, items) of an array of maps: row i has entries cuts[i] to cuts[i + 1]."""
    return _view(array.buffers()[1], np.int32, array.offset, len(array) + 1), array.keys, array.items


def iso_texts(array: PaArray) -> PaArray:
    """Return dates, times or timestamps as text: ``2024-05-01``, ``2024-05-01T12:00:00.000Z``; instants in UTC.

    Durations and intervals are ISO 8601, too: ``P1DT2H0.5S``. Raises Misfit with the row for a year that has no such
    text.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as pt

    if pt.is_duration(array.type) or pt.is_interval(array.type):
        return duration_texts(array)
    plain = array
    if pt.is_timestamp(array.type):
        # The instants are UTC already. Formatting them with their zone would need a zone database on every machine.
        plain = array.cast(pa.int64()).cast(pa.timestamp(array.type.unit))
    text = plain.cast(pa.string())
    odd = pc.starts_with(text, "<")  # "<value out of range: ...>"
    if pc.any(odd).as_py():
        row = pc.index(odd, True).as_py()
        raise Misfit("a time in the years -32767 to 32767", text[row].as_py().strip("<>"), row)
    if not pt.is_timestamp(array.type):
        return text
    text = pc.replace_substring(text, " ", "T", max_replacements=1)
    return text if array.type.tz is None else pc.binary_join_element_wise(text, "Z", "")


def text_from_arrow(plan: ColumnPlan, array: PaArray) -> tuple[NDArray[Any], Bytes]:
    """Return (offsets (n + 1,) int32 or int64, data) of a plain array of strings or bytes, views; nulls are empty."""
    import pyarrow.types as pt

    kind, n = array.type, len(array)
    if pt.is_null(kind):
        return np.zeros(n + 1, np.int32), np.empty(0, np.uint8)
    is_large = pt.is_large_string(kind) or pt.is_large_binary(kind)
    if not (is_large or pt.is_string(kind) or pt.is_binary(kind)):
        raise Misfit(plan.expected, f"Arrow values of type {kind}")
    buffers = array.buffers()
    offsets = _view(buffers[1], np.int64 if is_large else np.int32, array.offset, n + 1)
    if array.null_count and np.diff(offsets)[~np.asarray(array.is_valid())].any():
        return text_from_arrow(plan, array.fill_null(b""))  # a null may have bytes beneath it, which are no value
    data = np.empty(0, np.uint8) if buffers[2] is None else np.frombuffer(buffers[2], np.uint8)
    return offsets, data
