"""Frames and streams of other libraries: what their owners take for granted is taken, or refused in one sentence."""

from __future__ import annotations

import ctypes
import sys
import types
from typing import Any

import ml_dtypes
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from other_readers import D, columns, refusal, schema_of, write
from vecmill import FieldSchema, SchemaError, convert

ROWS = {"id": [1, 2, 3], "x": ["a", "é", None], "v": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]}


def batch_of(n_rows: int, **columns: Any) -> dict[str, Any]:
    return {"id": np.arange(n_rows), "v": np.zeros((n_rows, 2), np.float32), **columns}


def test_a_column_that_is_the_index_too(tmp_path):
    frame = pd.DataFrame({"id": [3, 5], "x": ["a", None], "v": [[1.0, 2.0]] * 2})
    schema = schema_of(("x", D.VARCHAR, {"max_length": 8, "nullable": True}))
    for one in (
        frame.set_index("id", drop=False), frame.set_index(["id", "x"], drop=False), frame.set_index(["x", "id"]),
        frame.set_index("id", drop=False).set_index("x", append=True),
        frame.rename_axis("row").reset_index().set_index("row"),
    ):  # fmt: skip
        if one.index.name == "row":  # a level of its own
            assert refusal(tmp_path, schema, lambda w, o=one: w.append_batch(o)).field == "row"
            continue
        found = columns(write(tmp_path, schema, lambda w, o=one: w.append_batch(o)))
        assert found == {"id": [3, 5], "x": ["a", None], "v": [[1.0, 2.0]] * 2}
        assert convert(one, tmp_path / "out", schema=schema).rows == 2
    other = frame.set_index(pd.Index([7, 8], name="id"))
    for way in (lambda w: w.append_batch(other), lambda _: convert(other, tmp_path / "out", schema=schema)):
        error = refusal(tmp_path, schema, way)
        assert error.field == "id"
        assert "a level of the index with other values" in error.got


def test_queries_of_polars_are_run(tmp_path):
    query = pl.LazyFrame(ROWS).with_columns(pl.col("id") + 1)
    schema = schema_of(("x", D.VARCHAR, {"max_length": 8, "nullable": True}))
    expected = {**ROWS, "id": [2, 3, 4]}
    assert columns(write(tmp_path, schema, lambda w: w.append_batch(query))) == expected
    report = convert(query, tmp_path / "out", schema=schema)
    assert pq.read_table(report.files[0][0]).to_pydict() == expected
    broken = query.select("nowhere")
    for way in (lambda w: w.append_batch(broken), lambda _: convert(broken, tmp_path / "out", schema=schema)):
        error = refusal(tmp_path, schema, way)
        assert error.expected == "a query that can be run"
        assert "nowhere" in error.got


def test_row_dicts_are_no_files(tmp_path):
    for rows in ((row for row in [{"id": 1}]), [{"id": 1}, {"id": 2}], iter([{"id": 1}])):
        with pytest.raises(SchemaError, match="give them to a writer's append_rows"):
            convert(rows, tmp_path / "out", schema=schema_of())
    pq.write_table(pa.table({"id": [1], "v": [[1.0, 2.0]]}), tmp_path / "a.parquet")
    assert convert((path for path in tmp_path.glob("*.parquet")), tmp_path / "out", schema=schema_of()).rows == 1


def test_categories_and_enumerations(tmp_path):
    """Of text and of numbers, in fields, in lists and in what becomes JSON."""
    words, numbers, lists_of_words = ["b", None, "a"], [5, None, -3], [["b"], [], ["a", "b"]]
    forms: list[Any] = [(pd.Series(pd.Categorical(words)), pd.Series(pd.Categorical(numbers)), lists_of_words)]
    for kind in (pl.Categorical, pl.Enum(["a", "b"])):
        forms.append((pl.Series(words, dtype=kind), numbers, pl.Series(lists_of_words, dtype=pl.List(kind))))
    dictionaries = pa.array(lists_of_words, pa.list_(pa.dictionary(pa.int8(), pa.string())))
    forms.append((pa.array(words).dictionary_encode(), pa.array(numbers).dictionary_encode(), dictionaries))
    schema = schema_of(
        ("w", D.VARCHAR, {"max_length": 8, "nullable": True}), ("n", D.INT16, {"nullable": True}),
        ("a", D.ARRAY, {"element_type": D.VARCHAR, "max_length": 8, "max_capacity": 4}), dynamic=True,
    )  # fmt: skip
    for text, integers, lists in forms:
        batch = batch_of(3, w=text, n=integers, a=lists, dw=text, dn=integers, da=lists)
        found = columns(write(tmp_path, schema, lambda w, b=batch: w.append_batch(b)))
        assert (found["w"], found["n"], found["a"]) == (words, numbers, lists_of_words)
        assert found["$meta"] == [
            '{"dw":"b","dn":5,"da":["b"]}', '{"dw":null,"dn":null,"da":[]}', '{"dw":"a","dn":-3,"da":["a","b"]}',
        ]  # fmt: skip


def with_intervals(name: str, form: bytes) -> pa.RecordBatch:
    """Return a batch of which one column has a type that pyarrow makes no arrays of, as other libraries hand it on."""
    schema, array = ctypes.create_string_buffer(256), ctypes.create_string_buffer(256)
    kinds = {"id": pa.int64(), "v": pa.list_(pa.float32()), name: pa.int32() if form == b"tiM" else pa.int64()}
    batch = pa.record_batch({"id": [1], "v": [[1.0, 2.0]], name: [3]}, schema=pa.schema(kinds))
    batch._export_to_c(ctypes.addressof(array), ctypes.addressof(schema))
    children = ctypes.c_void_p.from_buffer(schema, 40).value
    column = ctypes.c_void_p.from_address(children + 2 * 8).value
    text = ctypes.create_string_buffer(form)
    ctypes.c_void_p.from_address(column).value = ctypes.addressof(text)
    return pa.RecordBatch._import_from_c(ctypes.addressof(array), ctypes.addressof(schema))


@pytest.mark.parametrize(("form", "kind"), [(b"tiM", "month_interval"), (b"tiD", "day_time_interval")])
def test_intervals_that_pyarrow_does_not_read(tmp_path, form, kind):
    batch = with_intervals("x", form)
    for schema in (schema_of(("x", D.VARCHAR, {"max_length": 8})), schema_of(dynamic=True)):
        for way in (lambda w: w.append_batch(batch), lambda _, s=schema: convert(batch, tmp_path / "out", schema=s)):
            error = refusal(tmp_path, schema, way)
            assert error.field == "x"
            assert f"values of type {kind}; cast them to text" in error.got


def test_a_stream_that_breaks_is_one_error(tmp_path):
    schema = schema_of(("x", D.VARCHAR, {"max_length": 8}))

    def batches() -> Any:
        yield pa.record_batch({"id": [1], "x": ["a"], "v": [[1.0, 2.0]]})
        raise pa.ArrowInvalid("the line went dead")

    kind = pa.schema({"id": pa.int64(), "x": pa.string(), "v": pa.list_(pa.float64())})
    reader = pa.RecordBatchReader.from_batches(kind, batches())
    error = refusal(tmp_path, schema, lambda w: w.append_batch(reader))
    assert "the line went dead" in error.got


class FakeTensor:
    """A tensor as torch has it: on another device, or part of a graph, where NumPy gets at nothing."""

    def __init__(self, array: Any, *, device: str = "cuda:0", requires_grad: bool = True, broken: bool = False) -> None:
        self.array, self.device, self.requires_grad, self.broken = array, device, requires_grad, broken
        self.dtype = "bfloat16" if array.dtype.name == "bfloat16" else array.dtype

    def __array__(self, *_args: Any, **_options: Any) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first.")

    def __dlpack__(self, **_options: Any) -> Any:
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")

    def __dlpack_device__(self) -> Any:
        return (2, 0)

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, at: Any) -> Any:
        return FakeTensor(self.array[at])

    def detach(self) -> Any:
        return FakeTensor(self.array, device=self.device, requires_grad=False, broken=self.broken)

    def cpu(self) -> Any:
        return FakeTensor(self.array, device="cpu", requires_grad=self.requires_grad, broken=self.broken)

    def to(self, _dtype: Any) -> Any:
        return FakeTensor(self.array.astype(np.float32), device=self.device, requires_grad=self.requires_grad)

    def numpy(self) -> Any:
        if self.device != "cpu" or self.requires_grad or self.dtype == "bfloat16" or self.broken:
            raise RuntimeError("Can't call numpy() on Tensor")
        return self.array


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a module in place of torch: 200 MB, and a device that test machines do not have."""
    module = types.SimpleNamespace(Tensor=FakeTensor, bfloat16="bfloat16", float32="float32")
    monkeypatch.setitem(sys.modules, "torch", module)


@pytest.mark.usefixtures("torch")
def test_tensors_on_a_device_or_in_a_graph_are_copied(tmp_path):
    matrix = np.float32([[1, 2], [3, 4]])
    schema = schema_of(("x", D.FLOAT_VECTOR, {"dim": 2}), ("n", D.FLOAT, {}))
    for one in (matrix, matrix.astype(ml_dtypes.bfloat16)):
        ways = [
            lambda w, one=one: w.append_batch({"id": [1, 2], "x": FakeTensor(one), "n": FakeTensor(one[:, 0])}),
            lambda w, one=one: w.append_batch(
                {"id": [1, 2], "x": list(map(FakeTensor, one)), "n": list(map(FakeTensor, one[:, 0]))}
            ),
            lambda w, one=one: w.append_rows(
                [{"id": i + 1, "x": FakeTensor(one[i]), "n": FakeTensor(one[i, 0])} for i in range(2)]
            ),
        ]
        for way in ways:
            assert columns(write(tmp_path, schema, way)) == {"id": [1, 2], "x": matrix.tolist(), "n": [1.0, 3.0]}


@pytest.mark.usefixtures("torch")
def test_a_tensor_that_numpy_cannot_read_is_named(tmp_path):
    schema = schema_of(("x", D.FLOAT_VECTOR, {"dim": 2}))
    bad = FakeTensor(np.float32([[1, 2]]), broken=True)
    error = refusal(tmp_path, schema, lambda w: w.append_batch({"id": [1], "x": bad}))
    assert (error.field, error.expected) == ("x", "an array that NumPy can read")
    assert "RuntimeError: Can't call numpy()" in error.got
    for way in (lambda w: w.append_row({"id": 1, "x": bad}), lambda w: w.append_batch({"id": [1], "x": [bad]})):
        error = refusal(tmp_path, schema, way)
        assert (error.field, error.row) == ("x", 0)
        assert "RuntimeError: Can't call numpy()" in error.got


class OnDevice:
    """An array of CuPy: by DLPack it is copied to main memory if that is asked for (14), or by ``get`` (13)."""

    def __init__(self, array: Any, *, version: int) -> None:
        self.array, self.version = array, version
        self.shape, self.dtype = array.shape, array.dtype
        if version == 13:
            self.get = lambda: self.array

    def __dlpack__(self, *, dl_device: Any = None, stream: Any = None, **options: Any) -> Any:
        if dl_device != (1, 0) or self.version == 13:
            raise BufferError("unsupported device requested")
        return self.array.__dlpack__()

    def __dlpack_device__(self) -> Any:
        return (2, 0)

    def __array__(self, *_args: Any, **_options: Any) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")


@pytest.mark.parametrize("version", [13, 14])
def test_arrays_of_cupy_are_copied(tmp_path, version):
    matrix = np.float32([[1, 2], [3, 4]])
    schema = schema_of(("x", D.FLOAT_VECTOR, {"dim": 2}))
    for way in (
        lambda w: w.append_batch({"id": [1, 2], "x": OnDevice(matrix, version=version)}),
        lambda w: w.append_rows([{"id": i + 1, "x": OnDevice(matrix[i], version=version)} for i in range(2)]),
    ):
        assert columns(write(tmp_path, schema, way))["x"] == matrix.tolist()


EMPTY = [pa.list_, pa.large_list, pa.list_view]


@pytest.mark.parametrize("kind", EMPTY, ids=lambda kind: kind.__name__)
def test_struct_arrays_that_are_all_empty(tmp_path, kind):
    """Arrow gives them elements of type null."""
    subs = [
        FieldSchema("n", D.INT8),
        FieldSchema("t", D.VARCHAR, max_length=8),
        FieldSchema("e", D.FLOAT_VECTOR, dim=2),
    ]
    schema = schema_of(("x", D.STRUCT, {"struct_schema": subs, "max_capacity": 4}))
    batch = batch_of(2, x=pa.array([[], []], kind(pa.null())))
    assert columns(write(tmp_path, schema, lambda w: w.append_batch(batch)))["x"] == [[], []]
    full = batch_of(2, x=pa.array([[], [None]], kind(pa.null())))
    error = refusal(tmp_path, schema, lambda w: w.append_batch(full))
    assert (error.field, error.row) == ("x", 1)
    assert "a null element at position 0" in error.got
    pq.write_table(pa.table({**batch, "v": pa.array([[0.0, 0.0]] * 2)}), tmp_path / "t.parquet")
    if kind is not pa.list_view:
        assert convert(tmp_path / "t.parquet", tmp_path / "out", schema=schema).rows == 2


@pytest.mark.parametrize("dtype", [D.FLOAT16_VECTOR, D.BFLOAT16_VECTOR, D.BINARY_VECTOR], ids=lambda one: one.name)
def test_vectors_of_a_struct_as_bytes(tmp_path, dtype):
    raw = b"\0\x3c\0\x40"
    dim = 32 if dtype is D.BINARY_VECTOR else 2
    schema = schema_of(("x", D.STRUCT, {"struct_schema": [FieldSchema("e", dtype, dim=dim)], "max_capacity": 4}))
    forms: list[Any] = [raw, [raw], np.frombuffer(raw, "u1")] + ([list(raw)] if dtype is D.BINARY_VECTOR else [])
    columns_of = [[[{"e": form}, {"e": form}]] for form in forms]
    for kind in (pa.binary(), pa.large_binary(), pa.binary(4)):
        columns_of.append(pa.array([[{"e": raw}, {"e": raw}]], pa.list_(pa.struct({"e": kind}))))
    for kind in (pa.list_(pa.uint8()), pa.list_(pa.uint8(), 4)):
        columns_of.append(pa.array([[{"e": list(raw)}] * 2], pa.list_(pa.struct({"e": kind}))))
    for column in columns_of:
        found = columns(write(tmp_path, schema, lambda w, c=column: w.append_batch(batch_of(1, x=c))))
        assert found["x"] == [[{"e": list(raw)}] * 2]
