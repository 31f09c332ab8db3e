"""Types of text columns: given by the caller, or taken from the values of the first rows.

All types are Arrow's. A vector is a ``fixed_size_list`` of its dim; what only JSON can hold is ``arrow.json`` (text, as
it stands in the file); a sparse vector is a struct of ``indices`` (0-based) and ``values``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from vecmill.errors import DataError
from vecmill.sources.text.lists import NUMBER, numbers_of
from vecmill.types.sparse import SPARSE_TEXT

_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
# PostgreSQL prints true and false as t and f.
_BOOL_PAIRS = ({"true", "false"}, {"t", "f"})

_NAMES = {
    "bool_": ("bool", "boolean"),
    "int16": ("int2", "smallint", "int16"),
    "int32": ("int4", "int", "integer", "int32"),
    "int64": ("bigint", "int64", "bigserial"),  # int8 is PostgreSQL's bigint, in COPY only
    "float32": ("float4", "real", "float32", "float"),
    "float64": ("float8", "double precision", "double", "float64"),
    "string": ("text", "varchar", "character varying", "string", "bpchar", "char", "name"),
    "json_": ("json", "jsonb"),
    "uuid": ("uuid",),
}
_UNITS = {"epoch_s": "s", "epoch_ms": "ms", "epoch_us": "us", "epoch_ns": "ns"}
_VECTOR = re.compile(r"(vector|halfvec|sparsevec)(\(([0-9]+)\))?")


def sparse_type() -> Any:
    """Return the type of a sparse vector."""
    import pyarrow as pa

    return pa.struct([("indices", pa.list_(pa.uint32())), ("values", pa.list_(pa.float32()))])


def is_sparse(type_: Any) -> bool:
    """Return True for the type of sparse vectors."""
    import pyarrow.types as t

    return bool(t.is_struct(type_)) and type_ == sparse_type()


def json_type() -> Any:
    """Return the type of text that is JSON."""
    import pyarrow as pa

    return pa.json_(pa.string())


def is_json(type_: Any) -> bool:
    """Return True for text that is JSON."""
    return getattr(type_, "extension_name", "") == "arrow.json"


def is_text(type_: Any) -> bool:
    """Return True for text that is no JSON."""
    import pyarrow.types as t

    return bool(t.is_string(type_))


def is_uuid(type_: Any) -> bool:
    """Return True for UUIDs, which are 16 bytes in binary COPY and come out as text."""
    return getattr(type_, "extension_name", "") == "arrow.uuid"


def is_vector(type_: Any) -> bool:
    """Return True for vectors of one dim."""
    return hasattr(type_, "list_size")


def vector_type(dim: int, element: str = "float32") -> Any:
    """Return the type of vectors of ``dim`` elements."""
    import pyarrow as pa

    return pa.list_(getattr(pa, element)(), dim)


def declared(name: str, word: Any, *, postgres: bool = False) -> Any:
    """Return the type that a caller named: an Arrow type, or a word such as ``bigint`` or ``vector(768)``.

    A vector without a dim comes back as the word ``vector``, ``halfvec`` or ``sparsevec``. Raises DataError for another
    word.
    """
    import pyarrow as pa

    if isinstance(word, pa.DataType):
        return word
    text = " ".join(str(word).lower().split())
    if text == "int8" and postgres:
        return pa.int64()
    found = _VECTOR.fullmatch(text)
    if found:
        kind, dim = found[1], found[3]
        if kind == "sparsevec":
            return sparse_type()
        return vector_type(int(dim), "float16" if kind == "halfvec" else "float32") if dim else kind
    if text in _UNITS:  # numbers since 1970
        return pa.timestamp(_UNITS[text], "UTC")
    plain = re.sub(r"\([0-9, ]+\)$", "", text)
    for type_name, words in _NAMES.items():
        if plain in words:
            return json_type() if type_name == "json_" else getattr(pa, type_name)()
    known = ", ".join(sorted([*_UNITS, *(word for words in _NAMES.values() for word in words)]))
    raise DataError(field=name, expected=f"a type among vector, halfvec, sparsevec, {known}", got=repr(word))


def type_of_values(values: Iterable[Any]) -> Any:
    """Return the type that holds all of these decoded JSON values of one column; nulls do not count."""
    import pyarrow as pa

    present = [value for value in values if value is not None]
    kinds = {type(value) for value in present}
    if not kinds:
        return pa.null()
    if kinds == {int}:
        return pa.int64()
    if kinds <= {int, float}:
        return pa.float64()
    if len(kinds) == 1:
        kind = kinds.pop()
        if kind is bool:
            return pa.bool_()
        if kind is str:
            return pa.string()
        if kind is list:
            return _type_of_lists(present)
    return json_type()


def _type_of_lists(lists: Sequence[list[Any]]) -> Any:
    import pyarrow as pa

    kinds = {type(item) for values in lists for item in values}
    lengths = {len(values) for values in lists}
    # No vector field has a dim of 1.
    dim = lengths.pop() if len(lengths) == 1 and min(lengths) > 1 else 0
    if kinds == {int}:
        return vector_type(dim, "int64") if dim else pa.list_(pa.int64())
    if kinds and kinds <= {int, float}:
        return vector_type(dim) if dim else pa.list_(pa.float64())
    if kinds == {str}:
        return pa.list_(pa.string())
    if kinds == {bool}:
        return pa.list_(pa.bool_())
    return json_type()


def type_of_texts(texts: Iterable[str | None]) -> Any:
    """Return the type that holds all of these fields of CSV or COPY text; None is null, and does not count.

    Digits with a leading zero are text: they are codes, and as numbers they would lose it.
    """
    import pyarrow as pa

    present = [text for text in texts if text is not None]
    if not present:
        return pa.null()
    if all(_INTEGER.fullmatch(text) for text in present):
        return pa.int64()
    if all(NUMBER.fullmatch(text) for text in present) and not any(_is_code(text) for text in present):
        return pa.float64()
    if any({text.lower() for text in present} <= pair for pair in _BOOL_PAIRS):
        return pa.bool_()
    if all(SPARSE_TEXT.fullmatch(text) for text in present):
        return sparse_type()
    if all(text[:1] in ("[", "{") for text in present):
        return _type_of_brackets(present)
    return pa.string()


def _is_code(text: str) -> bool:
    return bool(re.fullmatch(r"[-+]?0[0-9]+|\+[0-9]+", text))


def _type_of_brackets(texts: Sequence[str]) -> Any:
    import pyarrow as pa

    numbers = [numbers_of(text) for text in texts]
    if all(values is not None for values in numbers):
        return _type_of_lists([values for values in numbers if values is not None])
    try:
        values = [json.loads(text) for text in texts]
    except (ValueError, RecursionError):
        return pa.string()
    return type_of_values(values)
