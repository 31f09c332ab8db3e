"""What a column of the file is, compiled once from the schema and the format: the row plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vecmill.encode.meta import meta_encoder
from vecmill.filetype import FormatRules
from vecmill.schema.collection import CollectionSchema, FieldSchema
from vecmill.types.datatypes import DataType
from vecmill.types.geometry import encode_wkt
from vecmill.types.json import encode_json, encode_json_once
from vecmill.types.sparse import encode_sparse
from vecmill.types.timestamptz import encode_timestamptz

# Milvus refuses larger JSON on insert and upsert; no import reader checks it (milvus-docs, use-json-fields).
JSON_MAX_BYTES = 65_536

KINDS: Mapping[DataType, str] = {
    DataType.BOOL: "bool",
    DataType.INT8: "int8",
    DataType.INT16: "int16",
    DataType.INT32: "int32",
    DataType.INT64: "int64",
    DataType.FLOAT: "float",
    DataType.DOUBLE: "double",
    DataType.VARCHAR: "text",
    DataType.TEXT: "text",
    DataType.GEOMETRY: "geometry",
    DataType.TIMESTAMPTZ: "timestamptz",
    DataType.JSON: "json",
    DataType.ARRAY: "array",
    DataType.STRUCT: "struct",
    DataType.SPARSE_FLOAT_VECTOR: "sparse",
    DataType.FLOAT_VECTOR: "float_vector",
    DataType.FLOAT16_VECTOR: "float16_vector",
    DataType.BFLOAT16_VECTOR: "bfloat16_vector",
    DataType.INT8_VECTOR: "int8_vector",
    DataType.BINARY_VECTOR: "binary_vector",
}


# A value without a limit of its own. Its room is address space only, until somebody brings such a value.
MAX_VALUE_BYTES = 2**28


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    """One column of the file.

    ``kind`` names the kernel's conversion; ``width`` is the bytes of a fixed width value (0 for text); ``dim`` the
    elements of a vector; ``max_bytes`` the most bytes of a value of variable width, ``capacity`` the most elements of
    an array; ``encode`` turns a value that is not text yet (for ``$meta``: a whole row) into its text.

    A value of variable width is, by kind: "text" UTF-8; "json", "meta" and "sparse" JSON text in UTF-8 (of a sparse
    vector the object ``{"index":value,...}``); "array" its elements, packed as VariableBlock says, with the plan of one
    element in ``items``; "struct" the number of its elements in four bytes, then for each plan of ``items`` that
    sub-field of all elements, packed likewise (a vector as its ``width`` bytes).
    """

    field: FieldSchema
    kind: str
    width: int
    dim: int
    nullable: bool
    max_bytes: int
    refuse_nul: bool
    refuse_crlf: bool
    null_text: bytes | None
    default: Any
    encode: Callable[[Any], str] | None
    format_name: str
    capacity: int = 0
    refuse_empty: bool = False
    items: tuple[ColumnPlan, ...] = ()

    @property
    def name(self) -> str:
        """Name of the field."""
        return self.field.name

    @property
    def is_variable(self) -> bool:
        """Whether values have no fixed width: text, JSON, arrays, sparse vectors."""
        return self.width == 0

    @property
    def is_vector(self) -> bool:
        """Whether a value is a dense vector."""
        return self.dim > 0

    @property
    def element(self) -> np.dtype[Any]:
        """The NumPy type of one element in the column buffer (uint8 for binary and half vectors)."""
        return np.dtype(self.field.spec.descr)

    @property
    def expected(self) -> str:
        """What a value must be, in the words of an error message."""
        if self.kind in ("int8", "int16", "int32", "int64"):
            limits = np.iinfo(self.kind)
            return f"an integer from {limits.min} to {limits.max}"
        words = {
            "bool": "a bool",
            "float": "a finite float32 value",
            "double": "a finite float64 value",
            "text": f"text of at most {self.max_bytes} UTF-8 bytes",
            "geometry": "WKT text of a geometry",
            "timestamptz": "a time as RFC 3339 text, naive text, or a datetime",
            "sparse": "a sparse vector: index to value, indices from 0 to 4294967294, values finite and not negative",
            "array": f"a list of {'1 to' if self.refuse_empty else 'at most'} {self.capacity} elements",
            "struct": f"a list of {'1 to' if self.refuse_empty else 'at most'} {self.capacity} dicts",
            "json": f"a JSON value or JSON text of at most {self.max_bytes} bytes",
            "meta": f"dynamic values that make a JSON object of at most {self.max_bytes} bytes",
            "float_vector": f"{self.dim} float32 values",
            "float16_vector": f"{self.dim} float16 values",
            "bfloat16_vector": f"{self.dim} bfloat16 values",
            "int8_vector": f"{self.dim} integers from -128 to 127",
            "binary_vector": f"{self.dim} values of 0 or 1, or {self.dim // 8} bytes",
        }
        if not self.items:
            return words[self.kind]
        if self.kind == "array":
            return f"{words['array']}, each {self.items[0].expected}"
        return f"{words['struct']} of {', '.join(item.name for item in self.items)}"

    @property
    def expected_not_null(self) -> str:
        """Why None is refused, in the words of an error message."""
        if self.field.nullable:
            return f"a value: {self.format_name} cannot carry a null, use PARQUET"
        return f"{self.expected} (the field is not nullable)"


_MAX_BYTES: Mapping[str, int] = {
    "text": MAX_VALUE_BYTES,
    "geometry": MAX_VALUE_BYTES,
    "timestamptz": 64,
    "sparse": MAX_VALUE_BYTES,
    "json": JSON_MAX_BYTES,
}
_ENCODERS: Mapping[str, Callable[[Any], str]] = {
    "geometry": encode_wkt,
    "timestamptz": encode_timestamptz,
    "sparse": encode_sparse,
    "json": encode_json,
}


def plan_columns(schema: CollectionSchema, rules: FormatRules) -> tuple[ColumnPlan, ...]:
    """Compile the columns of a file, in the schema's order, ``$meta`` last."""
    fields = schema.written_fields()
    return tuple(_plan(schema, field, rules) for field in fields)


def _plan(schema: CollectionSchema, field: FieldSchema, rules: FormatRules) -> ColumnPlan:
    kind = KINDS[field.spec.dtype]
    max_bytes, encode, items = _MAX_BYTES.get(kind, -1), _ENCODERS.get(kind), _items(schema, field, rules)
    if field.is_dynamic:
        kind, encode = "meta", meta_encoder(schema, as_float=rules.meta_as_float)
    elif kind == "json" and rules.decodes_json:
        encode = encode_json_once
    elif field.dtype is DataType.VARCHAR:
        max_bytes = field.max_length or 0
    elif items:
        one = sum(item.width or 4 + item.max_bytes for item in items)
        max_bytes = min(4 + (field.max_capacity or 0) * one, MAX_VALUE_BYTES)
    return ColumnPlan(
        field=field,
        kind=kind,
        width=field.row_nbytes or 0,
        dim=field.dim or 0,
        nullable=field.nullable and rules.carries_null,
        max_bytes=max_bytes,
        refuse_nul=not rules.carries_nul,
        refuse_crlf=not rules.carries_crlf and kind in ("text", "geometry", "timestamptz"),
        null_text=_null_text(field, rules),
        # A row without dynamic values has the empty object, never a null.
        default={} if kind == "meta" else field.default_value,
        encode=encode,
        format_name=rules.name,
        capacity=field.max_capacity or 0,
        refuse_empty=bool(items) and field.nullable and rules.empty_is_null,
        items=items,
    )


def _items(schema: CollectionSchema, field: FieldSchema, rules: FormatRules) -> tuple[ColumnPlan, ...]:
    # Text inside of a list is JSON, also in CSV.
    rules = replace(rules, carries_crlf=True, null_text=None)
    if field.is_struct:
        return tuple(_plan(schema, sub, rules) for sub in field.struct_fields)
    if field.dtype is not DataType.ARRAY:
        return ()
    return (_plan(schema, FieldSchema(field.name, field.element_type, max_length=field.max_length), rules),)


def _null_text(field: FieldSchema, rules: FormatRules) -> bytes | None:
    """Return the text that a value must not be, for it would be read as a null or as the default."""
    can_be_null = field.nullable or field.default_value is not None
    if rules.null_text is None or not can_be_null or field.default_value == rules.null_text:
        return None
    return rules.null_text.encode()
