"""The plan of each column of a file, compiled once from the schema and the format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vecmill.encode.meta import meta_encoder
from vecmill.output_formats import FormatRules
from vecmill.schema.collection import CollectionSchema, FieldSchema
from vecmill.types.geometry import encode_wkt
from vecmill.types.json import encode_json, encode_json_once
from vecmill.types.kind import MAX_VALUE_BYTES, DataType, Kind
from vecmill.types.sparse import encode_sparse
from vecmill.types.text import META
from vecmill.types.timestamptz import encode_timestamptz

# No number of so many digits is beyond float64, or none is changed by it.
_MAX_DIGITS, _EXACT_DIGITS = 300, 15


@dataclass(frozen=True, slots=True)
class TextRules:
    """Text that a column refuses, besides what is too long or no UTF-8. Kernels read the attributes.

    Attributes
    ----------
    refuse_nul, refuse_crlf: refuse text with U+0000, with CR LF.
    null_text: refuse this text, which would be read as a null or as the default. None: there is no such text.
    """

    refuse_nul: bool = False
    refuse_crlf: bool = False
    null_text: bytes | None = None


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    """One column of the file.

    Attributes
    ----------
    field: the field of the schema.
    kind: the row of its type; its ``name`` picks the conversion in kernels.
    width: bytes of a fixed width value; 0 for variable width.
    dim: dimensions of a dense vector; 0 for other types.
    nullable: the file can have nulls in this column.
    max_bytes: largest value of variable width in bytes, -1 for no limit.
    text_rules: text that is refused.
    default: value of an absent item. None: there is none.
    encode: turns a value that is not text yet (for ``$meta``: a whole row) into its text. None: values are text.
    format_name: for messages.
    capacity: most elements of an array.
    refuse_empty: refuse a list without elements.
    items: plan of an element of an array; plans of the sub-fields of a struct array.
    json_digits: most digits before the point of a number in JSON that surely arrives as it is.

    A value of variable width is in memory, by group of its kind:

    - text, geometry, timestamptz: UTF-8
    - json, meta, sparse: JSON text in UTF-8 (of a sparse vector the object ``{"index":value,...}``)
    - array: its elements, packed as VariableBlock says
    - struct: the number of its elements in four bytes, then for each plan of ``items`` that sub-field of all elements,
      packed likewise (a vector as its ``width`` bytes)
    """

    field: FieldSchema
    kind: Kind
    width: int
    dim: int
    nullable: bool
    max_bytes: int
    text_rules: TextRules
    default: Any
    encode: Callable[[Any], str] | None
    format_name: str
    capacity: int = 0
    refuse_empty: bool = False
    items: tuple[ColumnPlan, ...] = ()
    json_digits: int = _MAX_DIGITS

    @property
    def name(self) -> str:
        """Name of the field."""
        return self.field.name

    @property
    def is_variable(self) -> bool:
        """True for values without a fixed width: text, JSON, arrays, sparse vectors."""
        return self.width == 0

    @property
    def is_vector(self) -> bool:
        """True for dense vectors."""
        return self.dim > 0

    @property
    def element(self) -> np.dtype[Any]:
        """NumPy type of an element in the column buffer (uint8 for vectors of bits and of 16-bit floats)."""
        return np.dtype(self.kind.descr)

    @property
    def expected(self) -> str:
        """What a value must be, in the words of an error message."""
        items = ", ".join(item.name for item in self.items)
        return self.kind.expected_value(
            dim=self.dim,
            n_bytes=self.width,
            max_bytes=self.max_bytes,
            least="1 to" if self.refuse_empty else "at most",
            capacity=self.capacity,
            items=self.items[0].expected if self.kind.group == "array" else items,
        )

    @property
    def expected_bytes(self) -> str:
        """What the bytes of a vector must be, in the words of an error message."""
        return f"{self.width} bytes" if self.kind.itemsize == 1 else f"{self.expected}, or {self.width} bytes"

    def packed_length(self, dtype: np.dtype[Any]) -> int:
        """Return how many numbers of a type are a vector that is told as bytes; ``dim`` if no such numbers are."""
        is_packed = dtype.kind in "iu" if self.kind.is_bits else self.kind.is_half and dtype == np.uint8
        return self.width if is_packed else self.dim

    @property
    def expected_not_null(self) -> str:
        """Why None is refused, in the words of an error message."""
        if self.field.nullable:
            return f"a value: {self.format_name} cannot carry a null, use PARQUET"
        return f"{self.expected} (the field is not nullable)"


# By group. Rows of types hold facts only, so that a schema needs no NumPy.
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
    kind = META if field.is_dynamic else field.kind
    max_bytes, encode, items = kind.max_bytes, _ENCODERS.get(kind.group), _items(schema, field, rules)
    if kind is META:
        encode = meta_encoder(schema, as_float=rules.meta_as_float)
    elif kind.group == "json" and rules.decodes_json:
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
        text_rules=TextRules(
            not rules.carries_nul, not rules.carries_crlf and kind.is_plain_text, _null_text(field, rules)
        ),
        # A row without dynamic values has the empty object, never a null.
        default={} if kind is META else field.default_value,
        encode=encode,
        format_name=rules.name,
        capacity=field.max_capacity or 0,
        refuse_empty=bool(items) and field.nullable and rules.empty_is_null,
        items=items,
        json_digits=_json_digits(kind, rules),
    )


def _json_digits(kind: Kind, rules: FormatRules) -> int:
    return _EXACT_DIGITS if kind is META and rules.meta_as_float else _MAX_DIGITS


def _items(schema: CollectionSchema, field: FieldSchema, rules: FormatRules) -> tuple[ColumnPlan, ...]:
    # Text inside of a list is JSON, also in CSV.
    rules = replace(rules, carries_crlf=True, null_text=None)
    if field.is_struct:
        return tuple(_plan(schema, sub, rules) for sub in field.struct_fields)
    if field.dtype is not DataType.ARRAY:
        return ()
    return (_plan(schema, FieldSchema(field.name, field.element_type, max_length=field.max_length), rules),)


def _null_text(field: FieldSchema, rules: FormatRules) -> bytes | None:
    """Return the text that readers would take for a null or for the default. None: there is no such text."""
    can_be_null = field.nullable or field.default_value is not None
    if rules.null_text is None or not can_be_null or field.default_value == rules.null_text:
        return None
    return rules.null_text.encode()
