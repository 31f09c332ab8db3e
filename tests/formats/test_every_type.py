"""The contract: every type, by every way in, into every format, read back bit by bit by other people's readers."""

from __future__ import annotations

import itertools
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from examples import examples
from format_names import FORMATS, NULL_FORMATS
from other_readers import PARQUET_READERS, D, columns, exact, schema_of, write
from vecmill import DataType, LocalBulkWriter

DIM = 8
F32_MAX = float(np.finfo(np.float32).max)
EXAMPLES = examples(36, suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass(frozen=True)
class Case:
    """One type: ``edges`` that must survive, ``more`` of its values, and how each library holds and stores them.

    ``dtype_in`` and ``arrow_in`` are the types offered, ``npy`` and ``arrow`` those expected back.
    """

    dtype: DataType
    params: dict[str, Any]
    edges: list[Any]
    more: st.SearchStrategy[Any]
    dtype_in: Any
    arrow_in: pa.DataType
    npy: str
    arrow: pa.DataType

    @property
    def is_vector(self) -> bool:
        return self.dtype.name.endswith("VECTOR")


def integers(dtype: DataType, bits: int) -> Case:
    low, top = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    edges = [0, -1, 1, low, top, low + 1, top - 1]
    arrow = {8: pa.int8(), 16: pa.int16(), 32: pa.int32(), 64: pa.int64()}[bits]
    return Case(dtype, {}, edges, st.integers(low, top), f"i{bits // 8}", arrow, np.dtype(f"<i{bits // 8}").str, arrow)


def half(dtype: DataType, numpy_type: Any, arrow_in: pa.DataType) -> Case:
    """Values are bytes: they are what the file holds."""
    exponent = 0x7C00 if dtype is D.FLOAT16_VECTOR else 0x7F80
    bits = st.integers(0, 0xFFFF).filter(lambda b: b & exponent != exponent)
    edges = [struct.pack(f"<{DIM}H", *([b] * DIM)) for b in (0, 0x8000, 1, 0x8001, exponent - 1, 0x7FFF & exponent - 1)]
    more = st.lists(bits, min_size=DIM, max_size=DIM).map(lambda b: struct.pack(f"<{DIM}H", *b))
    return Case(dtype, {"dim": DIM}, edges, more, numpy_type, arrow_in, "|u1", pa.binary())


float32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
float64 = st.floats(allow_nan=False, allow_infinity=False)
FLOATS = [0.0, -0.0, 1e-45, -1e-45, 1.1754943508222875e-38, F32_MAX, -F32_MAX, 0.10000000149011612, 16777217.0 - 1]
DOUBLES = [0.0, -0.0, 5e-324, -5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 0.1, 2.0**53 + 2]
text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | float64 | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=5,
)
json_texts = json_values.filter(lambda v: v is not None).map(lambda v: json.dumps(v, ensure_ascii=False))

CASES = [
    Case(D.BOOL, {}, [True, False], st.booleans(), "?", pa.bool_(), "|b1", pa.bool_()),
    integers(D.INT8, 8),
    integers(D.INT16, 16),
    integers(D.INT32, 32),
    integers(D.INT64, 64),
    Case(D.FLOAT, {}, FLOATS, float32, "f4", pa.float32(), "<f4", pa.float32()),
    Case(D.DOUBLE, {}, DOUBLES, float64, "f8", pa.float64(), "<f8", pa.float64()),
    Case(
        D.VARCHAR, {"max_length": 48}, ["", "a", "é" * 24, "𝄞" * 12, "x" * 48, "\x01\x7f\x80\uffff\U0010ffff", " "],
        text, "U", pa.string(), "<U", pa.string(),
    ),
    Case(
        D.JSON, {},
        ['""', "0", "[]", "{}", "true", '{"é":"𝄞","n":null,"f":-0.0}', json.dumps("x" * 400), ' {"a" : 1} '],
        json_texts, "U", pa.string(), "<U", pa.string(),
    ),
    Case(
        D.FLOAT_VECTOR, {"dim": DIM}, [FLOATS[:DIM], FLOATS[1:], [0.0] * DIM],
        st.lists(float32, min_size=DIM, max_size=DIM), "f4", pa.list_(pa.float32()), "<f4", pa.list_(pa.float32()),
    ),
    Case(
        D.INT8_VECTOR, {"dim": DIM}, [[-128, 127] * 4, [0] * DIM],
        st.lists(st.integers(-128, 127), min_size=8, max_size=8),
        "i1", pa.list_(pa.int8()), "|i1", pa.list_(pa.int8()),
    ),
    Case(
        D.BINARY_VECTOR, {"dim": 16}, [b"\0\0", b"\xff\xff", b"\x80\x01"], st.binary(min_size=2, max_size=2),
        "u1", pa.binary(), "|u1", pa.binary(),
    ),
    half(D.FLOAT16_VECTOR, "f2", pa.list_(pa.float16())),
    half(D.BFLOAT16_VECTOR, ml_dtypes.bfloat16, pa.binary()),
]  # fmt: skip


def schema_for(case: Case, **params: Any) -> Any:
    return schema_of(("x", case.dtype, {**case.params, **params}))


def table_for(case: Case, values: list[Any]) -> dict[str, list[Any]]:
    """Return all columns of the schema as lists."""
    table: dict[str, list[Any]] = {"id": list(range(len(values))), "x": values}
    return table if case.is_vector else {**table, "v": [[i, -i] for i in range(len(values))]}


def as_ndarray(case: Case, values: list[Any]) -> np.ndarray:
    if None in values:
        array = np.empty(len(values), object)
        array[:] = [value if value is None or not case.is_vector else as_ndarray(case, [value])[0] for value in values]
        return array
    if isinstance(values[0], bytes):
        return np.array([np.frombuffer(value, case.dtype_in) for value in values])
    return np.array(values, case.dtype_in)


def as_arrow(case: Case, values: list[Any]) -> pa.Array:
    if case.dtype is D.FLOAT16_VECTOR:
        values = [None if value is None else list(np.frombuffer(value, "f2")) for value in values]
    return pa.array(values, case.arrow_in)


def by_row(writer: LocalBulkWriter, _case: Case, table: dict[str, list[Any]]) -> None:
    for row in zip(*table.values(), strict=True):
        writer.append_row(dict(zip(table, row, strict=True)))


def by_rows(writer: LocalBulkWriter, _case: Case, table: dict[str, list[Any]]) -> None:
    writer.append_rows(dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True))


def by_lists(writer: LocalBulkWriter, _case: Case, table: dict[str, list[Any]]) -> None:
    writer.append_batch(table)


def by_ndarrays(writer: LocalBulkWriter, case: Case, table: dict[str, list[Any]]) -> None:
    writer.append_batch({name: as_ndarray(case, v) if name == "x" else np.array(v) for name, v in table.items()})


def as_record_batch(case: Case, table: dict[str, list[Any]]) -> pa.RecordBatch:
    arrays = {name: as_arrow(case, values) if name == "x" else pa.array(values) for name, values in table.items()}
    return pa.record_batch(arrays)


def by_record_batch(writer: LocalBulkWriter, case: Case, table: dict[str, list[Any]]) -> None:
    # Sliced, so that no buffer starts where its array does.
    padded = {name: [values[0], *values, values[-1]] for name, values in table.items()}
    writer.append_batch(as_record_batch(case, padded)[1:-1])


def by_stream(writer: LocalBulkWriter, case: Case, table: dict[str, list[Any]]) -> None:
    whole = as_record_batch(case, table)
    cuts = [0, 1, 1, len(whole) // 2 + 1, len(whole)]
    parts = [whole[start:stop] for start, stop in itertools.pairwise(cuts)]
    writer.append_batch(pa.RecordBatchReader.from_batches(whole.schema, parts))


Way = Callable[[LocalBulkWriter, Case, dict[str, list[Any]]], None]
WAYS: list[Way] = [
    by_row, by_rows, by_lists, by_ndarrays, by_record_batch, by_stream,
]  # fmt: skip


def put(writer_way: Way, case: Case, table: dict[str, list[Any]]) -> Callable[[LocalBulkWriter], None]:
    return lambda writer: writer_way(writer, case, table)


def assert_same(case: Case, written: LocalBulkWriter, table: dict[str, list[Any]], reader: str | None = None) -> None:
    found = columns(written, reader)
    assert found["id"] == table["id"]
    file_type = written.manifest.file_type.lower()
    expected = [exact(case.dtype, value, file_type=file_type) for value in table["x"]]
    assert [exact(case.dtype, value, file_type=file_type) for value in found["x"]] == expected
    if "v" in table:
        assert found["v"] == table["v"]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.dtype.name)
@pytest.mark.parametrize("file_type", FORMATS)
def test_edge_values_survive_in_every_reader(tmp_path, file_type, case, way):
    table = table_for(case, case.edges)
    written = write(tmp_path, schema_for(case), put(way, case, table), file_type=file_type)
    assert written.total_row_count == len(case.edges)
    for reader in {"npy": ["numpy"], "parquet": PARQUET_READERS}.get(file_type, [None]):
        assert_same(case, written, table, reader)
    if file_type == "npy":
        (path,) = [path for path in written.batch_files[0] if Path(path).stem == "x"]
        array = np.load(path)
        assert array.dtype.str.startswith(case.npy)
        assert array.flags.c_contiguous
        assert array.ndim == (2 if case.is_vector else 1)
    elif file_type == "parquet":
        file = pq.ParquetFile(written.batch_files[0][0])
        assert file.schema_arrow.field("x").type == case.arrow
        assert file.schema_arrow.metadata is None or b"ARROW:schema" not in file.schema_arrow.metadata
        assert all(file.schema_arrow.field(i).nullable for i in range(len(file.schema_arrow)))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.dtype.name)
@pytest.mark.parametrize("file_type", FORMATS)
def test_any_values_survive_by_every_way_in(tmp_path, file_type, case):
    @EXAMPLES
    @given(st.lists(case.more, min_size=1, max_size=6), st.sampled_from(WAYS))
    def check(values, way):
        table = table_for(case, values)
        assert_same(case, write(tmp_path, schema_for(case), put(way, case, table), file_type=file_type), table)

    check()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.dtype.name)
@pytest.mark.parametrize("file_type", NULL_FORMATS)
def test_nulls_survive_wherever_they_are(tmp_path, file_type, case):
    value = case.edges[-1]
    patterns = [[None, value], [value, None], [None], [None] * 9, [None, value, None, value, value] * 4]
    for values, way in itertools.product(patterns, WAYS):
        table = table_for(case, values)
        written = write(tmp_path, schema_for(case, nullable=True), put(way, case, table), file_type=file_type)
        assert_same(case, written, table)
        readers = PARQUET_READERS[1:] if way is by_lists and file_type == "parquet" else ()
        for reader in readers:
            assert_same(case, written, table, reader)


@pytest.mark.parametrize("nullable", [False, True])
@pytest.mark.parametrize("file_type", FORMATS)
@pytest.mark.parametrize("case", CASES[:8], ids=lambda case: case.dtype.name)
def test_the_default_wins_over_null_and_over_no_value(tmp_path, case, file_type, nullable):
    value, default = case.edges[0], case.edges[1]
    table = table_for(case, [None, value, None])
    expected = table_for(case, [default, value, default])
    schema = schema_for(case, default_value=default, nullable=nullable)
    for way in WAYS:
        assert_same(case, write(tmp_path, schema, put(way, case, table), file_type=file_type), expected)
    absent = {name: values for name, values in table.items() if name != "x"}
    for way in (by_rows, by_lists, by_record_batch):
        written = write(tmp_path, schema, put(way, case, absent), file_type=file_type)
        assert columns(written)["x"] == [default] * 3


@pytest.mark.parametrize("file_type", NULL_FORMATS)
def test_nul_in_text_survives(tmp_path, file_type):
    values = ["\0", "a\0b", "a\0", ""]
    case = next(case for case in CASES if case.dtype is D.VARCHAR)
    table = table_for(case, values)
    for way in (by_row, by_rows, by_lists, by_record_batch, by_stream):
        written = write(tmp_path, schema_for(case), put(way, case, table), file_type=file_type)
        for reader in PARQUET_READERS if file_type == "parquet" else (None,):
            assert_same(case, written, table, reader)


@pytest.mark.parametrize("dim", [1, 32_768])
@pytest.mark.parametrize("file_type", FORMATS)
def test_shortest_and_longest_vectors(tmp_path, file_type, dim):
    fields = [(t.name, t, {"dim": dim}) for t in (D.FLOAT_VECTOR, D.FLOAT16_VECTOR, D.BFLOAT16_VECTOR, D.INT8_VECTOR)]
    fields.append(("BINARY_VECTOR", D.BINARY_VECTOR, {"dim": 8 * dim}))
    matrix = np.random.default_rng(0).integers(-100, 100, (3, dim)).astype(np.float32)
    batch = {
        "id": np.arange(3), "FLOAT_VECTOR": matrix, "FLOAT16_VECTOR": matrix.astype("f2"),
        "BFLOAT16_VECTOR": matrix.astype(ml_dtypes.bfloat16), "INT8_VECTOR": matrix.astype("i1"),
        "BINARY_VECTOR": np.abs(matrix).astype("u1"),
    }  # fmt: skip
    written = write(tmp_path, schema_of(*fields), lambda w: w.append_batch(batch), file_type=file_type, chunk_size=1)
    assert len(written.batch_files) == 3  # each row is larger than a segment may be
    found = columns(written)
    for name, dtype, _ in fields:
        assert [exact(dtype, value) for value in found[name]] == [row.tobytes() for row in batch[name]]
