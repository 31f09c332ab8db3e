"""Files of a writer, read by other people's readers: NumPy for NPY; five that share no decoder for Parquet; the
json and csv modules for text, whose values are then made what the server makes of them.

pyarrow is parquet-cpp (what Milvus is tested with, beside arrow-go), arro3 is arrow-rs; DuckDB, Polars and fastparquet
have decoders of their own.
"""

from __future__ import annotations

import csv
import json
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

csv.field_size_limit(2**24)
D = DataType
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
    """Open a writer, let ``put`` give it data, close it. CSV gets a null key that no text of the tests is."""
    if options.get("file_type") == "csv":
        options.setdefault("config", {"nullkey": "\\N"})
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
        suffix = Path(files[0]).suffix
        if suffix in (".json", ".jsonl", ".csv"):
            part = text_columns(writer, files[0])
        else:
            part = _READERS[reader or ("numpy" if suffix == ".npy" else "pyarrow")](files)
        for name, values in part.items():
            found.setdefault(name, []).extend(values)
    return found


def rows_of_text(path: str | Path, options: Any = None) -> list[dict[str, Any]]:
    """Return the rows of a JSON, JSON Lines or CSV file, as the standard library reads them."""
    path = Path(path)
    if path.suffix == ".json":
        whole = json.loads(path.read_bytes())
        assert list(whole) == ["rows"]
        rows = whole["rows"]
    elif path.suffix == ".jsonl":
        rows = [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]
    else:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter=(options or {}).get("sep", ","), strict=True))
    return list(rows)


def text_columns(writer: LocalBulkWriter, path: str) -> dict[str, list[Any]]:
    """Return the columns of a text file, each value as its field has it."""
    schema, options = writer.schema, writer.manifest.import_options
    fields = {field.name: field for field in schema.written_fields()}
    rows = rows_of_text(path, options)
    for row in rows:
        assert list(row) == list(fields)
    return {
        name: [_of_cell(field, row[name], options) if options else _of_json(field, row[name]) for row in rows]
        for name, field in fields.items()
    }


def _of_cell(field: Any, cell: str, options: Any) -> Any:
    if cell == options["nullkey"] and (field.nullable or field.default_value is not None):
        return None
    if field.dtype in (D.VARCHAR, D.TEXT, D.JSON, D.GEOMETRY, D.TIMESTAMPTZ):
        return cell
    return _of_json(field, json.loads(cell))


def _of_json(field: Any, value: Any) -> Any:
    """Return a value as the server stores it (milvus, internal/util/importutilv2/json)."""
    if value is None:
        return None
    if field.dtype is D.JSON:
        assert isinstance(value, str | dict)
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if field.dtype in (D.FLOAT, D.FLOAT_VECTOR):
        return np.array(value, np.float32).tolist()
    if field.dtype is D.FLOAT16_VECTOR:
        return np.array(value, np.float32).astype(np.float16).tobytes()
    if field.dtype is D.BFLOAT16_VECTOR:  # cut, not rounded
        return (np.array(value, np.float32).view(np.uint32) >> 16).astype(np.uint16).tobytes()
    return value


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


def exact(dtype: DataType, value: Any, *, file_type: str = "") -> Any:
    """Return a value, as offered or as read back, in a form whose equality is that of its bits.

    JSON and JSON Lines hold a JSON field as a value, not as the text that it was offered in.
    """
    if dtype is D.JSON and isinstance(value, str) and file_type.startswith("json"):
        return json.dumps(json.loads(value))
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
