"""Milvus Lite, collections in a file on this disk. It has no import, so the rows are read back and inserted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vecmill.errors import ImportJobError, SchemaError
from vecmill.importer.collection import indexes_of
from vecmill.importer.options import CollectionOptions, Server
from vecmill.importer.pym import connected, count, create_collection
from vecmill.output.opening import Output
from vecmill.schema.collection import CollectionSchema
from vecmill.schema.fields import DYNAMIC_FIELD, FieldSchema
from vecmill.schema.reading import as_schema
from vecmill.sources import open_source

BATCH_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class Inserted:
    """What an insert did: rows that it inserted, and rows that the collection holds now."""

    rows: int
    rows_in_collection: int


def insert(
    output: Output,
    server: Server,
    collection: CollectionOptions,
    *,
    again: bool = False,
    progress: Callable[[int], object] | None = None,
) -> Inserted:
    """Insert an output into Milvus Lite, all of it or nothing, and count the rows there.

    Parameters
    ----------
    server: its ``url`` is the path of the database, ``./demo.db``. It is created if there is none.
    collection: created if there is none, whatever ``create`` says.
    again: whether the rows are added to a collection that holds rows already.
    progress: called with the number of rows inserted so far. None: nothing is called.

    Raises
    ------
    SchemaError: Milvus Lite does not have the type of a field.
    ImportJobError: Milvus Lite refused something, the collection holds rows already, or the count is not that of the
        manifest.
    """
    schema = as_schema(output.manifest.schema)
    check_types(schema)
    with connected(server, extra="lite") as client:
        name = collection.name
        is_new = not client.has_collection(name)
        if is_new:
            create_collection(client, name, schema, indexes_of(schema, collection))
        client.load_collection(name)
        # One process, so nothing can lag; asked for more, Milvus Lite logs that it has no timestamps.
        before = 0 if is_new else count(client, name, consistency="Eventually")
        if before and not again:
            raise ImportJobError(
                f"collection {name!r} holds {before:,} rows already; another one, or --again to add these"
            )
        done = 0
        try:
            for rows in batches(output, schema):
                client.insert(name, rows)
                done += len(rows)
                if progress is not None:
                    progress(done)
        except BaseException as err:
            if is_new:
                client.drop_collection(name)
            err.add_note("nothing was kept" if is_new else f"the first {done:,} rows are in the collection")
            raise
        after = count(client, name, consistency="Eventually")
    expected = output.manifest.n_rows
    if done != expected or after - before != expected:
        raise ImportJobError(f"{expected:,} rows were written, {done:,} inserted, and {after - before:,} arrived")
    return Inserted(done, after)


def check_types(schema: CollectionSchema) -> None:
    """Raise SchemaError for the first field whose type Milvus Lite does not have."""
    for field in schema.fields:
        if not field.kind.in_lite:
            raise SchemaError(f"Milvus Lite has no {field.dtype.name}", field=field.name)


def batches(output: Output, schema: CollectionSchema) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of an output as dicts, read back from its files."""
    fields = {field.name: field for field in schema.written_fields()}
    for file in output.files():
        source = open_source(list(file.paths), batch_rows=BATCH_ROWS)
        for batch in source.batches():
            columns = {name: _values(fields[name], values) for name, values in batch.items()}
            rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
            yield [row | (row.pop(DYNAMIC_FIELD, None) or {}) for row in rows]


def _values(field: FieldSchema, column: Any) -> Sequence[Any]:
    """Return a column of a file as the values that pymilvus' insert takes."""
    if field.kind.group == "dense":
        if not isinstance(column, np.ndarray):
            column = np.asarray(column.flatten(), "f4").reshape(len(column), -1)
        return list(column.astype("f4", copy=False))
    values: list[Any] = column.tolist() if isinstance(column, np.ndarray) else column.to_pylist()
    if field.kind.group == "json":
        return [None if text is None else json.loads(text) for text in values]
    if field.kind.group == "sparse":
        return [None if value is None else _sparse(value) for value in values]
    return values


def _sparse(value: Any) -> dict[int, float]:
    """Return a sparse vector as index -> value; files hold JSON text, or a struct of indices and values."""
    pairs = json.loads(value) if isinstance(value, str) else value
    if set(pairs) == {"indices", "values"} and isinstance(pairs["indices"], list):
        pairs = dict(zip(pairs["indices"], pairs["values"], strict=True))
    return {int(index): float(one) for index, one in pairs.items()}
