"""Python values -> column buffers: the kernel's fast path, and the slow path for each value that it refuses.

The slow path brings a value into a form that the kernel takes, or raises a Misfit: NumPy scalars, tensors, mixed lists,
big-endian arrays, and every mistake. The caller's object is never changed.
"""

from __future__ import annotations

import numbers
import operator
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from vecmill._native import columns as kernel
from vecmill.encode.blocks import Bytes
from vecmill.encode.dense import encode_fixed
from vecmill.encode.misfit import NOT_UTF8, Misfit, describe
from vecmill.encode.plan import ColumnPlan

_ON_CPU = 1  # DLPack's name for main memory


def as_ndarray(value: Any) -> NDArray[Any] | None:
    """Return the array of an object with an array protocol (NumPy, DLPack, ``__array__``, torch). None: it has none.

    An array on another device is copied to main memory. Raises Misfit for masked values, and what the libraries raise
    for an array that NumPy cannot read.
    """
    if isinstance(value, np.ma.MaskedArray):
        if np.ma.is_masked(value):
            raise Misfit("an array without masked values", f"one of shape {value.shape} with some")
        return value.data
    if isinstance(value, np.ndarray):
        return value
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        tensor = value.detach().cpu()
        # NumPy has no bfloat16: every one is exactly a float32.
        return np.asarray((tensor.to(torch.float32) if tensor.dtype == torch.bfloat16 else tensor).numpy())
    if hasattr(value, "__dlpack__") and hasattr(value, "__dlpack_device__"):
        found = _by_dlpack(value)
        if found is not None:
            return found
    if hasattr(value, "__array__") and not isinstance(value, np.generic):
        return np.asarray(value)
    if isinstance(value, memoryview):
        return np.asarray(value)
    return None


def _by_dlpack(value: Any) -> NDArray[Any] | None:
    """Return an array by DLPack, from another device as a copy. None: by ``__array__``, which knows more types."""
    ways: list[dict[str, Any]] = [{}] if value.__dlpack_device__()[0] == _ON_CPU else [{"device": "cpu"}, {}]
    refused: Exception | None = None
    for options in ways:
        try:
            return np.from_dlpack(value, **options)
        except (BufferError, RuntimeError, TypeError, ValueError) as error:
            refused = refused or error
    if callable(getattr(value, "get", None)):  # CuPy before 14 gives DLPack to its own device only
        return np.asarray(value.get())
    if refused is not None and not hasattr(value, "__array__"):
        raise refused
    return None


def normalise(plan: ColumnPlan, value: Any) -> Any:
    """Return ``value`` in the form that the kernel takes for sure. Raises Misfit (row 0) if it does not fit."""
    try:
        if plan.is_vector:
            return _vector(plan, value)
        if plan.items:
            return _elements(plan, value)
        if plan.is_variable:
            return _text(plan, value)
        return _scalar(plan, value)
    except Misfit as misfit:
        raise Misfit(misfit.expected, misfit.got, 0) from misfit.__cause__
    except MemoryError:
        raise
    except Exception as error:  # the caller's own __array__, __index__, __len__, ...: this value is bad, not the writer
        raise Misfit(plan.expected, f"{describe(value)}, which raises {type(error).__name__}: {error}", 0) from error


def _vector(plan: ColumnPlan, value: Any) -> bytes | NDArray[Any]:
    if isinstance(value, Sequence) and len(value) == 1 and isinstance(value[0], bytes | bytearray):
        value = value[0]  # as MilvusClient.query returns vectors that are stored as bytes
    if isinstance(value, bytes | bytearray):
        if len(value) != plan.width:
            raise Misfit(plan.expected_bytes, f"{len(value)} bytes")
        row = np.frombuffer(value, dtype=plan.element)
    else:
        array = as_ndarray(value)
        row = _array_of_list(plan, value) if array is None else array
        if row.dtype.kind == "O":
            row = _array_of_list(plan, row.tolist())
    if row.ndim != 1:
        raise Misfit(f"{plan.expected} in one dimension", describe(row))
    if len(row) not in (plan.dim, plan.packed_length(row.dtype)):
        raise Misfit(plan.expected, f"{len(row)} values")
    encoded = encode_fixed(plan, row[None, :], _slot(plan))
    raw = encoded[0].tobytes()  # copied: the kernel takes aligned arrays only
    return np.frombuffer(raw, plan.element) if plan.kind.itemsize > 1 else raw


def _slot(plan: ColumnPlan) -> Bytes:
    return np.empty((1, plan.width), np.uint8)


def _array_of_list(plan: ColumnPlan, value: Any) -> NDArray[Any]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise Misfit(plan.expected, describe(value))
    is_bits = plan.kind.is_bits
    if len(value) not in (plan.dim, plan.width if is_bits else plan.dim):
        raise Misfit(plan.expected, f"{len(value)} values")
    for position, item in enumerate(value):
        is_bool = isinstance(item, bool | np.bool_)
        if not (is_bits and len(value) == plan.dim if is_bool else _is_real(item)):
            raise Misfit(plan.expected, f"{describe(item)} at position {position}")
    if is_bits and len(value) == plan.dim:
        return np.array([item if item in (0, 1) else 2 for item in value], dtype=np.uint8)
    try:
        array = np.asarray(value)
        return array if array.dtype.kind in "fiu" else np.asarray(value, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        raise Misfit(plan.expected, "a list that NumPy cannot read as numbers") from None


def _is_real(item: object) -> bool:
    if isinstance(item, np.generic):  # NumPy's timedelta64 passes for a numbers.Integral; bfloat16 is of kind V
        return item.dtype.kind in "fiuV" and not isinstance(item, np.void)
    return isinstance(item, numbers.Real)


def _elements(plan: ColumnPlan, value: Any) -> list[Any]:
    """Return the elements of an array as the kernel takes them: plain values, or dicts of them."""
    array = as_ndarray(value)
    if array is not None:
        if array.ndim != 1 and plan.kind.group == "array":
            raise Misfit(f"{plan.expected}, in one dimension", describe(array))
        value = list(array)
    if not isinstance(value, Sequence) or isinstance(value, str | bytes | bytearray):
        raise Misfit(plan.expected, describe(value))
    if len(value) > plan.capacity or (plan.refuse_empty and not value):
        why = " (the server reads an empty list of a nullable field as null)" if not value else ""
        raise Misfit(plan.expected, f"{len(value)} elements{why}")
    if plan.kind.group == "array":
        plain = [_element(plan.items[0], one, f"at position {i}") for i, one in enumerate(value)]
    else:
        plain = [_struct(plan, one, i) for i, one in enumerate(value)]
    return plain


def _struct(plan: ColumnPlan, value: Any, position: int) -> dict[str, Any]:
    names = [item.name for item in plan.items]
    if not isinstance(value, Mapping) or set(value) != set(names):
        got = f"the keys {', '.join(map(repr, value))}" if isinstance(value, Mapping) else describe(value)
        raise Misfit(f"dicts with exactly the keys {', '.join(map(repr, names))}", f"{got} at position {position}")
    return {
        item.name: _element(item, value[item.name], f"in {item.name!r} at position {position}") for item in plan.items
    }


def _element(item: ColumnPlan, value: Any, where: str) -> Any:
    if value is None:
        raise Misfit(item.expected, f"None {where}")
    try:
        return normalise(item, value)
    except Misfit as misfit:
        raise Misfit(misfit.expected, f"{misfit.got} {where}") from misfit.__cause__


def _text(plan: ColumnPlan, value: Any) -> str:
    text = _own_text(plan, value)
    try:
        n_bytes = len(text.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise Misfit("text in Unicode", f"a lone surrogate at position {error.start}") from None
    if n_bytes > plan.max_bytes >= 0:
        raise Misfit(plan.expected, f"{n_bytes} bytes ({len(text)} characters)")
    rules = plan.text_rules
    if rules.refuse_nul and "\0" in text:
        raise Misfit(f"text without U+0000, which {plan.format_name} cannot carry (use PARQUET)", "a NUL character")
    if rules.refuse_crlf and "\r\n" in text:
        where = f"a CR LF at position {text.index(chr(13) + chr(10))}"
        raise Misfit("text without CR LF, which the server reads from CSV as a bare LF (use PARQUET or JSON)", where)
    if rules.null_text is not None and text.encode() == rules.null_text:
        raise Misfit(
            "text that is not the null key: the server would take it for a null "
            "(config={'nullkey': ...} names another, which the import has to be told)",
            repr(text),
        )
    return text


def _own_text(plan: ColumnPlan, value: Any) -> str:
    """Return the text of a value, of which only the type is checked."""
    if isinstance(value, bytes | bytearray):
        try:
            value = value.decode()
        except UnicodeDecodeError:
            raise Misfit(*NOT_UTF8) from None
    if plan.encode is not None:
        try:
            return plan.encode(value)
        except MemoryError:
            raise
        except Exception as error:
            raise Misfit(plan.expected, str(error) or type(error).__name__) from error
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Decimal) and value.is_finite():
        return f"{value:f}"
    if not isinstance(value, str):
        raise Misfit(plan.expected, describe(value))
    return value


def _scalar(plan: ColumnPlan, value: Any) -> bool | int | float:
    if plan.kind.group == "bool" and isinstance(value, bool):  # the kernel takes it, but not beside what is wrong
        return value
    found = np.asarray(value) if isinstance(value, np.generic) else as_ndarray(value)
    if found is None:
        array = _array_of_number(plan, value)
    elif found.ndim == 0 and found.dtype.kind != "O":
        array = found
    else:
        raise Misfit(plan.expected, describe(value))
    try:
        encoded = encode_fixed(plan, array.reshape(1), _slot(plan))
    except Misfit as misfit:
        raise Misfit(misfit.expected, describe(value) if array.dtype.kind != "f" else misfit.got) from None
    result: bool | int | float = encoded.view(plan.element).item()
    return result


def _array_of_number(plan: ColumnPlan, value: Any) -> NDArray[Any]:
    if isinstance(value, Decimal):
        value = _number_of(plan, value)
    if isinstance(value, bool) or not (isinstance(value, float) or hasattr(value, "__index__")):
        raise Misfit(plan.expected, describe(value))
    number = value if isinstance(value, float) else operator.index(value)
    try:
        is_float = isinstance(number, float) or plan.kind.group == "float"
        return np.asarray(number, dtype=np.float64 if is_float else np.int64)
    except OverflowError:
        raise Misfit(plan.expected, describe(value)) from None


def _number_of(plan: ColumnPlan, value: Decimal) -> Any:
    """Return the int or float of a Decimal that has its value; the Decimal itself if there is none."""
    if plan.kind.group == "int" and value.is_finite() and value == value.to_integral_value():
        return int(value) if value.adjusted() < 20 else value
    is_exact = plan.kind.group == "float" and value.is_finite() and Decimal(repr(float(value))) == value
    return float(value) if is_exact else value


def column_buffer(
    plan: ColumnPlan,
    capacity: int,
    values: Bytes,
    offsets: Any = None,
    validity: Bytes | None = None,
    room: int | None = None,
) -> kernel.ColumnBuffer:
    """Return a column buffer over memory of the caller; for its shape see ColumnBuffer."""
    return kernel.ColumnBuffer(
        name=plan.name, kind=plan.kind.name, capacity=capacity, values=values, width=plan.width,
        dim=plan.dim or plan.capacity, offsets=offsets, validity=validity, max_bytes=plan.max_bytes,
        text_rules=plan.text_rules, room=room, refuse_empty=plan.refuse_empty, default=plan.default, encode=plan.encode,
        items=[_item_buffer(item) for item in plan.items],
    )  # fmt: skip


def _item_buffer(plan: ColumnPlan) -> kernel.ColumnBuffer:
    """Return the buffer in which single elements of an array are encoded."""
    values = np.empty(plan.width or plan.max_bytes, np.uint8)
    return column_buffer(plan, 1, values, np.zeros(2, np.int32) if plan.is_variable else None)


def fill_list(buffer: kernel.ColumnBuffer, plan: ColumnPlan, values: list[Any], start: int, stop: int, row: int) -> int:
    """Put ``values[start:stop]`` into a column buffer from ``row`` on; return the number of values taken.

    Raises Misfit, with the row in ``values``.
    """
    taken = 0
    while True:
        k, status = buffer.fill(values, start + taken, stop, row + taken)
        taken += k
        if status in (kernel.OK, kernel.FULL):
            return taken
        if status == kernel.MISSING:
            raise Misfit(plan.expected_not_null, "None", start + taken)
        value = values[start + taken]
        try:
            plain = normalise(plan, value)
        except Misfit as misfit:
            raise Misfit(misfit.expected, misfit.got, start + taken) from misfit.__cause__
        k, status = buffer.fill([plain], 0, 1, row + taken)
        if status == kernel.FULL:
            return taken
        if status != kernel.OK:
            raise Misfit(plan.expected, describe(value), start + taken)
        taken += 1
