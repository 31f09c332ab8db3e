"""Generated tables as Parquet: five independent readers find what was written, and every number in the file is true."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

import parquet_layout
from examples import examples
from other_readers import LISTS, PARQUET_READERS, SCALARS, D, columns, exact, schema_of, write
from vecmill import DataType, LocalBulkWriter  # fmt: skip
from vecmill.encode import columns as batch_columns
from vecmill.encode import stage as segment
from vecmill.formats.parquet.segment import ParquetFormat

CODECS = sorted(parquet_layout.CODECS)
TYPES = [*SCALARS, D.VARCHAR, D.JSON, *LISTS, D.BINARY_VECTOR, D.FLOAT16_VECTOR, D.BFLOAT16_VECTOR, D.ARRAY, D.ARRAY]
# Bits of the exponent: all of them set is Inf or NaN, which no writer takes.
EXPONENTS = {D.FLOAT: 0xFF << 23, D.FLOAT_VECTOR: 0xFF << 23, D.DOUBLE: 0x7FF << 52, D.FLOAT16_VECTOR: 0x1F << 10,
             D.BFLOAT16_VECTOR: 0xFF << 7}  # fmt: skip
ELEMENTS = {D.FLOAT: "<u4", D.FLOAT_VECTOR: "<u4", D.DOUBLE: "<u8", D.FLOAT16_VECTOR: "<u2", D.BFLOAT16_VECTOR: "<u2"}
TEXTS = ["", "a", " ", "é𝄞", "\0", "\x7f\x80\uffff\U0010ffff", "nan", "None", "x" * 300]
JSONS = ['""', "0", "[]", "{}", "null", "true", '{"é":"𝄞","n":null}', '"' + "y" * 300 + '"']
ROWS = st.sampled_from([1, 1, 2, 3, 7, 8, 9, 16, 17, 63, 64, 65, 200])
DIMS = st.sampled_from([1, 1, 2, 3, 7, 8, 9, 15, 16, 17, 33, 128, 1000])


@dataclass(frozen=True)
class Column:
    """A field and the values offered for it, as the readers should give them."""

    name: str
    dtype: DataType
    params: dict[str, Any]
    values: list[Any]

    def exact(self, values: list[Any]) -> list[Any]:
        """Return values in a form whose equality is that of their bits."""
        if self.dtype is not D.ARRAY:
            return [exact(self.dtype, value) for value in values]
        element = self.params["element_type"]
        return [None if row is None else [exact(element, value) for value in row] for row in values]


@dataclass(frozen=True)
class Table:
    """Columns, and how they are written: codec, way in, bytes of a row group and of a page."""

    columns: list[Column]
    n_rows: int
    codec: str
    way: str
    span_bytes: int
    block_bytes: int

    @property
    def batch(self) -> dict[str, list[Any]]:
        return {"id": list(range(self.n_rows)), **{column.name: column.values for column in self.columns}}


def random_values(dtype: DataType, dim: int, n_rows: int, rng: np.random.Generator) -> list[Any]:
    """Return any bits that are a value; for scalars and text the edges now and then."""
    if dtype in (D.VARCHAR, D.JSON):
        return rng.choice(np.array(TEXTS if dtype is D.VARCHAR else JSONS, object), n_rows).tolist()
    n = n_rows * max(dim, 1)
    if dtype is D.BOOL:
        return rng.integers(0, 2, n).astype(bool).tolist()
    if dtype is D.BINARY_VECTOR:
        return [row.tobytes() for row in rng.integers(0, 256, (n_rows, dim // 8), np.uint8)]
    if dtype not in ELEMENTS:
        code = LISTS.get(dtype) or SCALARS[dtype]
        limits = np.iinfo(f"i{struct.calcsize(code)}")
        flat = rng.integers(limits.min, limits.max, n, limits.dtype, endpoint=True)
        flat[rng.random(n) < 0.2] = rng.choice([limits.min, limits.max, 0])
    else:
        flat = rng.integers(0, np.iinfo(ELEMENTS[dtype]).max, n, ELEMENTS[dtype], endpoint=True)
        flat[rng.random(n) < 0.2] = 0
        exponent = EXPONENTS[dtype]
        flat[flat & exponent == exponent] ^= np.array(exponent & -exponent, flat.dtype)
        if dtype in (D.FLOAT16_VECTOR, D.BFLOAT16_VECTOR):
            return [row.tobytes() for row in flat.reshape(n_rows, dim)]
        flat = flat.view(f"f{flat.itemsize}")
    return flat.reshape(n_rows, dim).tolist() if dim else flat.tolist()


def random_arrays(element: DataType, n_rows: int, rng: np.random.Generator, *, nullable: bool) -> list[Any]:
    """Return lists of any length up to 5; of a nullable field none is empty: the server reads it as null."""
    lengths = rng.integers(int(nullable), 6, n_rows)
    flat = random_values(element, 0, int(lengths.sum()), rng)
    ends = np.cumsum(lengths)
    return [flat[end - length : end] for end, length in zip(ends.tolist(), lengths.tolist(), strict=True)]


NULLS = {
    "none": lambda n, rng: np.zeros(n, bool),
    "all": lambda n, rng: np.ones(n, bool),
    "first": lambda n, rng: np.arange(n) == 0,
    "last": lambda n, rng: np.arange(n) == n - 1,
    "all but one": lambda n, rng: np.arange(n) != n // 2,
    "some": lambda n, rng: rng.random(n) < 0.3,
    "every other": lambda n, rng: np.arange(n) % 2 == 0,
}


@st.composite
def tables(draw: st.DrawFn) -> Table:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n_rows = draw(ROWS)
    found = []
    for i, dtype in enumerate(draw(st.lists(st.sampled_from(TYPES), min_size=1, max_size=4))):
        params: dict[str, Any] = {}
        dim = 0
        if dtype.name.endswith("VECTOR"):
            dim = params["dim"] = draw(DIMS) * (8 if dtype is D.BINARY_VECTOR else 1)
        elif dtype is D.VARCHAR:
            params["max_length"] = 400
        nullable = draw(st.booleans())
        if dtype is D.ARRAY:
            element = draw(st.sampled_from([*SCALARS, D.VARCHAR]))
            params |= {"element_type": element, "max_capacity": 5}
            if element is D.VARCHAR:
                params["max_length"] = 400
            values = random_arrays(element, n_rows, rng, nullable=nullable)
        else:
            values = random_values(dtype, dim, n_rows, rng)
        if nullable:
            params["nullable"] = True
            nulls = NULLS[draw(st.sampled_from(sorted(NULLS)))](n_rows, rng)
            values = [None if null else value for null, value in zip(nulls, values, strict=True)]
        found.append(Column(f"c{i}", dtype, params, values))
    return Table(
        found, n_rows, draw(st.sampled_from(CODECS)), draw(st.sampled_from(["batch", "rows", "batches"])),
        draw(st.sampled_from([1, 300, 5000, 1 << 20])), draw(st.sampled_from([1, 200, 3000, 1 << 20])),
    )  # fmt: skip


def schema_for(table: Table) -> Any:
    fields = [(column.name, column.dtype, column.params) for column in table.columns]
    if not any(column.dtype.name.endswith("VECTOR") for column in table.columns):
        fields.append(("v", D.FLOAT_VECTOR, {"dim": 2, "nullable": True}))
    return schema_of(*fields)


def put(writer: LocalBulkWriter, table: Table) -> None:
    batch = table.batch
    if table.way == "rows":
        writer.append_rows(dict(zip(batch, row, strict=True)) for row in zip(*batch.values(), strict=True))
        return
    step = table.n_rows if table.way == "batch" else max(1, table.n_rows // 3)
    for start in range(0, table.n_rows, step):
        writer.append_batch({name: values[start : start + step] for name, values in batch.items()})


def check(folder: Any, table: Table) -> None:
    """Write the table, walk the file, read it five ways."""
    with pytest.MonkeyPatch.context() as patch:
        # Row groups and pages so small that a few rows make many of them.
        patch.setattr(ParquetFormat, "span_bytes", table.span_bytes)
        patch.setattr(ParquetFormat, "stage_bytes", table.span_bytes)
        patch.setattr(batch_columns, "BLOCK_BYTES", table.block_bytes)
        patch.setattr(segment, "BLOCK_BYTES", table.block_bytes)
        config = {"compression": table.codec}
        written = write(folder, schema_for(table), lambda writer: put(writer, table), config=config)
    ((path,),) = written.batch_files
    parquet_layout.check(path, table.codec)
    for reader in PARQUET_READERS:
        found = columns(written, reader)
        assert found["id"] == list(range(table.n_rows)), reader
        for column in table.columns:
            if reader == "fastparquet" and column.params.get("element_type") is D.VARCHAR:
                continue  # it gives None for lists of text without a dictionary, pyarrow's too (2026.9)
            assert column.exact(found[column.name]) == column.exact(column.values), (reader, column.name)


def test_any_table_is_read_alike_by_every_reader(tmp_path):
    @examples(80, suppress_health_check=[HealthCheck.too_slow])
    @given(tables())
    def run(table):
        check(tmp_path, table)

    run()


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("dim", [1, 32_768])
def test_shortest_and_longest_vectors_in_every_reader(tmp_path, dim, codec):
    rng = np.random.default_rng(dim)
    found = []
    for dtype in (D.FLOAT_VECTOR, D.FLOAT16_VECTOR, D.BFLOAT16_VECTOR, D.INT8_VECTOR, D.BINARY_VECTOR):
        dims = 8 * dim if dtype is D.BINARY_VECTOR else dim
        for nullable in (False, True):
            values = random_values(dtype, dims, 4, rng)
            if nullable:
                values[1] = None
            params = {"dim": min(dims, 32_768 * 8), "nullable": nullable}
            found.append(Column(f"{dtype.name}{nullable}", dtype, params, values))
    for part in (found[:4], found[4:8], found[8:]):
        check(tmp_path, Table(part, 4, codec, "batch", 1 << 20, 1 << 20))


def big_columns(n_rows: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {
        "id": np.arange(n_rows),
        "float32": rng.standard_normal((n_rows, 300), np.float32),
        "int8": rng.integers(-128, 128, (n_rows, 301), np.int8),
        "binary": rng.integers(0, 256, (n_rows, 99), np.uint8),
        "half": rng.standard_normal((n_rows, 77), np.float32).astype(np.float16),
    }


BIG = schema_of(
    ("float32", D.FLOAT_VECTOR, {"dim": 300}), ("int8", D.INT8_VECTOR, {"dim": 301}),
    ("binary", D.BINARY_VECTOR, {"dim": 792}), ("half", D.FLOAT16_VECTOR, {"dim": 77}),
)  # fmt: skip


def arrow_tables(path: str) -> Iterator[tuple[str, Any]]:
    """Yield the file as an Arrow table, read by those who can give one."""
    import arro3.io
    import duckdb
    import polars as pl
    import pyarrow as pa

    yield "pyarrow", pq.read_table(path)
    yield "arro3", pa.table(arro3.io.read_parquet(path))
    with duckdb.connect() as connection:
        yield "duckdb", connection.read_parquet(path).to_arrow_table()
    yield "polars", pl.read_parquet(path).to_arrow()


@pytest.mark.parametrize("codec", ["none", "zstd"])
def test_pages_and_row_groups_of_their_own_size_are_read_alike(tmp_path, codec):
    given_columns = big_columns(25_000)
    config = {"compression": codec}
    written = write(tmp_path, BIG, lambda w: w.append_batch(given_columns), config=config, chunk_size=1 << 30)
    ((path,),) = written.batch_files
    parquet_layout.check(path, codec)
    assert pq.ParquetFile(path).num_row_groups > 1
    assert parquet_layout.n_pages(path, 1) > 1
    for reader, table in arrow_tables(path):
        for name, values in given_columns.items():
            column = table[name].combine_chunks()
            if values.ndim == 1:
                assert column.to_numpy().tobytes() == values.tobytes(), reader
            elif name in ("binary", "half"):
                assert b"".join(column.to_pylist()) == values.tobytes(), reader
            else:
                assert column.flatten().to_numpy().tobytes() == values.tobytes(), (reader, name)


def test_vectors_take_their_true_size(tmp_path):
    given_columns = big_columns(25_000)
    written = write(tmp_path, BIG, lambda w: w.append_batch(given_columns))
    values = sum(column.nbytes for column in given_columns.values())
    # Beside the values: 4 bytes for each byte array, 5 for the levels of each list.
    assert values < sum(entry.bytes for entry in written.manifest.files) < values + 25_000 * 20 + 20_000


def test_statistics_let_readers_skip_without_loss(tmp_path):
    batch = {"id": [0, 1, 2, 3, 4], "x": [None, -32768, 5, 32767, None], "v": [[0, 0]] * 5}
    schema = schema_of(("x", D.INT16, {"nullable": True}))
    path = write(tmp_path, schema, lambda w: w.append_batch(batch)).batch_files[0][0]
    chunk = pq.ParquetFile(path).metadata.row_group(0).column(1).statistics
    assert (chunk.min, chunk.max, chunk.null_count) == (-32768, 32767, 2)
    assert pq.read_table(path, filters=[("x", ">", 5)])["x"].to_pylist() == [32767]


def test_no_rows_make_no_file(tmp_path):
    def nothing(writer: LocalBulkWriter) -> None:
        writer.append_rows([])
        writer.append_batch({"id": np.empty(0, np.int64), "v": np.empty((0, 2), np.float32)})

    assert write(tmp_path, schema_of(), nothing).batch_files == []
