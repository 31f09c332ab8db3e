"""The field types of Milvus, and ONE table row per type that says how a value of it is laid out.

Everything that depends on a type reads :data:`TYPES`, so that a new type is one new row here.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Literal

from vecmill.errors import SchemaError
from vecmill.types.timestamptz import timestamptz_problem

Group = Literal["bool", "int", "float", "text", "json", "dense", "sparse", "array", "struct", "geometry", "timestamptz"]

FLOAT32_MAX = 3.4028234663852886e38
"""Largest finite float32; a larger float64 becomes infinite when it is narrowed."""


class DataType(IntEnum):
    """Type of a field, with the names and integer values of ``pymilvus.DataType`` (they go over the wire)."""

    NONE = 0
    BOOL = 1
    INT8 = 2
    INT16 = 3
    INT32 = 4
    INT64 = 5
    FLOAT = 10
    DOUBLE = 11
    STRING = 20
    VARCHAR = 21
    ARRAY = 22
    JSON = 23
    GEOMETRY = 24
    TEXT = 25
    TIMESTAMPTZ = 26
    BINARY_VECTOR = 100
    FLOAT_VECTOR = 101
    FLOAT16_VECTOR = 102
    BFLOAT16_VECTOR = 103
    SPARSE_FLOAT_VECTOR = 104
    INT8_VECTOR = 105
    # How the server stores struct arrays inside; users see ARRAY with element type STRUCT.
    _ARRAY_OF_VECTOR = 106
    _ARRAY_OF_STRUCT = 200
    STRUCT = 201
    UNKNOWN = 999


@dataclass(frozen=True, slots=True)
class TypeSpec:
    """What the rest of vecmill has to know about one type.

    Attributes
    ----------
    dtype: the type itself.
    group: types of one group are checked and encoded by the same code.
    descr: NumPy descr of one element, as it stands in an NPY file and in a column buffer; None for variable width.
        Elements are not values: a float16 vector is stored as ``2 * dim`` elements of ``|u1``.
    bits_per_dim: bits that one dimension takes in a dense vector, else 0.
    rest_names: spellings of the type in the REST API, the server's own first.
    """

    dtype: DataType
    group: Group
    descr: str | None
    bits_per_dim: int
    rest_names: tuple[str, ...]

    @property
    def itemsize(self) -> int:
        """Return the bytes of one element (0 for variable width)."""
        return int(self.descr[2:]) if self.descr is not None else 0

    @property
    def limits(self) -> tuple[int, int] | None:
        """Return the smallest and the largest value of an integer type, else None."""
        if self.group != "int":
            return None
        top: int = 1 << (8 * self.itemsize - 1)
        return -top, top - 1

    @property
    def is_vector(self) -> bool:
        """Return whether the type is a vector, dense or sparse."""
        return self.group in ("dense", "sparse")

    def vector_nbytes(self, dim: int) -> int:
        """Return the bytes of one dense vector of ``dim`` dimensions (0 when the type is no dense vector)."""
        return dim * self.bits_per_dim // 8


def _table() -> Mapping[DataType, TypeSpec]:
    t = DataType
    rows = (
        TypeSpec(t.BOOL, "bool", "|b1", 0, ("Bool",)),
        TypeSpec(t.INT8, "int", "|i1", 0, ("Int8",)),
        TypeSpec(t.INT16, "int", "<i2", 0, ("Int16",)),
        TypeSpec(t.INT32, "int", "<i4", 0, ("Int32",)),
        TypeSpec(t.INT64, "int", "<i8", 0, ("Int64",)),
        TypeSpec(t.FLOAT, "float", "<f4", 0, ("Float",)),
        TypeSpec(t.DOUBLE, "float", "<f8", 0, ("Double",)),
        # The server knows STRING but refuses it in a schema; it has a row so that the refusal can be worded.
        TypeSpec(t.STRING, "text", None, 0, ("String",)),
        TypeSpec(t.VARCHAR, "text", None, 0, ("VarChar",)),
        TypeSpec(t.TEXT, "text", None, 0, ("Text",)),
        TypeSpec(t.JSON, "json", None, 0, ("JSON", "Json")),
        TypeSpec(t.GEOMETRY, "geometry", None, 0, ("Geometry",)),
        TypeSpec(t.TIMESTAMPTZ, "timestamptz", None, 0, ("Timestamptz", "TimestampTz")),
        TypeSpec(t.ARRAY, "array", None, 0, ("Array",)),
        TypeSpec(t.STRUCT, "struct", None, 0, ("Struct", "ArrayOfStruct")),
        TypeSpec(t.BINARY_VECTOR, "dense", "|u1", 1, ("BinaryVector",)),
        TypeSpec(t.FLOAT_VECTOR, "dense", "<f4", 32, ("FloatVector",)),
        TypeSpec(t.FLOAT16_VECTOR, "dense", "|u1", 16, ("Float16Vector",)),
        TypeSpec(t.BFLOAT16_VECTOR, "dense", "|u1", 16, ("BFloat16Vector",)),
        TypeSpec(t.INT8_VECTOR, "dense", "|i1", 8, ("Int8Vector",)),
        TypeSpec(t.SPARSE_FLOAT_VECTOR, "sparse", None, 0, ("SparseFloatVector", "SparseVector")),
    )
    return MappingProxyType({row.dtype: row for row in rows})


TYPES: Mapping[DataType, TypeSpec] = _table()
"""The one table: a row for every type that a field can have."""

ELEMENT_TYPES: frozenset[DataType] = frozenset(t for t, s in TYPES.items() if s.group in ("bool", "int", "float")) | {
    DataType.VARCHAR
}
"""Types that the elements of an ARRAY can have."""


def fold_name(name: object) -> str:
    """Return a name without case and punctuation: "is_primary", "isPrimary" and "IS-PRIMARY" are one name."""
    return "".join(c for c in str(name).lower() if c.isalnum())


# Both spellings fold to the same key: "FLOAT_VECTOR" and "FloatVector" are "floatvector".
_BY_NAME = {fold_name(name): member for name, member in DataType.__members__.items()} | {
    fold_name(name): spec.dtype for spec in TYPES.values() for name in spec.rest_names
}


def parse_datatype(value: object) -> DataType:
    """Return the :class:`DataType` that ``value`` means.

    Taken are a DataType, pymilvus' enum or anything else integer-like, and a name in any case and either spelling
    ("FLOAT_VECTOR", "FloatVector", "int64").

    Raises SchemaError for everything else, and for NONE and UNKNOWN, which no field can have.
    """
    found: DataType | None = None
    if isinstance(value, str):
        found = _BY_NAME.get(fold_name(value))
    elif not isinstance(value, bool):
        try:
            # Enums that are not integers themselves carry one in .value.
            found = DataType(operator.index(getattr(value, "value", value)))  # type: ignore[arg-type]
        except (TypeError, ValueError):
            found = None
    if found is None or found in (DataType.NONE, DataType.UNKNOWN):
        raise SchemaError(f"unknown data type {value!r}")
    return found


def plain_value(value: object) -> object:
    """Return ``value`` as a plain Python object: NumPy scalars and protobuf ``ValueField`` objects are unwrapped.

    A ``ValueField`` is known by its ``WhichOneof``; an empty one is None.
    """
    which = getattr(value, "WhichOneof", None)
    if callable(which):
        name = which("data")
        return getattr(value, name) if name is not None else None
    item = getattr(value, "item", None)
    return item() if callable(item) and hasattr(value, "dtype") else value


def value_problem(dtype: DataType, value: object, *, max_length: int | None = None) -> str | None:
    """Return why ``value`` is no value of the scalar type ``dtype`` ("expected ..., got ..."), or None if it is one.

    ``max_length`` is in bytes of UTF-8, and counts for text only.
    """
    spec = TYPES[dtype]
    if not _fits_kind(spec, value):
        got: str | None = f"{_short(value)} ({type(value).__name__})"
    elif isinstance(value, str):
        got = _text_problem(spec, value, max_length)
    else:
        got = None if _number_fits(spec, value) else _short(value)
    return None if got is None else f"expected {_expected(spec, max_length)}, got {got}"


def _fits_kind(spec: TypeSpec, value: object) -> bool:
    if spec.group == "bool":
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    if spec.group == "int":
        return isinstance(value, int)
    if spec.group == "float":
        return isinstance(value, int | float)
    if spec.group == "timestamptz":
        # The server stores microseconds, and describes a default that way.
        return isinstance(value, int | str)
    return spec.group in ("text", "geometry") and isinstance(value, str)


def _text_problem(spec: TypeSpec, text: str, max_length: int | None) -> str | None:
    try:
        n_bytes = len(text.encode())
    except UnicodeEncodeError:
        return f"{_short(text)}, which has no UTF-8 form"
    if max_length is not None and n_bytes > max_length:
        return f"{n_bytes} bytes"
    return _short(text) if spec.group == "timestamptz" and timestamptz_problem(text) else None


def _number_fits(spec: TypeSpec, value: object) -> bool:
    if spec.group == "float":
        try:
            number = float(value)  # type: ignore[arg-type]
        except OverflowError:
            return False
        return math.isfinite(number) and (spec.dtype is DataType.DOUBLE or abs(number) <= FLOAT32_MAX)
    low, top = (TYPES[DataType.INT64] if spec.group == "timestamptz" else spec).limits or (0, 1)
    return isinstance(value, int) and low <= value <= top


def _expected(spec: TypeSpec, max_length: int | None) -> str:
    if spec.limits is not None:
        return f"{spec.dtype.name} from {spec.limits[0]} to {spec.limits[1]}"
    words = {
        "bool": "BOOL",
        "float": f"finite {spec.dtype.name}",
        "text": spec.dtype.name if max_length is None else f"{spec.dtype.name} of at most {max_length} bytes",
        "geometry": "GEOMETRY as WKT text",
        "timestamptz": "TIMESTAMPTZ as 'YYYY-MM-DDTHH:MM:SS' with 'Z' or an offset",
    }
    return words.get(spec.group, spec.dtype.name)


def _short(value: object) -> str:
    # A refused default may be huge (an int of more than 4,300 digits cannot even be printed).
    try:
        text = repr(value)
    except ValueError:
        return "a huge number"
    return text if len(text) <= 40 else f"{text[:37]}..."
