"""Values of fields of every type, and every form in which Arrow, NumPy and lists hold a column of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import strategies as st

from vecmill import DataType, FieldSchema

D = DataType
Column = Sequence[Any]

INTEGERS = {D.INT8: 8, D.INT16: 16, D.INT32: 32, D.INT64: 64}
TEXT = st.text(st.characters(codec="utf-8"), max_size=6)
WKT = ["POINT (1 2)", "LINESTRING (0 0, 1 1.5)", "POINT EMPTY"]
TIMES = ["2026-01-31T12:00:00Z", "2026-01-31T12:00:00.5+02:00", "2026-01-31 12:00:00"]
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@dataclass(frozen=True)
class Field:
    """A field, the values it takes, and values that it refuses.

    ``json_type``: the Arrow type that holds the values of a JSON field. None: only text holds them. ``is_dynamic``: the
    values of a key without a field, of which text is text.
    """

    name: str
    dtype: DataType
    params: dict[str, Any]
    values: st.SearchStrategy[Any]
    bad: Sequence[Any] = ()
    json_type: Any = None
    is_dynamic: bool = False

    @property
    def nullable(self) -> bool:
        return bool(self.params.get("nullable"))


def bits_of(value: Sequence[int]) -> bytes:
    return np.packbits(np.array(value, np.uint8)).tobytes()


def half(bits: int) -> float:
    return float(np.uint16(bits).view(np.float16))


def bfloat16(bits: int) -> float:
    return float((np.array([bits], np.uint32) << 16).view(np.float32)[0])


HALVES = {
    D.FLOAT16_VECTOR: st.integers(0, 0xFFFF).filter(lambda bits: bits & 0x7C00 != 0x7C00).map(half),
    D.BFLOAT16_VECTOR: st.integers(0, 0xFFFF).filter(lambda bits: bits & 0x7F80 != 0x7F80).map(bfloat16),
}
HALF_TYPES = {D.FLOAT16_VECTOR: np.float16, D.BFLOAT16_VECTOR: ml_dtypes.bfloat16}


@st.composite
def fields(draw: st.DrawFn, name: str) -> Field:
    """Draw a field of any type that Parquet carries, but for keys."""
    dtype = draw(st.sampled_from(list(_MAKERS)))
    nullable = {"nullable": True} if draw(st.booleans()) else {}
    params, values, bad = _MAKERS[dtype](draw)
    json_type = params.pop("json_type", None)
    return Field(name, dtype, {**params, **nullable}, values, bad, json_type)


def _integer(dtype: DataType) -> Any:
    top = 2 ** (INTEGERS[dtype] - 1)
    bad = () if dtype is D.INT64 else (top, -top - 1)
    return lambda _: ({}, st.integers(-top, top - 1), bad)


def _list_of(draw: st.DrawFn) -> Any:
    element = draw(st.sampled_from([D.BOOL, *INTEGERS, D.FLOAT, D.DOUBLE, D.VARCHAR]))
    _, one, bad = _MAKERS[element](draw)
    params = {"element_type": element, "max_capacity": 3} | ({"max_length": 24} if element is D.VARCHAR else {})
    wrong = [[value] for value in bad] + [draw(st.lists(one, min_size=4, max_size=4))]
    return params, st.lists(one, min_size=1, max_size=3), wrong


def _vector(dtype: DataType, dim: int, element: st.SearchStrategy[Any], bad: Any) -> Any:
    values = st.lists(element, min_size=dim, max_size=dim)
    return lambda draw: (
        {"dim": dim},
        values,
        [draw(values)[:-1], *([[*draw(values)[:-1], bad]] if bad is not None else [])],
    )


def _struct(draw: st.DrawFn) -> Any:
    kinds = draw(st.lists(st.sampled_from(_IN_STRUCT), min_size=1, max_size=3, unique=True))
    subs, values = [], {}
    for i, dtype in enumerate(kinds):
        params, values[f"s{i}"], _ = _MAKERS[dtype](draw)
        subs.append(FieldSchema(f"s{i}", dtype, **params))
    one = st.fixed_dictionaries(values)
    bad = [draw(st.lists(one, min_size=3, max_size=3))]
    return {"struct_schema": subs, "max_capacity": 2}, st.lists(one, min_size=1, max_size=2), bad


def _json(draw: st.DrawFn) -> Any:
    flavour = draw(st.sampled_from(sorted(JSON)))
    return {"json_type": JSON_TYPES.get(flavour)}, JSON[flavour], ()


SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT
)
JSON: dict[str, st.SearchStrategy[Any]] = {
    "any": st.recursive(SCALARS, lambda one: st.lists(one, max_size=3) | st.dictionaries(TEXT, one, max_size=3))
    .filter(lambda value: not isinstance(value, str) and value is not None),
    "map": st.dictionaries(TEXT, st.integers(-(2**63), 2**63 - 1) | st.none(), max_size=3),
    "map of numbers": st.dictionaries(st.integers(-9, 9), st.lists(TEXT, max_size=2), max_size=3),
    "record": st.fixed_dictionaries(
        {
            "i": st.integers(-(2**63), 2**63 - 1) | st.none(), "s": TEXT | st.none(), "b": st.booleans(),
            "l": st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=2) | st.none(),
            "m": st.dictionaries(TEXT, TEXT, max_size=2), "t": st.datetimes() | st.none(), "d": st.dates(),
            "x": st.decimals(-99, 99, places=2),
        }
    ).map(lambda record: {name: record[name] for name in "isblmtdx"}),
    "times": st.lists(st.datetimes(), max_size=2),
}  # fmt: skip
JSON_TYPES = {
    "map": pa.map_(pa.string(), pa.int64()),
    "map of numbers": pa.map_(pa.int8(), pa.list_(pa.string())),
    "record": pa.struct(
        {
            "i": pa.int64(), "s": pa.string(), "b": pa.bool_(), "l": pa.list_(pa.float64()),
            "m": pa.map_(pa.string(), pa.string()), "t": pa.timestamp("us"), "d": pa.date32(), "x": pa.decimal128(5, 2),
        }
    ),
    "times": pa.list_(pa.timestamp("us")),
}  # fmt: skip

_MAKERS: dict[DataType, Callable[[st.DrawFn], Any]] = {
    D.BOOL: lambda _: ({}, st.booleans(), ()),
    **{dtype: _integer(dtype) for dtype in INTEGERS},
    D.FLOAT: lambda _: ({}, FLOATS, (1e39,)),
    D.DOUBLE: lambda _: ({}, st.floats(allow_nan=False, allow_infinity=False), (float("inf"),)),
    D.VARCHAR: lambda _: ({"max_length": 24}, TEXT, ("x" * 25, "é" * 13)),
    D.JSON: _json,
    D.GEOMETRY: lambda _: ({}, st.sampled_from(WKT), ("POINT (1", "", "P")),
    D.TIMESTAMPTZ: lambda _: ({}, st.sampled_from(TIMES), ("yesterday", "2026-02-30T00:00:00Z")),
    D.ARRAY: _list_of,
    D.STRUCT: _struct,
    D.FLOAT_VECTOR: _vector(D.FLOAT_VECTOR, 3, FLOATS, float("inf")),
    D.FLOAT16_VECTOR: _vector(D.FLOAT16_VECTOR, 3, HALVES[D.FLOAT16_VECTOR], float("inf")),
    D.BFLOAT16_VECTOR: _vector(D.BFLOAT16_VECTOR, 3, HALVES[D.BFLOAT16_VECTOR], float("inf")),
    D.INT8_VECTOR: _vector(D.INT8_VECTOR, 3, st.integers(-128, 127), 128),
    D.BINARY_VECTOR: _vector(D.BINARY_VECTOR, 16, st.integers(0, 1), 2),
    D.SPARSE_FLOAT_VECTOR: lambda _: (
        {}, st.dictionaries(st.integers(0, 2**32 - 2), st.floats(0, width=32, allow_infinity=False), max_size=3),
        ({1: -1.0},),
    ),
}  # fmt: skip
_IN_STRUCT = [
    D.BOOL, *INTEGERS, D.FLOAT, D.DOUBLE, D.VARCHAR, D.FLOAT_VECTOR, D.FLOAT16_VECTOR, D.BFLOAT16_VECTOR, D.INT8_VECTOR,
    D.BINARY_VECTOR,
]  # fmt: skip


# -- Arrow ------------------------------------------------------------------------------------------------------------


def arrow_forms(field: Field, values: Column) -> list[pa.Array]:
    """Return the column in every form of Arrow that holds these values, some as slices of longer arrays."""
    forms = []
    for column, kind in [
        *((values, kind) for kind in _types(field.dtype, field.params, values)),
        *_told(field, values),
    ]:
        try:
            array = pa.array([*column[:1], *column, None], kind).slice(1, len(values))
        except (pa.ArrowException, OverflowError, ValueError, TypeError):
            continue
        if array.to_pylist(maps_as_pydicts="strict") == list(column):
            forms.append(array)
    if field.dtype is D.VARCHAR:
        forms.append(pc.run_end_encode(pa.array(values, pa.string())))
    return forms


def _types(dtype: DataType, params: dict[str, Any], values: Column) -> list[Any]:
    """Return the Arrow types that hold the values as they are."""
    if dtype is D.BOOL:
        return [pa.bool_()]
    if dtype in INTEGERS:
        whole = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]
        return [*whole, pa.dictionary(pa.int8(), pa.int64())]
    if dtype is D.FLOAT:
        return [pa.float32(), pa.float64()] if all(abs(v or 0) < 3.4e38 for v in values) else [pa.float64()]
    if dtype is D.DOUBLE:
        return [pa.float64()]
    if dtype in (D.VARCHAR, D.GEOMETRY, D.TIMESTAMPTZ):
        return [pa.string(), pa.large_string(), pa.string_view(), *DICTIONARIES]
    if dtype is D.ARRAY:
        elements = _types(params["element_type"], {}, [one for value in values for one in value or ()])
        return [kind(element) for element in elements for kind in _lists(values)]
    if dtype in (D.FLOAT_VECTOR, D.FLOAT16_VECTOR, D.BFLOAT16_VECTOR):
        exact = [pa.float32(), pa.float64()] + ([pa.float16()] if dtype is D.FLOAT16_VECTOR else [])
        return [kind(element) for element in exact for kind in _lists(values)]
    if dtype is D.INT8_VECTOR:
        return [
            kind(element) for element in (pa.int8(), pa.int32(), pa.int64(), pa.uint16()) for kind in _lists(values)
        ]
    if dtype is D.BINARY_VECTOR:
        return [kind(element) for element in (pa.uint8(), pa.int32(), pa.int64()) for kind in _lists(values)]
    return []


DICTIONARIES = [pa.dictionary(pa.int8(), pa.string()), pa.dictionary(pa.int32(), pa.large_string())]
BINARIES = [pa.binary(), pa.large_binary(), pa.binary_view()]


def _lists(values: Column) -> list[Callable[[Any], Any]]:
    kinds = [pa.list_, pa.large_list, pa.list_view, pa.large_list_view]
    lengths = {len(value) for value in values if value is not None}
    if len(lengths) == 1:
        size = lengths.pop()
        kinds.append(lambda element: pa.list_(element, size))
    return kinds


def _told(field: Field, values: Column) -> Iterator[tuple[Column, Any]]:
    """Yield the column told in another way, with its Arrow types."""
    dtype, params = field.dtype, field.params
    if dtype in (D.VARCHAR, D.GEOMETRY, D.TIMESTAMPTZ):
        raw = [value if value is None else value.encode() for value in values]
        yield from ((raw, kind) for kind in BINARIES)
    elif dtype in BYTES and all(value is None or has_bytes(dtype, value, params["dim"]) for value in values):
        raw = [value if value is None else vector_bytes(dtype, value) for value in values]
        width = {len(one) for one in raw if one is not None} or {4}
        yield from ((raw, kind) for kind in (*BINARIES, pa.binary(width.pop())))
        yield [one and [one] for one in raw], pa.list_(pa.binary())
        if dtype not in (D.FLOAT_VECTOR, D.INT8_VECTOR):
            yield from (([one and list(one) for one in raw], kind(pa.uint8())) for kind in _lists(raw))
        if dtype is D.BINARY_VECTOR:
            yield from (([one and list(one) for one in raw], kind(pa.int64())) for kind in _lists(raw))
    elif dtype is D.SPARSE_FLOAT_VECTOR:
        yield [v if v is None else json.dumps(v) for v in values], pa.string()
        yield values, pa.map_(pa.uint32(), pa.float32())
        entry = pa.struct({"index": pa.int64(), "value": pa.float32()})
        yield [v if v is None else [{"index": i, "value": x} for i, x in v.items()] for v in values], pa.list_(entry)
        halves = pa.struct({"indices": pa.list_(pa.int64()), "values": pa.large_list(pa.float32())})
        yield [v if v is None else {"indices": list(v), "values": list(v.values())} for v in values], halves
    elif dtype is D.JSON:
        yield [json_text(v) for v in values], pa.json_()
        if not field.is_dynamic:
            yield from (([json_text(v) for v in values], kind) for kind in (pa.string(), pa.large_string()))
            yield [v if v is None else json_text(v).encode() for v in values], pa.binary()
        if field.json_type is not None:
            yield values, field.json_type
    elif dtype is D.STRUCT:
        yield from _told_structs(params, values)


def _told_structs(params: dict[str, Any], values: Column) -> Iterator[tuple[Column, Any]]:
    for narrow in (True, False):
        members = {}
        for sub in params["struct_schema"]:
            inner = [one[sub.name] for value in values for one in value or ()]
            types = _types(sub.dtype, {"dim": sub.dim}, inner)
            members[sub.name] = (
                (types[0] if narrow else types[len(types) // 2]) if sub.dtype not in INTEGERS else pa.int64()
            )
        for kind in (pa.list_, pa.large_list, pa.list_view):
            yield values, kind(pa.struct(members if narrow else dict(reversed(members.items()))))
    raw = [sub.name for sub in params["struct_schema"] if sub.dtype in BYTES]
    if raw:
        dtypes = {sub.name: sub.dtype for sub in params["struct_schema"]}
        told = [
            v and [{k: vector_bytes(dtypes[k], x) if k in raw else x for k, x in one.items()} for one in v]
            for v in values
        ]
        yield told, pa.list_(pa.struct({k: pa.binary() if k in raw else t for k, t in members.items()}))


BYTES = {D.FLOAT_VECTOR: np.float32, D.INT8_VECTOR: np.int8, D.BINARY_VECTOR: np.uint8, **HALF_TYPES}


def vector_bytes(dtype: DataType, value: Sequence[Any]) -> bytes:
    """Return a vector as the bytes that stand for it."""
    return bits_of(value) if dtype is D.BINARY_VECTOR else np.array(value, np.float64).astype(BYTES[dtype]).tobytes()


def has_bytes(dtype: DataType, value: Sequence[Any], dim: int) -> bool:
    """Return True for a vector that bytes can tell, though a field may refuse it."""
    least, most = {D.INT8_VECTOR: (-128, 127), D.BINARY_VECTOR: (0, 1)}.get(dtype, (-float("inf"), float("inf")))
    return len(value) == dim and all(least <= one <= most for one in value)


def json_text(value: Any) -> str | None:
    """Return the JSON text of a value, as the writer makes it."""
    from vecmill.types.json import compact_json

    return None if value is None else compact_json(value)
