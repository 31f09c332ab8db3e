"""Columns of text as their fields take them: the schema decides what a value is, the kernels read its usual form.

A value in another form is read by `values`, alone; what is no value of its field is refused with its row.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecmill._native import csv_read, json_read
from vecmill.schema.fields import FieldSchema
from vecmill.sources.text.columns import Unfit, Values, decode, decode_text, strings_of, texts_of
from vecmill.sources.text.types import is_json, is_text, is_vector, json_type, vector_type
from vecmill.sources.text.values import value_of
from vecmill.sources.text.vectors import Unread

_ELEMENTS = {"bool": "bool_", "int": "int64", "float": "float64", "text": "string"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a column of text is read as.

    Attributes
    ----------
    type: its ``pyarrow.DataType``.
    field: the field that it feeds. None: the type alone decides.
    lenient: take text, numbers and bools for one another; see `values.value_of`.
    decimal: the character before the fraction of a number.
    all_quoted: every cell is in quotes, so that they do not tell an empty text from a null.
    refuse_escapes: text with a backslash that may be an escape is refused: nothing tells.
    """

    type: Any
    field: FieldSchema | None = None
    lenient: bool = False
    decimal: str = "."
    all_quoted: bool = False
    refuse_escapes: bool = False

    @property
    def takes_empty_text(self) -> bool:
        """Whether an empty cell is empty text: of a field that has neither nulls nor a default."""
        field = self.field
        return field is not None and field.kind.group == "text" and not field.nullable and field.default_value is None


def type_of_field(field: FieldSchema) -> Any:
    """Return the Arrow type that text is read as for a field; None for the dynamic field."""
    import pyarrow as pa

    if field.is_dynamic:
        return None
    group = field.kind.group
    if group == "dense":
        dim = field.dim or 0
        return vector_type(dim // 8 if field.kind.is_bits else dim, "float32" if field.kind.floats else "int64")
    if group == "array":
        element = FieldSchema(field.name, field.element_type, max_length=field.max_length)
        return pa.list_(getattr(pa, _ELEMENTS[element.kind.group])())
    if group in ("json", "sparse", "struct"):
        return json_type()
    return getattr(pa, _ELEMENTS.get(group, "string"))()


def cells_of(array: Any) -> Values:
    """Return the values of an Arrow array of text, as the cells of a column."""
    import pyarrow as pa

    array = getattr(array, "storage", array).cast(pa.large_string())
    offsets = np.frombuffer(array.buffers()[1], np.int64)[array.offset : array.offset + len(array) + 1]
    data = array.buffers()[2]
    kinds = np.full(len(array), json_read.STRING, np.uint8)
    if array.null_count:
        kinds[~np.asarray(array.is_valid())] = json_read.NULL_VALUE
    bytes_ = np.zeros(1, np.uint8) if data is None or not data.size else np.frombuffer(data, np.uint8)
    return Values(bytes_, offsets[:-1], offsets[1:], kinds, csv_read.BACKSLASH)


def read_column(values: Values, wanted: Wanted) -> Any:
    """Return a column: an ndarray for vectors without nulls, else a pyarrow Array. Raises Unfit."""
    if wanted.refuse_escapes and is_text(wanted.type):
        _check_escapes(values)
    if wanted.field is None:
        if wanted.lenient and values.is_json and is_text(wanted.type):
            return _text_of_any(values)
        return decode(values, wanted.type)
    if not values.is_json:
        values = _cells(values, wanted)
    try:
        if not _is_odd(values, wanted):
            return decode(values, wanted.type)
    except Unfit:
        pass  # read by value, or refused there
    if is_vector(wanted.type) and wanted.type.value_type == "float":
        found = _vectors_in_text(values, wanted)
        if found is not None:
            return found
    return _by_value(values, wanted)


def _is_odd(values: Values, wanted: Wanted) -> bool:
    """Whether the kernels would take values of the type that are not those of the field."""
    group = wanted.field.kind.group if wanted.field is not None else ""
    if group in ("sparse", "struct"):
        return True
    if group == "json":  # text is the value that it says
        return values.is_json and bool(np.isin(values.kinds, (json_read.STRING, json_read.ESCAPED)).any())
    if group == "timestamptz":
        return not _are_usual_times(values)
    return wanted.decimal != "." and not values.is_json and group in ("float", "array")


def _text_of_any(values: Values) -> Any:
    """Return text as it is, and other values as they stand in the file."""
    import pyarrow as pa

    other = ~np.isin(values.kinds, (json_read.NULL_VALUE, json_read.STRING, json_read.ESCAPED))
    if not other.any():
        return decode_text(values)
    kinds = np.where(other, json_read.NULL_VALUE, values.kinds).astype(np.uint8)
    texts = strings_of(Values(values.data, values.starts, values.ends, kinds, values.style))
    raws = texts_of(values)
    return pa.array([raws[i] if other[i] else text for i, text in enumerate(texts)], pa.string())


def _check_escapes(values: Values) -> None:
    r"""Raise Unfit for text with ``\n``, ``\t``, ``\r``, ``\\`` or ``\N`` in it."""
    import pyarrow.compute as pc

    found = pc.match_substring_regex(decode_text(values), r"\\[ntr\\]|^\\N$")
    row = pc.index(found, True).as_py()
    if row >= 0:
        way = "--kind copy --header reads escapes, --kind csv --separator tab takes it as it is"
        raise Unfit(row, f"text in which no backslash may be an escape ({way})", values.raw(row))


_USUAL_TIME = r"^\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)?| \d\d:\d\d:\d\d(\.\d{1,6})?)$"


def _are_usual_times(values: Values) -> bool:
    """Whether all times are in the form that servers read. Raises Unfit for what is no text."""
    import pyarrow.compute as pc

    return pc.all(pc.match_substring_regex(decode_text(values), _USUAL_TIME)).as_py() is not False


def _cells(values: Values, wanted: Wanted) -> Values:
    """Return cells in which an empty one is what the field takes it for: text, or a null, quoted or not."""
    kinds = values.kinds
    if wanted.takes_empty_text:
        empty = (kinds == json_read.NULL_VALUE) & (values.starts >= 0) & (values.starts == values.ends)
        instead = json_read.STRING
    elif wanted.all_quoted or (wanted.field is not None and wanted.field.kind.group != "text"):
        empty = (kinds != json_read.NULL_VALUE) & (values.starts == values.ends)
        instead = json_read.NULL_VALUE
    else:
        return values
    if not empty.any():
        return values
    return Values(
        values.data, values.starts, values.ends, np.where(empty, instead, kinds).astype(np.uint8), values.style
    )


def _vectors_in_text(values: Values, wanted: Wanted) -> Any:
    """Return vectors of floats of which some are text of a list, by the kernel. None: some are in another form."""
    inside = (values.kinds == json_read.STRING).astype(np.int64) if values.is_json else 0
    known = np.isin(values.kinds, (json_read.NULL_VALUE, json_read.STRING, json_read.ARRAY))
    if not known.all():
        return None
    kinds = np.where(values.kinds == json_read.NULL_VALUE, 0, json_read.STRING).astype(np.uint8)
    cells = Values(values.data, values.starts + inside, values.ends - inside, kinds, csv_read.BACKSLASH)
    try:
        return decode(cells, wanted.type)
    except Unfit:
        return None


def _by_value(values: Values, wanted: Wanted) -> Any:
    """Read every value alone. Raises Unfit for the first that is none of the field."""
    field = wanted.field
    assert field is not None
    raws = texts_of(values) if values.is_json else strings_of(values)
    out: list[Any] = []
    for row, raw in enumerate(raws):
        if raw is None:
            out.append(None)
            continue
        try:
            value = json.loads(raw) if values.is_json else raw
            out.append(
                value_of(field, value, raw, is_json=values.is_json, lenient=wanted.lenient, decimal=wanted.decimal)
            )
        except (ValueError, RecursionError):
            raise Unfit(row, expected_of(field), values.raw(row)) from None
        except Unread as unread:
            raise Unfit(row, unread.expected or expected_of(field), unread.got or values.raw(row)) from None
    return _column(out, wanted)


def expected_of(field: FieldSchema) -> str:
    """Return what a value of a field is in text, in words."""
    group, dim = field.kind.group, field.dim
    if group == "dense":
        what = "numbers" if field.kind.floats else "0s and 1s, or of their bytes" if field.kind.is_bits else "integers"
        return f"a list of {dim} {what}"
    if group == "array":
        element = FieldSchema(field.name, field.element_type, max_length=field.max_length)
        return f"a list of {element.kind.dtype.name} values"
    words = {"int": "an integer", "float": "a number", "bool": "true or false", "text": "text"}
    words |= {"sparse": "a sparse vector", "struct": "a list of objects with the sub-fields as keys"}
    return words.get(group, group)


def _column(rows: Sequence[Any], wanted: Wanted) -> Any:
    import pyarrow as pa

    type_ = wanted.type
    if is_vector(type_):
        return _matrix(rows, type_)
    if is_json(type_):
        field = wanted.field
        if field is not None and field.kind.group != "json":
            rows = [None if row is None else json.dumps(row, default=_plain) for row in rows]
        return pa.ExtensionArray.from_storage(type_, pa.array(rows, pa.string()))
    try:
        return pa.array(rows, type_)
    except (pa.ArrowException, OverflowError):
        for row, value in enumerate(rows):
            try:
                pa.array([value], type_)
            except (pa.ArrowException, OverflowError):
                raise Unfit(row, f"values that {type_} holds", repr(value)[:40]) from None
        raise


def _plain(value: Any) -> Any:
    return value.tolist()


def _matrix(rows: Sequence[Any], type_: Any) -> Any:
    import pyarrow as pa

    dtype = type_.value_type.to_pandas_dtype()
    nulls: NDArray[np.bool_] = np.array([row is None for row in rows], np.bool_)
    out = np.zeros((len(rows), type_.list_size), dtype)
    for i, row in enumerate(rows):
        if row is not None:
            out[i] = row
    if not nulls.any():
        return out
    return pa.FixedSizeListArray.from_arrays(pa.array(out.reshape(-1)), type=type_, mask=pa.array(nulls))
