"""Arrow in every layout: what is stored equals ``to_pylist``, and nothing beneath a null or outside a slice is seen."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from examples import examples
from other_readers import D, columns, refusal, schema_of, write
from vecmill import LocalBulkWriter

EXAMPLES = examples(25, suppress_health_check=[HealthCheck.function_scoped_fixture])
V = {D.FLOAT_VECTOR: 2, D.FLOAT16_VECTOR: 2, D.BFLOAT16_VECTOR: 2, D.INT8_VECTOR: 2, D.BINARY_VECTOR: 8}


def batch_of(n_rows: int, **columns: Any) -> dict[str, Any]:
    return {"id": np.arange(n_rows), "v": np.zeros((n_rows, 2), np.float32), **columns}


def vector_batch(n_rows: int, **columns: Any) -> dict[str, Any]:
    return {"id": np.arange(n_rows), **columns}


def stored(tmp_path, schema, column: Any, n: int, **options: Any) -> list[Any]:
    batch = batch_of(n, x=column) if any(f.name == "v" for f in schema.fields) else vector_batch(n, x=column)
    return columns(write(tmp_path, schema, lambda w: w.append_batch(batch), **options))["x"]


def beneath(array: pa.Array, mask: list[bool]) -> pa.Array:
    """Make values null and leave what is beneath them."""
    bits = pa.py_buffer(np.packbits(~np.array(mask), bitorder="little").tobytes())
    kind, buffers = array.type, array.buffers()
    if isinstance(array, pa.FixedSizeListArray):
        return pa.FixedSizeListArray.from_buffers(kind, len(array), [bits], children=[array.values])
    if isinstance(array, pa.ListArray | pa.LargeListArray):
        return type(array).from_buffers(kind, len(array), [bits, buffers[1]], children=[array.values])
    return pa.Array.from_buffers(kind, len(array), [bits, *buffers[1:]])


TEXT_LAYOUTS = {
    "string": lambda values: pa.array(values, pa.string()),
    "large_string": lambda values: pa.array(values, pa.large_string()),
    "string_view": lambda values: pa.array(values, pa.string_view()),
    "dictionary": lambda values: pa.array(values, pa.string()).dictionary_encode(),
    "binary": lambda values: pa.array([value and value.encode() for value in values], pa.binary()),
    "large_binary": lambda values: pa.array([value and value.encode() for value in values], pa.large_binary()),
    "binary_view": lambda values: pa.array([value and value.encode() for value in values], pa.binary_view()),
    "run_end": lambda values: pc.run_end_encode(pa.array(values, pa.string())),
    "chunked": lambda values: pa.chunked_array([pa.array(values[:1], pa.string()), pa.array(values[1:], pa.string())]),
    "extension": lambda values: pa.ExtensionArray.from_storage(pa.json_(), pa.array(values, pa.string())),
}


@pytest.mark.parametrize("layout", TEXT_LAYOUTS)
@pytest.mark.parametrize("default", [None, "dflt"])
def test_text_in_every_layout(tmp_path, layout, default):
    schema = schema_of(("x", D.VARCHAR, {"max_length": 64, "nullable": True, "default_value": default}))

    @EXAMPLES
    @given(
        st.lists(st.none() | st.text(st.characters(codec="utf-8"), max_size=16), max_size=9),
        st.integers(0, 4),
        st.integers(0, 4),
    )
    def check(values, before, after):
        array = TEXT_LAYOUTS[layout](["before"] * before + values + [None] * after)
        array = array.slice(before, len(values))
        expected = [default if value is None else value for value in values]
        if values:
            assert stored(tmp_path, schema, array, len(values)) == expected

    check()


def test_nobody_looks_beneath_a_null(tmp_path):
    text = beneath(pa.array(["\0" * 99, "ok", "y" * 99]), [True, False, True])
    broken = pa.Array.from_buffers(
        pa.large_string(), 2, [pa.py_buffer(b"\2"), pa.py_buffer(np.array([0, 2, 4])), pa.py_buffer(b"\xff\xffok")]
    )
    schema = schema_of(("x", D.VARCHAR, {"max_length": 8, "nullable": True}))
    assert stored(tmp_path, schema, text, 3) == [None, "ok", None]
    assert stored(tmp_path, schema, broken, 2) == [None, "ok"]
    bad = [np.nan, np.inf]
    for kind in (pa.list_(pa.float32()), pa.large_list(pa.float32()), pa.list_(pa.float32(), 2)):
        lists = beneath(pa.array([bad, [1.0, 2.0], [None, 3.0]], kind), [True, False, True])
        schema = schema_of(("x", D.FLOAT_VECTOR, {"dim": 2, "nullable": True}))
        assert stored(tmp_path, schema, lists, 3) == [None, [1.0, 2.0], None]
    ragged = beneath(pa.array([[1.0], [1.0, 2.0], []], pa.list_(pa.float32())), [True, False, True])
    assert stored(tmp_path, schema, ragged, 3) == [None, [1.0, 2.0], None]
    numbers = beneath(pa.array([2**62, 5]), [True, False])
    assert stored(tmp_path, schema_of(("x", D.INT8, {"nullable": True})), numbers, 2) == [None, 5]
    floats = beneath(pa.array([np.nan, 5.0]), [True, False])
    assert stored(tmp_path, schema_of(("x", D.FLOAT, {"nullable": True})), floats, 2) == [None, 5.0]


LIST_LAYOUTS = {
    "list": lambda values, kind: pa.array(values, pa.list_(kind)),
    "large_list": lambda values, kind: pa.array(values, pa.large_list(kind)),
    "fixed_size_list": lambda values, kind: pa.array(values, pa.list_(kind, 8)),
    "list_view": lambda values, kind: pa.array(values, pa.list_view(kind)),
    "large_list_view": lambda values, kind: pa.array(values, pa.large_list_view(kind)),
    "chunked": lambda values, kind: pa.chunked_array([values[:2], values[2:]], pa.list_(kind)),
}
ELEMENTS = [
    (D.FLOAT_VECTOR, [pa.float32(), pa.float64(), pa.float16(), pa.int64(), pa.uint8()]),
    (D.FLOAT16_VECTOR, [pa.float16(), pa.float32()]),
    (D.BFLOAT16_VECTOR, [pa.float32()]),
    (D.INT8_VECTOR, [pa.int8(), pa.int64(), pa.uint16()]),
    (D.BINARY_VECTOR, [pa.bool_(), pa.int32(), pa.uint8()]),
]


def vector_bytes(dtype: Any, value: list[Any] | None) -> Any:
    """Return a vector of small integers as readers find it."""
    if value is None or dtype in (D.FLOAT_VECTOR, D.INT8_VECTOR):
        return value
    if dtype is D.BINARY_VECTOR:
        return np.packbits(value).tobytes()
    numbers = np.array(value, np.float32)
    if dtype is D.FLOAT16_VECTOR:
        return numbers.astype(np.float16).tobytes()
    return (numbers.view(np.uint32) >> 16).astype(np.uint16).tobytes()


@pytest.mark.parametrize(("dtype", "element"), [(t, kind) for t, kinds in ELEMENTS for kind in kinds], ids=str)
@pytest.mark.parametrize("layout", LIST_LAYOUTS)
def test_vectors_in_every_layout(tmp_path, layout, dtype, element):
    schema = schema_of(("x", dtype, {"dim": 8, "nullable": True}))
    ones = [[bool(i >> k & 1) for k in range(8)] for i in (5, 9, 77, 200, 255)]
    ones = ones if element == pa.bool_() else [[int(bit) for bit in row] for row in ones]
    for values in (ones, [None, *ones], [*ones[:2], None, None, *ones[2:], None], [None, None]):
        array = LIST_LAYOUTS[layout](values, element)
        for start, stop in ((0, len(values)), (1, len(values)), (1, len(values) - 1)):
            part, expected = array.slice(start, stop - start), [vector_bytes(dtype, one) for one in values[start:stop]]
            if expected:
                assert stored(tmp_path, schema, part, len(expected)) == expected


def test_views_may_lie_in_any_order_and_share(tmp_path):
    values = pa.array(np.arange(8, dtype=np.float32))
    schema = schema_of(("x", D.FLOAT_VECTOR, {"dim": 2}))
    view = pa.ListViewArray.from_arrays(pa.array([6, 0, 1, 0], pa.int32()), pa.array([2] * 4, pa.int32()), values)
    assert stored(tmp_path, schema, view, 4) == [[6, 7], [0, 1], [1, 2], [0, 1]]
    view = pa.ListViewArray.from_arrays(pa.array([6, 0], pa.int32()), pa.array([2, 1], pa.int32()), values)
    error = refusal(tmp_path, schema, lambda w: w.append_batch(vector_batch(2, x=view)))
    assert (error.row, error.got) == (1, "1 values")


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(4)], ids=str)
@pytest.mark.parametrize(
    "dtype", [D.FLOAT16_VECTOR, D.BFLOAT16_VECTOR, D.INT8_VECTOR, D.BINARY_VECTOR], ids=lambda t: t.name
)
def test_vectors_as_bytes(tmp_path, dtype, kind):
    dim = {D.BINARY_VECTOR: 32, D.INT8_VECTOR: 4}.get(dtype, 2)
    values = [b"\0\1\2\3", None, b"abcd", b"\7\7\7\7"]
    schema = schema_of(("x", dtype, {"dim": dim, "nullable": True}))
    expected = [list(v) if v and dtype is D.INT8_VECTOR else v for v in values]
    array = pa.array(values, kind)
    assert stored(tmp_path, schema, array, 4) == expected
    assert stored(tmp_path, schema, array[1:3], 2) == expected[1:3]
    assert stored(tmp_path, schema, pa.chunked_array([array[2:], array[:1]]), 3) == [*expected[2:], expected[0]]
    if kind != pa.binary(4):
        error = refusal(
            tmp_path, schema, lambda w: w.append_batch(vector_batch(2, x=pa.array([b"abcd", b"abc"], kind)))
        )
        assert (error.field, error.row, error.expected, error.got) == ("x", 1, "4 bytes", "3 bytes")


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(12)], ids=str)
@pytest.mark.parametrize("listed", [False, True])
def test_float_vectors_as_bytes(tmp_path, kind, listed):
    """As SQLite, Redis and Milvus' own logs keep them. At any offset: floats need not begin at a multiple of 4."""
    vectors = [np.float32([i, -0.5, 3]) for i in range(5)]
    values = [None if i == 2 else vector.tobytes() for i, vector in enumerate(vectors)]
    array = pa.array([value and [value] for value in values], pa.list_(kind)) if listed else pa.array(values, kind)
    schema = schema_of(("x", D.FLOAT_VECTOR, {"dim": 3, "nullable": True}))
    expected = [None if i == 2 else vector.tolist() for i, vector in enumerate(vectors)]
    assert stored(tmp_path, schema, array, 5) == expected
    assert stored(tmp_path, schema, array[1:4], 3) == expected[1:4]
    if not listed:
        odd = pa.array([b"odd" * (4 if kind == pa.binary(12) else 1), *values[3:]], kind)
        assert stored(tmp_path, schema, odd[1:], 2) == expected[3:]


@pytest.mark.parametrize("dim", [8, 3])
def test_bytes_of_another_length_are_no_float_vector(tmp_path, dim):
    """Eight bytes are no vector of eight numbers, either."""
    schema = schema_of(("x", D.FLOAT_VECTOR, {"dim": dim}))
    for kind in (pa.binary(), pa.binary(8)):
        error = refusal(
            tmp_path, schema, lambda w, k=kind: w.append_batch(vector_batch(1, x=pa.array([b"12345678"], k)))
        )
        assert (error.row, error.expected, error.got) == (0, f"{dim} float32 values, or {4 * dim} bytes", "8 bytes")


INTEGERS = [pa.uint8(), pa.int16(), pa.int32(), pa.int64(), pa.uint16(), pa.uint64()]


@pytest.mark.parametrize("element", INTEGERS, ids=str)
@pytest.mark.parametrize("kind", [pa.list_, pa.large_list, lambda element: pa.list_(element, 2)])
def test_packed_bits_told_as_numbers(tmp_path, element, kind):
    schema = schema_of(("x", D.BINARY_VECTOR, {"dim": 16, "nullable": True}))
    array = pa.array([[22, 33], None, [255, 0]], kind(element))
    assert stored(tmp_path, schema, array, 3) == [b"\x16\x21", None, b"\xff\0"]
    if element.bit_width > 8:
        error = refusal(
            tmp_path, schema, lambda w: w.append_batch(vector_batch(1, x=pa.array([[1, 256]], kind(element))))
        )
        assert (error.row, error.got) == (0, "256 at position 1")


@pytest.mark.parametrize("element", [pa.uint16(), pa.int16()], ids=str)
@pytest.mark.parametrize("dtype", [D.FLOAT16_VECTOR, D.BFLOAT16_VECTOR], ids=lambda t: t.name)
def test_integers_of_16_bits_are_no_halves(tmp_path, dtype, element):
    schema = schema_of(("x", dtype, {"dim": 2}))
    for kind in (pa.list_(element), pa.list_(element, 2)):
        column = pa.array([[15360, 0]], kind)
        error = refusal(tmp_path, schema, lambda w, c=column: w.append_batch(vector_batch(1, x=c)))
        assert f"{element} values; if they are the bits of floats, give .view(" in error.got


def test_lists_of_uint8_may_be_the_bytes_of_half_and_binary_vectors(tmp_path):
    for dtype, dim in ((D.FLOAT16_VECTOR, 2), (D.BFLOAT16_VECTOR, 2), (D.BINARY_VECTOR, 32)):
        for kind in (pa.list_(pa.uint8()), pa.list_(pa.uint8(), 4)):
            array = pa.array([[1, 2, 3, 4], None, [5, 6, 7, 8]], kind)
            schema = schema_of(("x", dtype, {"dim": dim, "nullable": True}))
            assert stored(tmp_path, schema, array, 3) == [b"\1\2\3\4", None, b"\5\6\7\x08"]


@pytest.mark.parametrize("dtype", [D.INT8, D.INT16, D.INT32, D.INT64, D.FLOAT, D.DOUBLE], ids=lambda t: t.name)
def test_numbers_of_every_width(tmp_path, dtype):
    kinds = [
        pa.int8(),
        pa.int16(),
        pa.int32(),
        pa.int64(),
        pa.uint8(),
        pa.uint16(),
        pa.uint32(),
        pa.uint64(),
        pa.float16(),
        pa.float32(),
        pa.float64(),
    ]
    schema = schema_of(("x", dtype, {"nullable": True}))
    for kind in kinds:
        values = [5, None, 0, 127]
        plain = pa.array([np.float16(v) if v is not None and kind == pa.float16() else v for v in values], kind)
        for array in (plain, plain[1:], plain[:1], plain[1:2], plain.dictionary_encode(), pc.run_end_encode(plain)):
            expected = [value.as_py() for value in array]
            assert stored(tmp_path, schema, array, len(array)) == expected


def test_the_default_takes_the_place_of_every_sort_of_null(tmp_path):
    in_dictionary = pa.DictionaryArray.from_arrays(pa.array([0, 1, None], pa.int32()), pa.array([5, None]))
    for nullable in (True, False):
        schema = schema_of(("x", D.INT64, {"nullable": nullable, "default_value": 7}))
        assert stored(tmp_path, schema, in_dictionary, 3) == [5, 7, 7]
        assert stored(tmp_path, schema, pc.run_end_encode(pa.array([5, None])), 2) == [5, 7]
        assert stored(tmp_path, schema, pa.nulls(2), 2) == [7, 7]
    schema = schema_of(("x", D.INT64, {"nullable": True}))
    assert stored(tmp_path, schema, in_dictionary, 3) == [5, None, None]


@pytest.mark.parametrize("dtype", [*V, D.BOOL, D.INT16, D.FLOAT, D.VARCHAR, D.JSON], ids=lambda t: t.name)
def test_a_column_of_arrows_null_type(tmp_path, dtype):
    params = {"dim": V[dtype]} if dtype in V else {"max_length": 4} if dtype is D.VARCHAR else {}
    assert stored(tmp_path, schema_of(("x", dtype, {**params, "nullable": True})), pa.nulls(3), 3) == [None] * 3
    for file_type, nullable in (("parquet", False), ("npy", True)):
        schema = schema_of(("x", dtype, {**params, "nullable": nullable}))
        batch = vector_batch(3, x=pa.nulls(3)) if dtype in V else batch_of(3, x=pa.nulls(3))
        error = refusal(tmp_path, schema, lambda w, b=batch: w.append_batch(b), file_type=file_type)
        assert (error.field, error.row) == ("x", 0)


def test_json_and_dynamic_columns_of_arrow(tmp_path):
    schema = schema_of(("x", D.JSON, {"nullable": True}), dynamic=True)
    structs = pa.array([{"a": 1, "b": [1.5]}, None, {"a": None, "b": []}])
    batch = batch_of(3, x=structs, n=pa.array([1, None, 3]), s=pa.array(["é", None, ""]).dictionary_encode())
    found = columns(write(tmp_path, schema, lambda w: w.append_batch(batch)))
    assert found["x"] == ['{"a":1,"b":[1.5]}', None, '{"a":null,"b":[]}']
    assert found["$meta"] == ['{"n":1,"s":"é"}', '{"n":null,"s":null}', '{"n":3,"s":""}']


NOT_UTF8 = pa.array([b"a", b"\xff"]).view(pa.string())
REFUSED = [
    (D.INT64, pa.array([1, 2], pa.timestamp("us")), None, "timestamp"),
    (D.INT64, pa.array([1, 2], pa.duration("s")), None, "duration"),
    (D.INT64, pa.array([Decimal("1.0"), Decimal("2.5")]), 1, "the decimal 2.5"),
    (D.BOOL, pa.array([Decimal(1)] * 2), None, "decimal128"),
    (D.INT64, pa.array([1.0, 1.5]), 1, "1.5"),
    (D.INT64, pa.array([1.0, 2.0**53]), 1, "9007199254740992"),
    (D.INT64, pa.array([0, 2**63], pa.uint64()), 1, "9223372036854775808"),
    (D.INT8, pa.array([1, 200]), 1, "200"),
    (D.INT64, pa.array([True, False]), 0, "bool"),
    (D.BOOL, pa.array([1, 0]), 0, "int64"),
    (D.BOOL, pa.array([True, None]), 1, "null"),
    (D.FLOAT, pa.array([1.0, float("nan")]), 1, "nan"),
    (D.FLOAT, pa.array([1.0, 1e39]), 1, "beyond the range"),
    (D.FLOAT, pa.array(["1", "2"]), None, "string"),
    (D.VARCHAR, pa.array([b"a", b"\xff"]), 1, "not UTF-8"),
    (D.VARCHAR, pa.array([b"a", b"b"], pa.binary(1)), None, "fixed_size_binary"),
    (D.VARCHAR, pa.array([1, 2]), None, "int64"),
    (D.VARCHAR, pa.array(["ok", "x" * 9]), 1, "9 bytes"),
    (D.VARCHAR, NOT_UTF8, 1, "not UTF-8"),
    (D.JSON, pa.array(["{}", "nope"]), 1, "not JSON text"),
    (D.JSON, pa.array([1.5, float("nan")]), 1, "not JSON compliant"),
    (D.FLOAT_VECTOR, pa.array([[1.0, 2.0], [1.0]]), 1, "1 values"),
    (D.FLOAT_VECTOR, pa.array([[1.0, 2.0], []]), 1, "0 values"),
    (D.FLOAT_VECTOR, pa.array([[1.0, 2.0], [1.0, None]]), 1, "a null element"),
    (D.FLOAT_VECTOR, pa.array([[1.0, 2.0], [1.0, None]], pa.list_(pa.float32(), 2)), 1, "a null element"),
    (D.FLOAT_VECTOR, pa.array([[1.0, 2.0], None]), 1, "null"),
    (D.FLOAT_VECTOR, pa.array([[1.0, 2.0], [1.0, float("inf")]]), 1, "inf at position 1"),
    (D.FLOAT_VECTOR, pa.array([["1", "2"]] * 2), None, "string"),
    (D.FLOAT_VECTOR, pa.array([[True, False]] * 2), None, "bool"),
    (D.FLOAT_VECTOR, pa.array([b"12345678", b"1234"]), 1, "4 bytes"),
    (D.FLOAT_VECTOR, pa.array([b"12"] * 2, pa.binary(2)), 0, "2 bytes"),
    (D.FLOAT_VECTOR, pa.array([[b"12345678"], [b"12345678"] * 2]), None, "lists of type binary"),
    (D.FLOAT_VECTOR, pa.array([[0] * 8] * 2, pa.list_(pa.uint8())), 0, "8 values"),
    (D.FLOAT_VECTOR, pa.array([1.0, 2.0]), None, "double"),
    (D.FLOAT_VECTOR, pa.array([[[1.0], [2.0]]] * 2), None, "list"),
]  # fmt: skip


@pytest.mark.parametrize(("dtype", "column", "row", "got"), REFUSED, ids=lambda one: str(getattr(one, "type", "")))
def test_arrow_columns_that_are_refused(tmp_path, dtype, column, row, got):
    params = {"dim": V[dtype]} if dtype in V else {"max_length": 8} if dtype is D.VARCHAR else {}
    batch = vector_batch(2, x=column) if dtype in V else batch_of(2, x=column)
    error = refusal(tmp_path, schema_of(("x", dtype, params)), lambda w: w.append_batch(batch))
    assert (error.field, error.row) == ("x", row)
    assert any(word in error.got for word in got.split("|")), error


def test_offsets_near_the_end_of_int32(tmp_path):
    """A string array may reach 2 GiB, and a position in it plus the size of a page goes beyond int32."""
    size = 2**31 - 1
    data = np.zeros(size, np.uint8)  # untouched pages cost nothing
    data[-9:] = np.frombuffer(b"onetwosix", np.uint8)
    offsets = np.array([size - 9, size - 6, size - 3, size], np.int32)
    array = pa.Array.from_buffers(pa.string(), 3, [None, pa.py_buffer(offsets), pa.py_buffer(data)])
    schema = schema_of(("x", D.VARCHAR, {"max_length": 8}))
    for file_type in ("npy", "parquet"):
        assert stored(tmp_path, schema, array, 3, file_type=file_type) == ["one", "two", "six"]
        assert stored(tmp_path, schema, array, 3, file_type=file_type, chunk_size=1) == ["one", "two", "six"]


ROWS = {"id": [1, 2, 3], "x": ["a", "é", None], "v": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]}
SQL = "values (1, 'a', [1.0, 2.0]::{0}), (2, 'é', [3, 4]), (3, null, [5, 6])"
FRAMES = {
    "pyarrow table": lambda: pa.table(ROWS),
    "record batch": lambda: pa.record_batch(ROWS),
    "reader": lambda: pa.table(ROWS).to_reader(max_chunksize=2),
    "struct array": lambda: pa.table(ROWS).to_struct_array().chunk(0),
    "polars": lambda: pl.DataFrame(ROWS),
    "pandas filtered": lambda: pd.concat([pd.DataFrame(ROWS)[2:], pd.DataFrame(ROWS)]).iloc[1:],
    "polars array": lambda: pl.DataFrame(ROWS, schema_overrides={"v": pl.Array(pl.Float32, 2), "x": pl.Categorical}),
    "pandas": lambda: pd.DataFrame(ROWS),
    "pandas arrays": lambda: pd.DataFrame({**ROWS, "v": list(np.array(ROWS["v"], np.float32))}, index=[7, 8, 9]),
    "pandas category": lambda: pd.DataFrame({**ROWS, "x": pd.Categorical(ROWS["x"])}),
    "duckdb": lambda: duckdb.sql(f"select * from ({SQL.format('float[]')}) t(id, x, v)"),
    "duckdb array": lambda: duckdb.sql(f"select * from ({SQL.format('double[2]')}) t(id, x, v)"),
    "mapping of series": lambda: {name: pl.Series(values) for name, values in ROWS.items()},
    "mapping of pandas series": lambda: {name: pd.Series(values) for name, values in ROWS.items()},
    "pandas own arrays": lambda: {**ROWS, "id": pd.array([1, 2, 3], "Int64"), "x": pd.array(ROWS["x"], "string")},
    "mapping of chunks": lambda: {
        "id": pa.chunked_array([[1], [2, 3]]), "x": pa.chunked_array([["a", "é"], [None]]), "v": np.array(ROWS["v"])
    },
}  # fmt: skip


@pytest.mark.parametrize("frame", FRAMES)
def test_frames_of_every_library(tmp_path, frame):
    schema = schema_of(("x", D.VARCHAR, {"max_length": 8, "nullable": True}))
    assert columns(write(tmp_path, schema, lambda w: w.append_batch(FRAMES[frame]()))) == ROWS


def test_pandas_nan_is_a_null(tmp_path):
    frame = pd.DataFrame({"id": [1, 2], "x": [1.5, np.nan], "v": [[1.0, 2.0]] * 2})
    schema = schema_of(("x", D.FLOAT, {"nullable": True}))
    assert columns(write(tmp_path, schema, lambda w: w.append_batch(frame)))["x"] == [1.5, None]
    error = refusal(tmp_path, schema_of(("x", D.FLOAT, {})), lambda w: w.append_batch(frame))
    assert (error.field, error.row) == ("x", 1)
    as_float = pd.DataFrame({"id": [1.0, 2.5], "v": [[1.0, 2.0]] * 2})
    error = refusal(tmp_path, schema_of(), lambda w: w.append_batch(as_float))
    assert (error.field, error.row) == ("id", 1)


def test_pandas_objects_stay_what_they_are(tmp_path):
    """Arrow would unify them: {"a": 1} to {"a": 1, "b": null}, and 1 to 1.0."""
    schema = schema_of(("x", D.JSON, {"nullable": True}), dynamic=True)
    frame = pd.DataFrame({
        "id": [1, 2, 3], "v": [np.zeros(2), [1, 2], (3, 4)], "x": [{"a": 1}, {"b": 1.5}, np.nan], "o": [1, "x", None],
    }, dtype=object).set_index("id")  # fmt: skip
    for data in (frame, {"id": [1, 2, 3], **{name: frame[name] for name in frame}}):
        found = columns(write(tmp_path, schema, lambda w, d=data: w.append_batch(d)))
        assert found["id"] == [1, 2, 3]
        assert found["x"] == ['{"a":1}', '{"b":1.5}', None]
        assert found["$meta"] == ['{"o":1}', '{"o":"x"}', '{"o":null}']


def test_row_labels_in_pandas_tables_are_no_column(tmp_path):
    frame = pd.DataFrame({"id": [1, 2], "v": [[1.0, 2.0]] * 2}, index=[7, 3])
    table = pa.Table.from_pandas(frame)
    assert "__index_level_0__" in table.column_names
    found = columns(write(tmp_path, schema_of(dynamic=True), lambda w: w.append_batch(table)))
    assert found["$meta"] == ["{}", "{}"]


@pytest.mark.parametrize(
    ("data", "field", "words"),
    [
        (pa.array([1, 2]), None, "columns that Arrow can read"),
        (pa.table([[1], [2]], names=["id", "id"]), "id", "one column of that name"),
        (pa.table({"id": [1], "v": [[1.0, 2.0]], "zz": [1]}), "zz", "only fields of the schema"),
        (pa.table({"id": [1]}), "v", "no such column"),
        (pd.DataFrame({"id": [1, 2], "v": [[1.0, 2.0]] * 2, "zz": ["a", 5]}), "zz", "only fields of the schema"),
        (pd.DataFrame([[1, 2]], columns=["id", "id"]), "id", "one column of that name"),
        (pd.DataFrame({5: [1]}), None, "names of type str"),
        (pd.DataFrame({"id": [1 + 2j], "v": [[1.0, 2.0]]}), "id", "dtype complex128"),
    ],
)
def test_frames_that_are_refused(tmp_path, data, field, words):
    error = refusal(tmp_path, schema_of(), lambda w: w.append_batch(data))
    assert error.field == field
    assert words in str(error)


def test_streams_without_rows_and_chunks_without_rows(tmp_path):
    empty = pa.table({"id": pa.nulls(0), "v": pa.nulls(0)})
    some = pa.table({"id": [1, 2], "v": [[1.0, 2.0]] * 2})
    hollow = pa.table(
        {
            name: pa.chunked_array([some[name].chunk(0)[1:1], some[name].chunk(0), some[name].chunk(0)[2:]])
            for name in some.column_names
        }
    )
    with LocalBulkWriter(schema_of(), tmp_path) as writer:
        for data in (
            empty,
            some.schema.empty_table(),
            pa.RecordBatchReader.from_batches(some.schema, []),
            some.slice(1, 0),
        ):
            writer.append_batch(data)
        assert writer.total_row_count == 0
        writer.append_batch(hollow)
        writer.append_batch(
            pa.RecordBatchReader.from_batches(some.schema, hollow.to_batches() + some[1:1].to_batches())
        )
    assert columns(writer)["id"] == [1, 2, 1, 2]
