"""convert(): vectors that are changed on request, and what casts keep, lose and refuse."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conversions import read_npy, read_parquet, small_schema, vectors, visible_data_files, write
from vecmill.convert import convert
from vecmill.errors import DataError, SchemaError
from vecmill.schema.collection import create_schema
from vecmill.types.kind import DataType

# -- vectors that are changed -----------------------------------------------------------------------------------------


def vector_schema(dtype: DataType, dim: int = 8, **kwargs):
    schema = create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", dtype, dim=dim, **kwargs)
    return schema


@pytest.mark.parametrize("layout", ["npy", "parquet", "nulls"])
def test_vectors_are_scaled_to_length_one(tmp_path, layout):
    matrix = vectors(300) * 7
    want = (matrix.astype(np.float64) / np.linalg.norm(matrix.astype(np.float64), axis=1)[:, None]).astype(np.float32)
    if layout == "npy":
        np.save(tmp_path / "vector.npy", matrix)
        np.save(tmp_path / "id.npy", np.arange(300))
        src = [tmp_path / "vector.npy", tmp_path / "id.npy"]
    else:
        rows = [None if layout == "nulls" and i % 7 == 3 else row for i, row in enumerate(matrix)]
        column = pa.array(rows, pa.list_(pa.float32()))
        src = [tmp_path / "t.parquet"]
        pq.write_table(pa.table({"id": range(300), "vector": column}), src[0], row_group_size=100)
    back = read_parquet(convert(src, tmp_path / "out", normalize=["vector"]))["vector"].to_pylist()
    for i, row in enumerate(back):
        if layout == "nulls" and i % 7 == 3:
            assert row is None
        else:
            np.testing.assert_allclose(row, want[i], rtol=2e-7)


@pytest.mark.parametrize("bad", ["zero", "nan", "ragged", "null element"])
def test_a_vector_without_a_direction_is_refused_with_its_row(tmp_path, bad):
    rows = vectors(100).tolist()
    rows[3] = None
    rows[77] = {"zero": [0.0] * 8, "nan": [float("nan")] * 8, "ragged": [1.0] * 7, "null element": [None] * 8}[bad]
    table = pa.table({"id": range(100), "vector": pa.array(rows, pa.list_(pa.float32()))})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=30)
    with pytest.raises(DataError) as caught:
        convert(tmp_path / "t.parquet", tmp_path / "out", normalize=["vector"])
    err = caught.value
    assert (err.file, err.field, err.row) == (str(tmp_path / "t.parquet"), "vector", 77)
    assert visible_data_files(tmp_path / "out") == []


def test_only_dense_vectors_are_normalized_or_scaled(tmp_path):
    write(tmp_path / "t.parquet", 10)
    for kwargs in ({"normalize": ["id"]}, {"normalize": ["nowhere"]}, {"scale": {"id": 2.0}}):
        with pytest.raises(SchemaError, match="only a dense vector"):
            convert(tmp_path / "t.parquet", tmp_path / "out", **kwargs)


def test_unit_vectors_as_int8(tmp_path):
    matrix = vectors(200)
    np.save(tmp_path / "vector.npy", matrix)
    np.save(tmp_path / "id.npy", np.arange(200))
    report = convert(
        [tmp_path / "id.npy", tmp_path / "vector.npy"], tmp_path / "out", file_type="npy", cast="unsafe",
        schema=vector_schema(DataType.INT8_VECTOR), normalize=["vector"], scale={"vector": 127},
    )  # fmt: skip
    exact = matrix / np.linalg.norm(matrix, axis=1)[:, None] * 127
    got = read_npy(report)["vector"]
    assert got.dtype == np.int8
    assert np.abs(got - exact).max() <= 0.5 + 1e-4


def test_bfloat16_is_read_as_numbers_when_it_is_scaled(tmp_path):
    halves = (vectors(50).view(np.uint32) >> 16).astype(np.uint16)
    np.save(tmp_path / "vector.npy", halves.view("V2"))
    report = convert(tmp_path / "vector.npy", tmp_path / "out", file_type="npy", scale={"vector": 2})
    doubled = (halves.astype(np.uint32) << 16).view(np.float32) * 2
    assert read_npy(report)["vector"].tobytes() == (doubled.view(np.uint32) >> 16).astype("<u2").tobytes()


# -- casts ------------------------------------------------------------------------------------------------------------


def cast_one(tmp_path, values, dtype: DataType, policy: str, **kwargs):
    schema = small_schema()
    schema.add_field("x", dtype, nullable=not DataType(dtype).name.endswith("VECTOR"), **kwargs)
    write(tmp_path / "t.parquet", len(values), x=values)
    return read_parquet(convert(tmp_path / "t.parquet", tmp_path / "out", schema=schema, cast=policy))["x"].to_pylist()


UNSAFE = [
    (pa.array([1.9, -1.9, None, 0.0]), DataType.INT64, {}, [1, -1, None, 0]),
    (pa.array(["12", None, "-3"]), DataType.INT16, {}, [12, None, -3]),
    (pa.array([True, None, False]), DataType.INT8, {}, [1, None, 0]),
    (pa.array(["1.5", None, "-2"]), DataType.DOUBLE, {}, [1.5, None, -2.0]),
    (pa.array([True, False]), DataType.FLOAT, {}, [1.0, 0.0]),
    (pa.array([0, 2, None]), DataType.BOOL, {}, [False, True, None]),
    (pa.array(["true", "0", None]), DataType.BOOL, {}, [True, False, None]),
    (pa.array([1, None, -5]), DataType.VARCHAR, {"max_length": 9}, ["1", None, "-5"]),
    (pa.array([1.5, None]), DataType.VARCHAR, {"max_length": 9}, ["1.5", None]),
    (pa.array([[1, 2], None]), DataType.VARCHAR, {"max_length": 9}, ["[1,2]", None]),
    (pa.array([[0.5, 1.5, -300.0, 2.6]]), DataType.INT8_VECTOR, {"dim": 4}, [[0, 2, -128, 3]]),
    (pa.array([[0.5, 0.0, -1.0, 2.0] * 2]), DataType.BINARY_VECTOR, {"dim": 8}, [bytes([0b10011001])]),
]


@pytest.mark.parametrize(("values", "dtype", "kwargs", "want"), UNSAFE)
def test_unsafe_casts_happen_only_when_asked_for(tmp_path, values, dtype, kwargs, want):
    assert cast_one(tmp_path, values, dtype, "unsafe", **kwargs) == want
    with pytest.raises(DataError):
        cast_one(tmp_path, values, dtype, "safe", **kwargs)


@pytest.mark.parametrize(
    ("values", "dtype", "kwargs"),
    [
        ([1.0, 2.0, float("nan")], DataType.INT64, {}),
        ([1.0, 2.0, 1e30], DataType.INT64, {}),
        ([1.0, 2.0, 40000.5], DataType.INT16, {}),
        (["1", "2", "three"], DataType.INT64, {}),
        (["1", "2", "99999999999999999999"], DataType.INT64, {}),
        (["1", "2", "x"], DataType.DOUBLE, {}),
        (["true", "false", "maybe"], DataType.BOOL, {}),
        ([[1.0], [2.0], [float("nan")]], DataType.INT8_VECTOR, {"dim": 1}),
        ([[1.0] * 8, [2.0] * 8, [float("nan")] * 8], DataType.BINARY_VECTOR, {"dim": 8}),
    ],
)
def test_what_even_an_unsafe_cast_refuses(tmp_path, values, dtype, kwargs):
    with pytest.raises(DataError) as caught:
        cast_one(tmp_path, values, dtype, "unsafe", **kwargs)
    assert (caught.value.field, caught.value.row) == ("x", 2)


@pytest.mark.parametrize(
    ("values", "dtype", "kwargs", "want"),
    [
        (pa.array([1.0, 2.0, None]), DataType.INT32, {}, [1, 2, None]),
        (pa.array([1, 2], pa.uint64()), DataType.INT8, {}, [1, 2]),
        (pa.array([0.1]), DataType.FLOAT, {}, [float(np.float32(0.1))]),
        (pa.array([dt.date(2024, 5, 1)]), DataType.VARCHAR, {"max_length": 20}, ["2024-05-01"]),
    ],
)
def test_safe_casts(tmp_path, values, dtype, kwargs, want):
    assert cast_one(tmp_path, values, dtype, "safe", **kwargs) == want


def test_a_policy_that_is_none(tmp_path):
    write(tmp_path / "t.parquet", 1)
    with pytest.raises(SchemaError, match="cast is"):
        convert(tmp_path / "t.parquet", tmp_path / "out", cast="wild")


@pytest.mark.parametrize("on_error", ["stop", "skip"])
def test_vectors_that_are_all_of_another_length_stop_before_the_first_row(tmp_path, on_error):
    np.save(tmp_path / "vector.npy", np.ones((500, 12), np.float32))
    with pytest.raises(DataError) as caught:
        convert(tmp_path / "vector.npy", tmp_path / "out", schema=small_schema(), id_from="row", on_error=on_error)
    err = caught.value
    assert (err.file, err.field, err.row) == (str(tmp_path / "vector.npy"), "vector", None)
    assert (err.expected, err.got.split(" (")[0]) == ("vectors of 8 values", "12 in every row")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("array", "dtype", "fits"),
    [
        (np.zeros((3, 16), np.uint8), DataType.FLOAT16_VECTOR, True),
        (np.zeros((3, 16), np.float16), DataType.FLOAT16_VECTOR, False),
        (np.zeros((3, 1), np.uint8), DataType.BINARY_VECTOR, True),
        (np.zeros((3, 1), np.int64), DataType.BINARY_VECTOR, True),
        (np.zeros((3, 1), bool), DataType.BINARY_VECTOR, False),
        (np.zeros((3, 8), bool), DataType.BINARY_VECTOR, True),
        (np.zeros((3, 16), np.int8), DataType.INT8_VECTOR, False),
    ],
)
def test_which_lengths_fit_a_dim_of_8(tmp_path, array, dtype, fits):
    np.save(tmp_path / "vector.npy", array)
    schema = vector_schema(dtype)
    if fits:
        assert convert(tmp_path / "vector.npy", tmp_path / "out", schema=schema, id_from="row").rows == 3
    else:
        with pytest.raises(DataError, match="vectors of 8 values"):
            convert(tmp_path / "vector.npy", tmp_path / "out", schema=schema, id_from="row", on_error="skip")
