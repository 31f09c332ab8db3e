"""ARRAY and struct array fields, whatever way they come in: the same bytes, readable by others; mistakes are named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from examples import examples
from other_readers import columns, refusal, schema_of, write
from vecmill import DataType, FieldSchema
from vecmill.encode import columns as batch_columns
from vecmill.encode import stage as segment

D = DataType
CAPACITY = 5
ARROW = {
    D.BOOL: pa.bool_(), D.INT8: pa.int8(), D.INT16: pa.int16(), D.INT32: pa.int32(), D.INT64: pa.int64(),
    D.FLOAT: pa.float32(), D.DOUBLE: pa.float64(), D.VARCHAR: pa.string(),
}  # fmt: skip
ELEMENTS: dict[DataType, st.SearchStrategy[Any]] = {
    D.BOOL: st.booleans(),
    D.INT8: st.integers(-128, 127),
    D.INT16: st.integers(-(2**15), 2**15 - 1),
    D.INT32: st.integers(-(2**31), 2**31 - 1),
    D.INT64: st.integers(-(2**63), 2**63 - 1),
    D.FLOAT: st.floats(width=32, allow_nan=False, allow_infinity=False),
    D.DOUBLE: st.floats(allow_nan=False, allow_infinity=False),
    D.VARCHAR: st.text(max_size=8),
}
# fastparquet reads no struct within a list.
READERS = ("pyarrow", "duckdb", "polars", "arro3")
SUBS = [
    FieldSchema("n", D.INT8),
    FieldSchema("t", D.VARCHAR, max_length=40),
    FieldSchema("fv", D.FLOAT_VECTOR, dim=3),
    FieldSchema("bits", D.BINARY_VECTOR, dim=16),
    FieldSchema("iv", D.INT8_VECTOR, dim=2),
    FieldSchema("b", D.BOOL),
]
STRUCT = pa.struct(
    [("n", pa.int8()), ("t", pa.string()), ("fv", pa.list_(pa.float32())), ("bits", pa.list_(pa.uint8())),
     ("iv", pa.list_(pa.int8())), ("b", pa.bool_())]
)  # fmt: skip
float32s = ELEMENTS[D.FLOAT]
ONE = st.fixed_dictionaries(
    {
        "n": ELEMENTS[D.INT8],
        "t": st.text(max_size=10),
        "fv": st.lists(float32s, min_size=3, max_size=3),
        "bits": st.binary(min_size=2, max_size=2),
        "iv": st.lists(ELEMENTS[D.INT8], min_size=2, max_size=2),
        "b": st.booleans(),
    }
)
SLOW = examples(40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])


def array_schema(element: DataType, *, nullable: bool = False, capacity: int = CAPACITY) -> Any:
    more = {"max_length": 40} if element is D.VARCHAR else {}
    params = {"element_type": element, "max_capacity": capacity, "nullable": nullable, **more}
    return schema_of(("a", D.ARRAY, params))


def struct_schema(*, nullable: bool = False) -> Any:
    return schema_of(("a", D.STRUCT, {"struct_schema": SUBS, "max_capacity": CAPACITY, "nullable": nullable}))


def rows_of(values: list[Any]) -> list[dict[str, Any]]:
    return [{"id": i, "v": [0.0, 1.0], "a": value} for i, value in enumerate(values)]


def batch_of(values: Any, n: int) -> dict[str, Any]:
    return {"id": np.arange(n), "v": np.tile(np.float32([0, 1]), (n, 1)), "a": values}


def layouts(values: list[Any], element: pa.DataType) -> dict[str, pa.Array]:
    """Return the same values in every layout that Arrow has for lists of any length, sliced out of more."""
    padded = [None, [], *values, None]
    found = {}
    for name, kind in (("list", pa.list_), ("large_list", pa.large_list), ("list_view", pa.list_view)):
        found[name] = pa.array(padded, kind(element)).slice(2, len(values))
    return found


@SLOW
@given(st.sampled_from(list(ARROW)), st.booleans(), st.data())
def test_every_way_in_gives_the_same_array_column(
    tmp_path_factory: Any, element: DataType, nullable: bool, data: st.DataObject
) -> None:
    one = st.lists(ELEMENTS[element], min_size=1 if nullable else 0, max_size=CAPACITY)
    values = data.draw(st.lists(one | st.none() if nullable else one, min_size=1, max_size=20))
    schema = array_schema(element, nullable=nullable)
    folder = tmp_path_factory.mktemp("arrays")
    ways: dict[str, Any] = {
        "rows": lambda w: w.append_rows(rows_of(values)),
        "row": lambda w: [w.append_row(row) for row in rows_of(values)],
        "lists": lambda w: w.append_batch(batch_of(values, len(values))),
        "tuples": lambda w: w.append_rows(rows_of([tuple(v) if v is not None else None for v in values])),
        "arrays": lambda w: w.append_rows(rows_of([None if v is None else np.array(v, object) for v in values])),
    }
    for name, array in layouts(values, ARROW[element]).items():
        ways[name] = lambda w, array=array: w.append_batch(batch_of(array, len(values)))
    if element is not D.VARCHAR:
        typed = [None if v is None else np.array(v, ARROW[element].to_pandas_dtype()) for v in values]
        ways["typed"] = lambda w: w.append_rows(rows_of(typed))
    written = {name: write(folder / name, schema, put) for name, put in ways.items()}
    first = Path(written["rows"].batch_files[0][0]).read_bytes()
    for name, writer in written.items():
        assert Path(writer.batch_files[0][0]).read_bytes() == first, name
    for reader in READERS:
        found = columns(written["rows"], reader)["a"]
        if element is D.FLOAT:
            assert [v if v is None else np.float32(v).tobytes() for v in found] == [
                v if v is None else np.float32(v).tobytes() for v in values
            ]
        else:
            assert found == values


@SLOW
@given(st.booleans(), st.data())
def test_every_way_in_gives_the_same_struct_column(tmp_path_factory: Any, nullable: bool, data: st.DataObject) -> None:
    one = st.lists(ONE, min_size=1 if nullable else 0, max_size=CAPACITY)
    values = data.draw(st.lists(one | st.none() if nullable else one, min_size=1, max_size=12))
    schema = struct_schema(nullable=nullable)
    folder = tmp_path_factory.mktemp("structs")
    listed = [v and [{**s, "bits": list(s["bits"])} for s in v] for v in values]
    ways: dict[str, Any] = {
        "rows": lambda w: w.append_rows(rows_of(values)),
        "lists": lambda w: w.append_batch(batch_of(values, len(values))),
        "arrays": lambda w: w.append_rows(
            rows_of([v and [{**s, "fv": np.float64(s["fv"]), "n": np.int64(s["n"])} for s in v] for v in values])
        ),
    }
    for name, array in layouts(listed, STRUCT).items():
        ways[name] = lambda w, array=array: w.append_batch(batch_of(array, len(values)))
    written = {name: write(folder / name, schema, put) for name, put in ways.items()}
    first = Path(written["rows"].batch_files[0][0]).read_bytes()
    for name, writer in written.items():
        assert Path(writer.batch_files[0][0]).read_bytes() == first, name
    for reader in READERS:
        assert columns(written["rows"], reader)["a"] == listed


def test_many_row_groups_and_pages_of_arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_columns, "BLOCK_BYTES", 512)
    monkeypatch.setattr(segment, "TEXT_GUESS", 8)
    rng = np.random.default_rng(3)
    values = [rng.integers(-99, 99, rng.integers(0, 6)).tolist() for _ in range(5_000)]
    texts = [["é" * int(n) for n in rng.integers(0, 9, len(v))] for v in values]
    schema = schema_of(
        ("a", D.ARRAY, {"element_type": D.INT16, "max_capacity": CAPACITY}),
        ("t", D.ARRAY, {"element_type": D.VARCHAR, "max_capacity": CAPACITY, "max_length": 40}),
    )
    rows = [{**row, "t": text} for row, text in zip(rows_of(values), texts, strict=True)]
    writer = write(tmp_path, schema, lambda w: w.append_rows(rows), chunk_size=20_000)
    assert len(writer.batch_files) > 5
    for reader in READERS:
        found = columns(writer, reader)
        assert (found["a"], found["t"], found["id"]) == (values, texts, list(range(5_000)))


def test_a_matrix_is_a_column_of_arrays(tmp_path: Path) -> None:
    matrix = np.arange(40, dtype=np.int64).reshape(10, 4)
    for dtype in (np.int64, np.int16, np.uint8, ">i4"):
        writer = write(
            tmp_path / str(np.dtype(dtype)),
            array_schema(D.INT16),
            lambda w, dtype=dtype: w.append_batch(batch_of(matrix.astype(dtype), 10)),
        )
        assert columns(writer)["a"] == matrix.tolist()
    frame = pl.DataFrame({"id": range(10), "v": [[0.0, 1.0]] * 10, "a": matrix.tolist()})
    writer = write(tmp_path / "polars", array_schema(D.INT16), lambda w: w.append_batch(frame))
    assert columns(writer)["a"] == matrix.tolist()


WRONG_ARRAYS: list[tuple[DataType, Any, str, str]] = [
    (D.INT8, [1, 128], "from -128 to 127", "position 1"),
    (D.INT8, [1, None], "from -128 to 127", "None at position 1"),
    (D.INT8, [1] * 6, "at most 5 elements", "6 elements"),
    (D.INT8, [1.5], "integer", "1.5"),
    (D.INT8, [True], "integer", "True"),
    (D.INT8, 5, "at most 5 elements", "int 5"),
    (D.INT8, "12", "at most 5 elements", "a str"),
    (D.INT8, b"12", "at most 5 elements", "a bytes"),
    (D.INT8, np.array([[1]]), "one dimension", "(1, 1)"),
    (D.FLOAT, [float("nan")], "finite", "nan"),
    (D.FLOAT, [1e39], "finite", "position 0"),
    (D.DOUBLE, [0.0, float("-inf")], "finite", "position 1"),
    (D.BOOL, [1], "bool", "int 1"),
    (D.VARCHAR, ["a" * 41], "at most 40", "41 bytes"),
    (D.VARCHAR, ["é" * 21], "at most 40", "42 bytes"),
    (D.VARCHAR, ["\ud800"], "Unicode", "surrogate"),
    (D.VARCHAR, [5], "at most 40", "int 5"),
    (D.VARCHAR, "ab", "at most 5 elements", "a str"),
]


@pytest.mark.parametrize(("element", "value", "expected", "got"), WRONG_ARRAYS)
def test_a_wrong_array_is_named_in_rows_and_in_lists(
    tmp_path: Path, element: DataType, value: Any, expected: str, got: str
) -> None:
    schema = array_schema(element)
    rows = rows_of([[], value])[1:]
    by_row = refusal(tmp_path / "row", schema, lambda w: w.append_row(rows[0]))
    by_batch = refusal(tmp_path / "batch", schema, lambda w: w.append_batch(batch_of([[], value], 2)))
    assert (by_row.field, by_row.row, by_batch.field, by_batch.row) == ("a", 0, "a", 1)
    for error in (by_row, by_batch):
        assert expected in error.expected
        assert got in error.got


WRONG_ARROW: list[tuple[DataType, pa.Array, str, str]] = [
    (D.INT8, pa.array([[], [1, 300]]), "from -128 to 127", "300 at position 1"),
    (D.INT8, pa.array([[], [1, None]]), "from -128 to 127", "null element at position 1"),
    (D.INT8, pa.array([[], [1] * 6]), "at most 5", "6 elements"),
    (D.INT8, pa.array([[], [1.5]]), "integer", "1.5"),
    (D.INT8, pa.array([[], None], pa.list_(pa.int8())), "not nullable", "null"),
    (D.FLOAT, pa.array([[], [0.5, float("nan")]]), "finite", "position 1"),
    (D.VARCHAR, pa.array([[], ["a", "b" * 41]]), "at most 40", "41 bytes at position 1"),
    (D.VARCHAR, pa.array([[], ["a", None]]), "at most 40", "null element at position 1"),
    (D.VARCHAR, pa.array([[], [5]]), "at most 40", "int64"),
    (D.INT8, pa.array([5, 6]), "at most 5", "5"),
]


@pytest.mark.parametrize(("element", "array", "expected", "got"), WRONG_ARROW)
def test_a_wrong_array_is_named_in_arrow(
    tmp_path: Path, element: DataType, array: pa.Array, expected: str, got: str
) -> None:
    error = refusal(tmp_path, array_schema(element), lambda w: w.append_batch(batch_of(array, 2)))
    assert error.field == "a"
    assert expected in error.expected
    assert got in error.got


WRONG_STRUCTS: list[tuple[Any, str, str]] = [
    ([{"n": 1}], "exactly the keys 'n', 't'", "the keys 'n' at position 0"),
    ([5], "exactly the keys", "int 5 at position 0"),
    ({"n": 1}, "at most 5 dicts", "a dict"),
    ([{"n": 200}], "from -128 to 127", "in 'n' at position 0"),
    ([{}, {"fv": [1.0, 2.0]}], "3 float32", "2 values in 'fv' at position 1"),
    ([{"t": None}], "at most 40", "None in 't' at position 0"),
    ([{"bits": b"abc"}], "2 bytes", "3 bytes in 'bits' at position 0"),
    ([{}] * 6, "at most 5", "6 elements"),
]


@pytest.mark.parametrize(("value", "expected", "got"), WRONG_STRUCTS)
def test_a_wrong_struct_is_named(tmp_path: Path, value: Any, expected: str, got: str) -> None:
    whole = {"n": 1, "t": "x", "fv": [0.0, 1.0, 2.0], "bits": b"ab", "iv": [1, 2], "b": True}
    if isinstance(value, list):
        value = [{**whole, **one} if isinstance(one, dict) and "exactly" not in expected else one for one in value]
    error = refusal(tmp_path, struct_schema(), lambda w: w.append_row(rows_of([value])[0]))
    assert (error.field, error.row) == ("a", 0)
    assert expected in error.expected
    assert got in error.got


def test_a_wrong_struct_is_named_in_arrow(tmp_path: Path) -> None:
    whole = {"n": 1, "t": "x", "fv": [0.0, 1.0, 2.0], "bits": [1, 2], "iv": [1, 2], "b": True}

    def error_of(values: list[Any], kind: pa.DataType = STRUCT) -> Any:
        array = pa.array(values, pa.list_(kind))
        return refusal(tmp_path, struct_schema(), lambda w: w.append_batch(batch_of(array, len(values))))

    error = error_of([[whole], [whole, {**whole, "fv": [1.0]}]])
    assert (error.row, error.got) == (1, "1 values in 'fv' at position 1")
    error = error_of([[whole], [{**whole, "t": None}]])
    assert (error.row, error.got) == (1, "a null element in 't' at position 0")
    error = error_of([[], [None]])
    assert (error.row, error.got) == (1, "a null element at position 0")
    error = error_of([[{"n": 1}]], pa.struct([("n", pa.int8())]))
    assert "exactly n, t, fv" in error.expected


@pytest.mark.parametrize("way", ["row", "list", "arrow"])
def test_an_empty_list_of_a_nullable_field_is_refused_for_the_server_reads_null(tmp_path: Path, way: str) -> None:
    values: Any = [[1], []] if way != "arrow" else pa.array([[1], []])
    for schema in (array_schema(D.INT64, nullable=True),):
        if way == "row":
            error = refusal(tmp_path, schema, lambda w: w.append_row(rows_of([[]])[0]))
        else:
            error = refusal(tmp_path, schema, lambda w: w.append_batch(batch_of(values, 2)))
        assert "1 to 5 elements" in error.expected
        assert "reads an empty list of a nullable field as null" in error.got


def test_the_longest_value_there_can_be_is_taken_and_memory_is_not_wasted_on_it(tmp_path: Path) -> None:
    schema = schema_of(("a", D.ARRAY, {"element_type": D.VARCHAR, "max_capacity": 4096, "max_length": 65_535}))
    long = ["x" * 65_535] * 200
    values = [["a"], long, ["b"], long, []]
    writer = write(tmp_path, schema, lambda w: w.append_rows(rows_of(values)))
    assert columns(writer)["a"] == values
