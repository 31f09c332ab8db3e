"""Spans of text -> columns: NumPy matrices for vectors, Arrow arrays for everything else.

Every function gets the spans of one column and the type it has to have, and raises `Unfit` for the first value that
has another one.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecmill._native import csv_read, json_read, number_read
from vecmill.sources.text.lists import numbers_of
from vecmill.sources.text.stream import Bytes
from vecmill.sources.text.types import is_json, is_sparse
from vecmill.types.sparse import from_pgvector

_EXACT = float(1 << 53)


class Unfit(Exception):  # noqa: N818 (raised and caught here, like a Misfit)
    """A value that is not of the type of its column: its row among the spans, what was expected and what was found."""

    def __init__(self, row: int, expected: str, got: str) -> None:
        super().__init__(row, expected, got)
        self.row, self.expected, self.got = row, expected, got


@cache
def _others(kinds: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return for every kind whether it is neither null nor one of these."""
    table = np.ones(256, np.bool_)
    table[[json_read.NULL_VALUE, *kinds]] = False
    return table


class Values:
    """The spans of one column. ``style``: how escaped text is written, JSON or one of `csv_read`."""

    __slots__ = ("data", "ends", "kinds", "starts", "style")

    def __init__(
        self, data: Bytes, starts: NDArray[np.int64], ends: NDArray[np.int64], kinds: NDArray[np.uint8], style: int
    ) -> None:
        self.data, self.starts, self.ends, self.kinds, self.style = data, starts, ends, kinds, style

    def __len__(self) -> int:
        return len(self.kinds)

    @property
    def is_json(self) -> bool:
        """Return True if kinds are those of JSON; in other text every value is a string."""
        return self.style == csv_read.JSON

    def raw(self, row: int) -> str:
        """Return a value as it stands in the file, shortened to 40 characters."""
        if not self.kinds[row]:
            return "null"
        text = self.data[self.starts[row] : min(self.ends[row], self.starts[row] + 60)].tobytes()
        shown = text.decode(errors="replace")
        shown = shown if self.ends[row] - self.starts[row] <= 40 else f"{shown[:37]}..."
        return shown if self.is_json else repr(shown)

    def text(self, row: int) -> str | None:
        """Return a whole value, without quotes and escapes if it is text. None: null."""
        if not self.kinds[row]:
            return None
        alone = slice(row, row + 1)
        value = Values(self.data, self.starts[alone], self.ends[alone], self.kinds[alone], self.style)
        is_text = not self.is_json or self.kinds[row] in (json_read.STRING, json_read.ESCAPED)
        try:
            found: str = (_strings(value, None) if is_text else _json_texts_plain(value))[0].as_py()
        except Unfit:  # it has no form in Unicode
            return self.raw(row)
        return found

    def only(self, expected: str, *kinds: int) -> None:
        """Raise Unfit for the first JSON value that is neither null nor of these kinds."""
        if self.is_json:
            wrong = _others(kinds)[self.kinds]
            if wrong.any():
                row = int(np.argmax(wrong))
                raise Unfit(row, expected, self.raw(row))

    def nulls(self) -> NDArray[np.bool_] | None:
        """Return a mask of the null rows (n,). None: there are none."""
        mask = self.kinds == json_read.NULL_VALUE
        return mask if mask.any() else None


def decode(values: Values, type_: Any) -> Any:
    """Return the column: an ndarray for vectors without nulls, else a pyarrow Array of ``type_``."""
    import pyarrow.types as t

    for is_kind, function in (
        (t.is_null, _nothing),
        (is_json, _json_texts),
        (is_sparse, _sparse),
        (t.is_integer, _integers),
        (t.is_floating, _floats),
        (t.is_boolean, _bools),
        (t.is_string, _strings),
        (t.is_timestamp, _instants),
        (t.is_fixed_size_list, _vectors),
        (t.is_list, _lists),
    ):
        if is_kind(type_):
            return function(values, type_)
    raise TypeError(f"text has no values of type {type_}")


def _nothing(values: Values, type_: Any) -> Any:
    import pyarrow as pa

    if values.kinds.any():
        row = int(np.argmax(values.kinds != json_read.NULL_VALUE))
        raise Unfit(row, "null, as in the first rows (or give the column a type)", values.raw(row))
    return pa.nulls(len(values))


def _array(values: NDArray[Any], type_: Any, nulls: NDArray[np.bool_] | None) -> Any:
    import pyarrow as pa

    return pa.array(values, type_, mask=nulls)


def _integers(values: Values, type_: Any) -> Any:
    values.only("an integer", json_read.INT)
    out = np.empty(len(values), np.int64)
    row, reason = number_read.int64s_into(
        values.data, values.starts, values.ends, values.kinds, out, not values.is_json
    )
    expected = f"an integer that {type_} holds" if reason == number_read.RANGE else "an integer"
    if row < 0 and type_.bit_width < 64:
        info = np.iinfo(type_.to_pandas_dtype())
        wrong = (out < info.min) | (out > info.max)
        if wrong.any():
            row, expected = int(np.argmax(wrong)), f"an integer that {type_} holds"
    if row >= 0:
        raise Unfit(row, expected, values.raw(row))
    return _array(out, type_, values.nulls())


def _floats(values: Values, type_: Any) -> Any:
    values.only("a number", json_read.INT, json_read.FLOAT)
    out = np.empty(len(values), np.float64)
    row, _ = number_read.float64s_into(values.data, values.starts, values.ends, values.kinds, out, not values.is_json)
    if row >= 0:
        raise Unfit(row, "a number", values.raw(row))
    if type_.bit_width == 64:
        for row in np.flatnonzero(np.abs(out) >= _EXACT).tolist():
            text = values.data[values.starts[row] : values.ends[row]].tobytes()
            if text.lstrip(b"+-").isdigit() and int(text) != int(out[row]):
                raise Unfit(row, "a number that a float64 holds exactly", values.raw(row))
    return _array(out.astype(type_.to_pandas_dtype(), copy=False), type_, values.nulls())


def _bools(values: Values, type_: Any) -> Any:
    values.only("true or false", json_read.TRUE, json_read.FALSE)
    if values.is_json:
        return _array(values.kinds == json_read.TRUE, type_, values.nulls())
    out = np.zeros(len(values), np.bool_)
    for row, text in enumerate(_strings(values, None).to_pylist()):
        word = None if text is None else text.lower()
        if word not in (None, "true", "false", "t", "f", "1", "0"):
            raise Unfit(row, "true or false", repr(text))
        out[row] = word in ("true", "t", "1")
    return _array(out, type_, values.nulls())


def _instants(values: Values, type_: Any) -> Any:
    """Return numbers since 1970, in the unit of the type."""
    import pyarrow as pa

    return _integers(values, pa.int64()).cast(type_)


def decode_text(values: Values) -> Any:
    """Return text as a pyarrow Array. Raises Unfit for what is no text."""
    return _strings(values, None)


def strings_of(values: Values) -> list[str | None]:
    """Return text without quotes and escapes. Raises Unfit for what is no text."""
    return list(_strings(values, None).to_pylist())


def texts_of(values: Values) -> list[str | None]:
    """Return values of JSON as they stand there."""
    return list(_json_texts_plain(values).to_pylist())


def _strings(values: Values, type_: Any) -> Any:
    values.only("text", json_read.STRING, json_read.ESCAPED)
    return _gather(values, values.kinds, values.style)


def _gather(values: Values, kinds: NDArray[np.uint8], style: int) -> Any:
    import pyarrow as pa

    n = len(values)
    present = kinds != json_read.NULL_VALUE
    offsets = np.empty(n + 1, np.int32)
    out = np.empty(max(1, int((values.ends - values.starts)[present].sum())), np.uint8)
    row, reason = csv_read.strings_into(values.data, values.starts, values.ends, kinds, style, offsets, out)
    if row >= 0:
        surrogate = reason == csv_read.SURROGATE
        raise Unfit(
            row, "text in Unicode" if surrogate else "text in UTF-8",
            "the escape of a lone surrogate" if surrogate else "bytes that are not UTF-8",
        )  # fmt: skip
    if len(out) > 2 * offsets[n] + 64:  # most of it was quotes and escapes, or nothing
        out = out[: offsets[n]].copy()
    validity = None if present.all() else pa.py_buffer(np.packbits(present, bitorder="little"))
    return pa.StringArray.from_buffers(n, pa.py_buffer(offsets), pa.py_buffer(out), validity)


def _json_texts(values: Values, type_: Any) -> Any:
    import pyarrow as pa

    if values.is_json:  # the value as it stands there
        kinds = np.where(values.kinds == json_read.NULL_VALUE, 0, json_read.STRING).astype(np.uint8)
        texts = _gather(values, kinds, csv_read.BACKSLASH)
    else:
        texts = _strings(values, None)
    return pa.ExtensionArray.from_storage(type_, texts)


def _vectors(values: Values, type_: Any) -> Any:
    import pyarrow as pa
    import pyarrow.types as t

    dim = type_.list_size
    element = type_.value_type
    as_int = t.is_integer(element)
    what = f"a list of {dim} {'integers' if as_int else 'numbers'}"
    values.only(what, json_read.ARRAY)
    out = np.empty((len(values), dim), np.int64 if as_int else np.float32)
    into: Callable[..., tuple[int, int, int]] = (
        number_read.int64_lists_into if as_int else number_read.float32_lists_into
    )
    row, reason, found = into(values.data, values.starts, values.ends, values.kinds, out, not values.is_json)
    if row >= 0:
        raise Unfit(row, what, f"{found} of them" if reason == number_read.LENGTH else values.raw(row))
    matrix = out.astype(element.to_pandas_dtype(), copy=False)
    nulls = values.nulls()
    if nulls is None:
        return matrix
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.reshape(-1)), type=type_, mask=pa.array(nulls))


def _parsed(values: Values, parse: Callable[[str], Any], expected: str) -> list[Any]:
    """Return every value, parsed one by one in Python: for the kinds that are rare."""
    rows: list[Any] = []
    for row, text in enumerate(_json_texts_plain(values).to_pylist()):
        try:
            rows.append(None if text is None else parse(text))
        except (ValueError, RecursionError):
            raise Unfit(row, expected, values.raw(row)) from None
    return rows


def _json_texts_plain(values: Values) -> Any:
    from vecmill.sources.text.types import json_type

    return _json_texts(values, json_type()).storage


def _lists(values: Values, type_: Any) -> Any:
    import pyarrow as pa
    import pyarrow.types as t

    what = f"a list of {type_.value_type} values"
    values.only(what, json_read.ARRAY)
    element = type_.value_type
    takes: tuple[type, ...] = (str,)
    if t.is_boolean(element):
        takes = (bool,)
    elif t.is_integer(element):
        takes = (int,)
    elif t.is_floating(element):
        takes = (int, float)

    def parse(text: str) -> list[Any]:
        found = numbers_of(text) if not values.is_json and int in takes else None
        rows = found if found is not None else json.loads(text)
        for item in rows if isinstance(rows, list) else (None,):
            if not isinstance(item, takes) or (isinstance(item, bool) and bool not in takes):
                raise ValueError(text)
        return list(rows)

    rows = _parsed(values, parse, what)
    try:
        return pa.array(rows, type_)
    except (pa.ArrowException, OverflowError) as err:
        for row, value in enumerate(rows):
            try:
                pa.array([value], type_)
            except (pa.ArrowException, OverflowError):
                raise Unfit(row, what, values.raw(row)) from err
        raise


def _sparse(values: Values, type_: Any) -> Any:
    import pyarrow as pa

    rows = _parsed(values, from_pgvector, "a sparse vector such as {1:0.5,3:2}/5")
    both = [None if row is None else {"indices": list(row), "values": list(row.values())} for row in rows]
    return pa.array(both, type_)
