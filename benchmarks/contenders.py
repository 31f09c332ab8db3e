"""Ways to do the job, ours and others', and the shapes in which they take their data."""

import importlib
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data import make_schema
from harness import BatchFiles

Columns = Mapping[str, Any]
BATCH_ROWS = 8192


def optional(name: str, needed: str) -> ModuleType | None:
    """Import a module that has `needed`; None while there is none: its contenders are then left out."""
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if not name.startswith(error.name or "?"):  # it is there, but broken: that must not pass for absent
            raise
        return None
    return module if hasattr(module, needed) else None


vecmill = optional("vecmill", "LocalBulkWriter")


def vecmill_run(
    feed: Callable[[Any, Any], None], file_type: str, config: dict | None = None, **schema: Any
) -> Callable:
    """Time the writer from its construction to the end of close()."""

    def run(data: Any, out: Path) -> BatchFiles:
        kind = getattr(vecmill.BulkFileType, file_type)
        with vecmill.LocalBulkWriter(make_schema(vecmill, **schema), str(out), file_type=kind, config=config) as writer:
            feed(writer, data)
            writer.commit()
        return writer.batch_files

    return run


def pymilvus_run(file_type: str, **schema: Any) -> Callable:
    """Time pymilvus from its construction to the end of commit(), row by row: it has no other way."""
    import pymilvus
    from pymilvus.bulk_writer import BulkFileType, LocalBulkWriter

    logging.disable(logging.INFO)  # importing it sets the root logger up to print every step

    def run(rows: list[dict], out: Path) -> BatchFiles:
        kind = getattr(BulkFileType, file_type)
        writer = LocalBulkWriter(make_schema(pymilvus, **schema), str(out), file_type=kind)
        append_each(writer, rows)
        writer.commit()
        return writer.batch_files

    return run


def append_each(writer: Any, rows: Sequence[dict]) -> None:
    for row in rows:
        writer.append_row(row)


def append_all(writer: Any, rows: Sequence[dict]) -> None:
    writer.append_rows(rows)


def append_batches(writer: Any, batches: Sequence[Columns]) -> None:
    for batch in batches:
        writer.append_batch(batch)


def numpy_save(columns: Columns, out: Path) -> BatchFiles:
    paths = [str(out / f"{name}.npy") for name in columns]
    for path, values in zip(paths, columns.values(), strict=True):
        np.save(path, values)
    return [paths]


def pyarrow_write(table: pa.Table, out: Path, **options: Any) -> BatchFiles:
    path = str(out / "1.parquet")
    pq.write_table(table, path, **{"use_dictionary": False, "compression": "none"} | options)
    return [[path]]


def pieces(columns: Columns, size: int = BATCH_ROWS) -> list[Columns]:
    n = len(columns["id"])
    return [{name: values[i : i + size] for name, values in columns.items()} for i in range(0, n, size)]


def arrow_table(columns: Mapping[str, np.ndarray]) -> pa.Table:
    """Make the table of the columns with vectors as lists of their elements, the type Milvus reads."""
    table = {"id": columns["id"], "text": pa.array(columns["text"].tolist()), "vector": arrow_lists(columns["vector"])}
    return pa.table(table)


def arrow_lists(matrix: np.ndarray, nulls: np.ndarray | None = None) -> pa.Array:
    """Make a list column of the rows; those that `nulls` names are empty and null."""
    lengths = np.full(len(matrix), matrix.shape[1], np.int64)
    if nulls is not None:
        matrix, lengths[nulls] = matrix[~nulls], 0
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    flat, mask = pa.array(matrix.reshape(-1)), None if nulls is None else pa.array(nulls)
    if offsets[-1] >= 2**31:
        return pa.LargeListArray.from_arrays(pa.array(offsets), flat, mask=mask)
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), flat, mask=mask)


def fresh(rows: list[dict]) -> Callable[[], list[dict]]:
    """Copy the dicts (not the vectors) for each run: pymilvus writes into the dicts it is given."""
    return lambda: [dict(row) for row in rows]
