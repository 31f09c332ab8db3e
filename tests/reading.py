"""What a writer wrote, as readers of other people find it: NumPy for NPY; five that share no decoder for Parquet.

pyarrow is parquet-cpp (what Milvus is tested with, beside arrow-go), arro3 is arrow-rs; DuckDB, Polars and fastparquet
have decoders of their own.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import arro3.io
import duckdb
import fastparquet
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from vecmill import DataType, LocalBulkWriter, create_schema
from vecmill.errors import DataError

D = DataType
FORMATS = ("npy", "parquet")
PARQUET_READERS = ("pyarrow", "duckdb", "polars", "fastparquet", "arro3")
SCALARS = {D.BOOL: "?", D.INT8: "b", D.INT16: "h", D.INT32: "i", D.INT64: "q", D.FLOAT: "f", D.DOUBLE: "d"}
LISTS = {D.FLOAT_VECTOR: "f", D.INT8_VECTOR: "b"}


def schema_of(*fields: tuple[str, DataType, dict[str, Any]], dynamic: bool = False, auto_id: bool = False) -> Any:
    """Return a schema of ``id`` (INT64 key), the fields, and a vector ``v`` of 2 dims if no field is one."""
    schema = create_schema(enable_dynamic_field=dynamic)
    schema.add_field("id", D.INT64, is_primary=True, auto_id=auto_id)
    for name, dtype, params in fields:
        schema.add_field(name, dtype, **params)
    if not any(dtype.name.endswith("VECTOR") for _, dtype, _ in fields):
        schema.add_field("v", D.FLOAT_VECTOR, dim=2)
    return schema


def write(folder: Path, schema: Any, put: Callable[[LocalBulkWriter], object], **options: Any) -> LocalBulkWriter:
    """Open a writer, let ``put`` give it data, close it."""
    with LocalBulkWriter(schema, folder, **options) as writer:
        put(writer)
    return writer


def refusal(folder: Path, schema: Any, put: Callable[[LocalBulkWriter], object], **options: Any) -> DataError:
    """Return the DataError of ``put``; nothing may have been taken, and the writer must go on and close."""
    with LocalBulkWriter(schema, folder, **options) as writer:
        try:
            put(writer)
        except DataError as error:
            found = error
        else:
            raise AssertionError("taken")
        assert writer.total_row_count == 0
    assert writer.batch_files == []
    return found


def columns(writer: LocalBulkWriter, reader: str | None = None) -> dict[str, list[Any]]:
    """Return every column as a list of plain values, segments in order."""
    found: dict[str, list[Any]] = {}
    for files in writer.batch_files:
        for name, values in _READERS[reader or ("numpy" if files[0].endswith(".npy") else "pyarrow")](files).items():
            found.setdefault(name, []).extend(values)
    return found


def _numpy(files: list[str]) -> dict[str, Iterable[Any]]:
    return {Path(path).stem: np.load(path, allow_pickle=False).tolist() for path in files}


def _pyarrow(files: list[str]) -> dict[str, Iterable[Any]]:
    table = pq.read_table(files[0])
    table.validate(full=True)
    return {name: table[name].to_pylist() for name in table.column_names}


def _duckdb(files: list[str]) -> dict[str, Iterable[Any]]:
    with duckdb.connect() as connection:
        table = connection.read_parquet(files[0])
        rows = table.fetchall()
        return {name: [row[i] for row in rows] for i, name in enumerate(table.columns)}


def _polars(files: list[str]) -> dict[str, Iterable[Any]]:
    frame = pl.read_parquet(files[0])
    return {name: frame[name].to_list() for name in frame.columns}


def _fastparquet(files: list[str]) -> dict[str, Iterable[Any]]:
    frame = fastparquet.ParquetFile(files[0]).to_pandas()
    # pandas has one NaN and no null for it; no NaN is ever written.
    return {name: [_or_none(value) for value in frame[name].tolist()] for name in frame.columns}


def _or_none(value: Any) -> Any:
    return None if value is pd.NA or (isinstance(value, float) and value != value) else value


def _arro3(files: list[str]) -> dict[str, Iterable[Any]]:
    table = pa.table(arro3.io.read_parquet(files[0]))
    table.validate(full=True)
    return {name: table[name].to_pylist() for name in table.column_names}


_READERS: dict[str, Callable[[list[str]], dict[str, Iterable[Any]]]] = {
    "numpy": _numpy,
    "pyarrow": _pyarrow,
    "duckdb": _duckdb,
    "polars": _polars,
    "fastparquet": _fastparquet,
    "arro3": _arro3,
}


def exact(dtype: DataType, value: Any) -> Any:
    """Return a value, as offered or as read back, in a form whose equality is that of its bits."""
    if value is None or isinstance(value, str):
        return value
    if dtype in SCALARS:
        return struct.pack("<" + SCALARS[dtype], value)
    if isinstance(value, bytes):
        return value
    # NPY holds binary and half vectors as uint8.
    return struct.pack(f"<{len(value)}{LISTS.get(dtype, 'B')}", *value)


def arrow_list(matrix: np.ndarray, kind: Any = pa.list_) -> pa.Array:
    """Return a matrix as an Arrow list column."""
    return pa.array(list(matrix), kind(pa.from_numpy_dtype(matrix.dtype)))
