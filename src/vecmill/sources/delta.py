"""Delta tables: their log tells which files hold live rows, and which rows of these were deleted."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

import numpy as np

from vecmill.errors import DataError
from vecmill.sources.base import SourceFile, extra, translated
from vecmill.sources.parquet import ParquetTable
from vecmill.sources.tables import Table
from vecmill.store.url import is_url

_MAPPED = "delta.columnMapping.physicalName"
_FEATURES = {"deletionVectors", "columnMapping", "timestampNtz", "typeWidening", "v2Checkpoint", "vacuumProtocolCheck"}


def tables(places: Sequence[SourceFile]) -> list[Table]:
    """Return the live files of Delta tables, oldest first. Raises DataError, StoreError."""
    return [file for place in places for file in _live_files(place)]


def _live_files(place: SourceFile) -> list[Table]:
    import pyarrow as pa

    root = place.path
    with extra("deltalake", "delta", root):
        from deltalake import DeltaTable
    if place.member or not isinstance(root, Path):
        got = place.member or "an object"
        raise DataError(file=str(root), expected="the folder of a Delta table: it has no parts", got=got)
    with _damage(str(root)):
        table = DeltaTable(str(root))
        unknown = set(table.protocol().reader_features or ()) - _FEATURES
        if unknown:
            expected = f"a Delta table whose features are among {', '.join(sorted(_FEATURES))}"
            raise DataError(file=str(root), expected=expected, got=", ".join(sorted(unknown)))
        schema = pa.schema(table.schema())
        told = json.loads(table.schema().to_json())["fields"]
        actions = pa.table(table.get_add_actions(flatten=True)).to_pylist()
        kept = _kept_rows(table, root)
        keys = table.metadata().partition_columns
    physical = {field["name"]: field["metadata"].get(_MAPPED, field["name"]) for field in told}
    if any(_MAPPED in json.dumps(field["type"]) for field in told):
        raise DataError(file=str(root), expected="columns whose members have their own names", got="mapped ones")
    files: list[Table] = []
    for action in sorted(actions, key=lambda one: (one["modification_time"], one["path"])):
        path = _below(root, action["path"])
        values = {
            name: pa.scalar(action.get(f"partition.{name}", action.get(f"partition.{physical[name]}"))).cast(
                schema.field(name).type
            )
            for name in keys
        }
        files.append(_LiveRows(ParquetTable(path), schema, physical, values, kept.get(path)))
    if not files:
        raise DataError(file=str(root), expected="a Delta table with rows", got="one without any")
    return files


def _kept_rows(table: Any, root: Path) -> dict[Path, np.ndarray[Any, Any]]:
    """Return which rows of a file are live, for files with deleted rows: a bool a row, the last may be left out."""
    import pyarrow as pa

    if "deletionVectors" not in (table.protocol().reader_features or ()):
        return {}
    found = pa.table(table.deletion_vectors().read_all())
    uris = [str(uri).removeprefix(root.absolute().as_uri().rstrip("/") + "/") for uri in found["filepath"].to_pylist()]
    vectors = (vector.values.to_numpy(zero_copy_only=False) for vector in found["selection_vector"])
    return {_below(root, uri): vector for uri, vector in zip(uris, vectors, strict=True)}


def _below(root: Path, path: str) -> Path:
    """Return a file of the log, which is one below the folder. Raises DataError for any other."""
    relative = PurePosixPath(unquote(path))
    if is_url(path) or relative.is_absolute() or ".." in relative.parts:
        raise DataError(file=str(root), expected="a log that lists files in this folder", got=path[:200])
    return root / relative


class _LiveRows:
    """The live rows of one file. ``values``: what the log tells of the columns that the table is partitioned by."""

    def __init__(
        self,
        file: ParquetTable,
        schema: Any,
        physical: Mapping[str, str],
        values: Mapping[str, Any],
        kept: np.ndarray[Any, Any] | None,
    ) -> None:
        import pyarrow as pa

        self._file = file
        self._physical = physical
        self._values = values
        self.place = file.place
        self.n_bytes = file.n_bytes
        there = {field.name: field.type for field in file.schema}
        types = [there.get(physical[f.name], f.type) if f.name not in values else values[f.name].type for f in schema]
        self._there = there
        self.schema = pa.schema(list(zip(schema.names, types, strict=True)))
        n_file = file.n_rows or 0
        self._kept: np.ndarray[Any, Any] | None = None
        if kept is not None:
            self._kept = np.ones(n_file, bool)
            self._kept[: len(kept)] = kept[:n_file]
        self.n_rows: int | None = n_file if self._kept is None else int(self._kept.sum())
        self.null_counts = {name: self._nulls(name) for name in schema.names}

    def _nulls(self, name: str) -> int | None:
        if name in self._values:
            return 0 if self._values[name].is_valid else self.n_rows
        if self._physical[name] not in self._there:
            return self.n_rows
        found = self._file.null_counts.get(self._physical[name])
        return found if self._kept is None or not found else None

    def read(self, columns: Sequence[str], batch_rows: int | None, start_row: int) -> Generator[Any, None, None]:
        """Yield the live rows; see `Table.read`."""
        import pyarrow as pa

        first = start_row
        if self._kept is not None:
            live = np.flatnonzero(self._kept)
            first = int(live[start_row]) if start_row < len(live) else len(self._kept)
        wanted = {self._physical[name] for name in columns} & self._there.keys()
        read = sorted(wanted) or self._file.schema.names[:1]
        at = first
        for batch in self._file.read(read, batch_rows, first):
            keep = None if self._kept is None else pa.array(self._kept[at : at + batch.num_rows])
            at += batch.num_rows
            rows = batch if keep is None else batch.filter(keep)
            yield pa.RecordBatch.from_arrays([self._column(name, rows) for name in columns], names=list(columns))

    def _column(self, name: str, rows: Any) -> Any:
        import pyarrow as pa

        if name in self._values:
            return pa.repeat(self._values[name], rows.num_rows)
        physical = self._physical[name]
        if physical in self._there:
            return rows.column(physical)
        return pa.nulls(rows.num_rows, self.schema.field(name).type)


def _damage(place: str) -> AbstractContextManager[None]:
    from deltalake.exceptions import DeltaError

    return translated(place, "a Delta table that can be read", DeltaError, OSError, ValueError, KeyError)
