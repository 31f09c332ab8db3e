"""The policy of casts: which columns are changed before they are written, and how.

Safe casts keep the meaning of a value: dates become ISO 8601 text, nested values JSON, integers another width if they
are in range, floats the precision of the field (rounded to nearest). The writer checks every value. Unsafe casts may
lose information, and are made only on request; see `_unsafe`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from vecmill.convert import vectors
from vecmill.convert.options import Policy
from vecmill.encode.arrow import iso_texts
from vecmill.encode.misfit import Misfit
from vecmill.encode.plain import python_values
from vecmill.errors import DataError, SchemaError
from vecmill.schema.collection import CollectionSchema
from vecmill.schema.fields import FieldSchema
from vecmill.sources.base import Column, Source, names_text
from vecmill.sources.text.columns import Unfit
from vecmill.sources.text.fields import Wanted, cells_of, read_column, type_of_field
from vecmill.types.json import compact_json

# Types of Arrow of which pyarrow has no arrays.
_NO_ARRAYS = ("month_interval", "day_time_interval")

Cast = Callable[[Any], Any]
"""A change of one batch of a column, a pyarrow Array or an ndarray. It raises DataError with the row in that batch."""


def plan_casts(
    source: Source,
    schema: CollectionSchema,
    *,
    policy: Policy = "safe",
    normalize: Sequence[str] = (),
    scale: Mapping[str, float] | None = None,
) -> dict[str, Cast | None]:
    """Return the cast of every column. Raises DataError before the first row when columns and fields do not match.

    ``normalize`` and ``scale`` (in this order) change vectors before the cast. Raises SchemaError if they name a column
    without vectors.
    """
    fields = {field.name: field for field in schema.written_fields()}
    columns: dict[str, Column] = {column.name: column for column in source.columns}
    _match(source, schema, fields, columns)
    for name in (*normalize, *(scale or {})):
        if name not in fields or fields[name].kind.group != "dense" or name not in columns:
            raise SchemaError("only a dense vector with a column of its own can be normalized or scaled", field=name)
    return {
        name: _of_forms(
            {
                form: _in_turn([s for _, s in _steps(one, fields.get(name), policy, normalize, scale or {})])
                for form, one in _forms(column).items()
            }
        )
        for name, column in columns.items()
    }


def _forms(column: Column) -> dict[Any, Column]:
    """Return a column as it comes in each of the types that its files have."""
    return {type_: replace(column, type=type_) for type_, _ in column.forms} or {column.type: column}


def _of_forms(casts: Mapping[Any, Cast | None]) -> Cast | None:
    """Return the cast of a column that comes in several types: each batch is held to the field as it is."""
    if len(casts) == 1 or not any(casts.values()):
        return next(iter(casts.values()))

    def cast(values: Any) -> Any:
        of_type = casts.get(values.type)
        return values if of_type is None else of_type(values)

    return cast


def cast_words(
    source: Source, schema: CollectionSchema, policy: Policy, normalize: Sequence[str], scale: Mapping[str, float]
) -> dict[str, list[str]]:
    """Return the changes of every column as text for people; see `plan_casts`."""
    fields = {field.name: field for field in schema.written_fields()}
    found: dict[str, list[str]] = {}
    for column in source.columns:
        steps = [
            s for one in _forms(column).values() for s in _steps(one, fields.get(column.name), policy, normalize, scale)
        ]
        found[column.name] = list(dict.fromkeys(words for words, _ in steps if words))
    return found


def _steps(
    column: Column, field: FieldSchema | None, policy: Policy, normalize: Sequence[str], scale: Mapping[str, float]
) -> list[tuple[str, Cast]]:
    """Return the changes of one column in the order they are made, each with its text."""
    import pyarrow.types as t

    name = column.name
    steps: list[tuple[str, Cast]] = []
    if _is_bfloat16(column) and (name in normalize or name in scale or policy == "unsafe"):
        steps.append(("", vectors.from_bfloat16))
    if name in normalize:
        steps.append(("scaled to length 1", vectors.normalized(name)))
    if name in scale:
        steps.append((f"times {scale[name]:g}", vectors.scaled(name, scale[name])))
    unsafe = _unsafe(column, field) if policy == "unsafe" else None
    if unsafe is not None:
        steps.append(("unsafe cast", unsafe))
    if field is not None and field.kind.group in _READ_FROM_TEXT and _class_of(_plain(column.type)) == "text":
        steps.append(("", _FromText(field, lenient=policy == "unsafe")))
    if field is not None and field.kind.group in ("text", "timestamptz") and _is_date(column.type):
        steps.append(("as ISO 8601 text", _as_iso_text if field.kind.group == "text" else _as_they_are))
    elif (field is None or field.kind.is_json) and (_is_date(column.type) or t.is_nested(column.type)):
        steps.append(("as JSON", _as_they_are))
    return steps


def _plain(kind: Any) -> Any:
    """Return the Arrow type in which the values of a type are stored."""
    import pyarrow.types as t

    while t.is_dictionary(kind) or hasattr(kind, "storage_type"):
        kind = kind.value_type if t.is_dictionary(kind) else kind.storage_type
    return kind


# Text in their place can only be one of their values.
_READ_FROM_TEXT = ("dense", "array", "struct", "sparse", "timestamptz")


class _FromText:
    """Text of vectors, lists and times as the field has them: the same forms as in a cell of CSV."""

    def __init__(self, field: FieldSchema, *, lenient: bool) -> None:
        self._field = field
        self._wanted = Wanted(type_of_field(field), field, lenient)

    def __call__(self, values: Any) -> Any:
        try:
            return read_column(cells_of(values), self._wanted)
        except Unfit as unfit:
            raise DataError(field=self._field.name, row=unfit.row, expected=unfit.expected, got=unfit.got) from None


def _as_they_are(values: Any) -> Any:
    """Return values of which the writer makes text."""
    return values


def _is_date(kind: Any) -> bool:
    import pyarrow.types as t

    return bool(t.is_temporal(kind) or t.is_interval(kind))


def _as_iso_text(values: Any) -> Any:
    try:
        return iso_texts(values)
    except Misfit as misfit:
        raise misfit.at(None, 0) from misfit


class _JsonText:
    """Nested values of one column as JSON text, a null row as null; dates in them as ISO 8601."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, values: Any) -> list[str | None]:
        """Return the values of one batch as text. Raises DataError with the row for what has no JSON form."""
        texts: list[str | None] = []
        try:
            rows = values.tolist() if isinstance(values, np.ndarray) else python_values(values)
        except Misfit as misfit:
            raise misfit.at(self._name, 0) from misfit
        for i, row in enumerate(rows):
            try:
                texts.append(None if row is None else compact_json(row))
            except (TypeError, ValueError) as err:
                raise DataError(field=self._name, row=i, expected="values that JSON can hold", got=str(err)) from err
        return texts


def _match(source: Source, schema: CollectionSchema, fields: Mapping[str, Any], columns: Mapping[str, Column]) -> None:
    first = source.locate(0)[0]
    for name, field in fields.items():
        column = columns.get(name)
        if field.nullable or field.is_dynamic or field.default_value is not None:
            continue
        if column is None or column.absent:
            file = first if column is None else column.absent
            got = f"columns {names_text([c.name for c in columns.values() if not c.file or column is None])}"
            raise DataError(file=file, field=name, expected="a column for this field", got=got)
    for name, column in columns.items():
        for type_, file in column.forms or ((column.type, source.locate(0, name)[0]),):
            if str(type_) in _NO_ARRAYS:
                got = f"values of type {type_}; cast them to text, or leave the column out (--map, columns=)"
                raise DataError(file=file, field=name, expected="a column that pyarrow can read", got=got)
            _check_dims(file, type_, fields.get(name))
    extra = [name for name in columns if name not in fields]
    if extra and not schema.enable_dynamic_field:
        raise DataError(
            file=columns[extra[0]].file or first,
            expected="columns that are fields of the schema",
            got=f"{names_text(extra)}; select columns (columns=, --map), or give the schema a dynamic field",
        )


def _check_dims(file: str, type_: Any, field: FieldSchema | None) -> None:
    """Raise DataError if the type of a column fixes a vector length that the field does not have."""
    import pyarrow.types as t

    if field is None or field.kind.group != "dense" or not t.is_fixed_size_list(type_) or not field.dim:
        return
    fits = {field.dim}
    element = type_.value_type
    if (field.kind.is_bits and t.is_integer(element)) or (field.kind.is_half and t.is_uint8(element)):
        fits.add(field.kind.n_elements(field.dim))  # their bytes
    if type_.list_size not in fits:
        got = f"{type_.list_size} in every row (a column of type {type_})"
        raise DataError(file=file, field=field.name, expected=f"vectors of {field.dim} values", got=got)


def _is_bfloat16(column: Column) -> bool:
    import pyarrow.types as t

    return bool(t.is_fixed_size_list(column.type) and t.is_fixed_size_binary(column.type.value_type))


def _in_turn(steps: list[Cast]) -> Cast | None:
    if len(steps) < 2:
        return steps[0] if steps else None

    def cast(values: Any) -> Any:
        for step in steps:
            values = step(values)
        return values

    return cast


def _unsafe(column: Column, field: FieldSchema | None) -> Cast | None:
    """Return the cast that may lose information. None: the safe cast takes the column.

    - to integers: floats lose their fraction, text is read as a number, true is 1
    - to floats: text is read as a number, true is 1
    - to BOOL: a number is true unless it is 0; text is one of true, false, 1, 0
    - to VARCHAR: numbers and booleans in decimal, lists and structs as JSON
    - to vectors of integers: floats are rounded to the nearest integer in range
    - to vectors of bits: floats become the bit 1 where they are above 0

    Values that are out of range or not numbers are still refused, with their row.
    """
    import pyarrow.types as t

    if field is None:
        return None
    kind = column.type
    while hasattr(kind, "storage_type"):
        kind = kind.storage_type
    if field.kind.group == "dense":
        return _unsafe_vector(column, field, kind)
    if field.kind.group == "text" and t.is_nested(kind):
        return _JsonText(field.name)
    steps = _UNSAFE.get((field.kind.group, _class_of(kind)))
    if steps is None:
        return None
    types, expected = steps
    return _Scalars(field.name, types, expected)


def _unsafe_vector(column: Column, field: FieldSchema, kind: Any) -> Cast | None:
    import pyarrow.types as t

    is_list = t.is_list(kind) or t.is_large_list(kind) or t.is_fixed_size_list(kind)
    if not is_list or not (t.is_floating(kind.value_type) or _is_bfloat16(column)):
        return None
    if field.kind.is_bits:
        return vectors.signs(field.name)
    if field.kind.limits is None or field.kind.descr is None:
        return None
    return vectors.rounded(field.name, field.kind.limits, field.kind.descr)


def _class_of(kind: Any) -> str:
    """Return the class of an Arrow type: "float", "int", "bool", "text" or ""."""
    import pyarrow.types as t

    if t.is_floating(kind):
        return "float"
    if t.is_integer(kind):
        return "int"
    if t.is_boolean(kind):
        return "bool"
    if t.is_duration(kind):
        return "duration"
    if t.is_decimal(kind):
        return "decimal" if kind.scale > 0 or kind.precision > 18 else "int"
    return "text" if t.is_string(kind) or t.is_large_string(kind) or t.is_string_view(kind) else ""


_WHOLE, _NUMBERS, _TRUTH, _TEXTS = "whole numbers", "numbers", "true or false", "values with a text form"
# (group of the field, class of the column): the Arrow types to cast to, in turn, and what is expected.
_UNSAFE: Mapping[tuple[str, str], tuple[tuple[str, ...], str]] = {
    ("int", "float"): (("float64", "int64"), _WHOLE),
    ("int", "text"): (("int64",), _WHOLE),
    ("int", "bool"): (("int64",), _WHOLE),
    ("int", "decimal"): (("float64", "int64"), _WHOLE),
    ("int", "duration"): (("int64",), _WHOLE),
    ("float", "decimal"): (("float64",), _NUMBERS),
    ("float", "text"): (("float64",), _NUMBERS),
    ("float", "bool"): (("int8", "float64"), _NUMBERS),
    ("bool", "int"): (("bool",), _TRUTH),
    ("bool", "float"): (("bool",), _TRUTH),
    ("bool", "text"): (("bool",), _TRUTH),
    ("text", "int"): (("string",), _TEXTS),
    ("text", "float"): (("string",), _TEXTS),
    ("text", "bool"): (("string",), _TEXTS),
}


class _Scalars:
    """Casts one column to a series of Arrow types. Raises DataError with the first row that cannot be cast."""

    def __init__(self, name: str, types: tuple[str, ...], expected: str) -> None:
        self._name = name
        self._types = types
        self._expected = expected

    def __call__(self, values: Any) -> Any:
        import pyarrow as pa

        array = values if isinstance(values, pa.Array) else pa.array(values)
        try:
            return self._cast(array)
        except (pa.ArrowException, ValueError, OverflowError):
            row = self._first_bad(array)
            got = repr(array[row].as_py())
            raise DataError(field=self._name, row=row, expected=self._expected, got=got) from None

    def _cast(self, array: Any) -> Any:
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.types as t

        for type_ in map(pa.type_for_alias, self._types):
            if t.is_floating(array.type) and t.is_integer(type_):
                whole = pc.trunc(array)
                # 2**63 is the first float64 that INT64 does not hold.
                fits = pc.and_(pc.greater_equal(whole, -(2.0**63)), pc.less(whole, 2.0**63))
                if pc.all(fits).as_py() is False:
                    raise pa.ArrowInvalid("out of range")
                array = whole.cast(type_, safe=False)
            else:
                array = array.cast(type_)
        return array

    def _first_bad(self, array: Any) -> int:
        """Return the first row that cannot be cast, found by bisection."""
        import pyarrow as pa

        low, high = 0, len(array)
        while high - low > 1:
            middle = (low + high) // 2
            try:
                self._cast(array[low:middle])
                low = middle
            except (pa.ArrowException, ValueError, OverflowError):
                high = middle
        return low
