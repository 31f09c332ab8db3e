"""Files that hold one vector for each key: names of arrays, or of files, and the vectors as two columns."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vecmill.errors import DataError
from vecmill.sources.arrays import Array, ArrayColumn
from vecmill.sources.base import Column, SourceFile, rows_for
from vecmill.sources.kinds import kind_named
from vecmill.sources.shards import arrays_in

KEY, VECTOR = "id", "vector"
"""The names of the two columns."""


@dataclass(frozen=True, slots=True)
class _Row:
    key: str
    name: str
    file: SourceFile
    array: Array


class KeyRows:
    """The vectors of files, one for each key; see `Source`. ``wanted``: field -> ``id`` or ``vector``.

    A key is the name of an array, or that of its file where each of several files has one array. All vectors have the
    same type and dim. Raises DataError for any other array, and for a file of another kind.
    """

    def __init__(self, files: Sequence[SourceFile], wanted: Mapping[str, str], batch_rows: int | None = None) -> None:
        self._rows = [row for file in files for row in _rows(file, alone=len(files) == 1)]
        if not self._rows:
            raise DataError(expected="arrays with a key each", got="none")
        first = self._rows[0].array
        for row in self._rows:
            form = (row.array.dtype, row.array.shape)
            if row.array.problem is not None:
                raise row.array.problem
            if form != (first.dtype, first.shape) or len(first.shape) != 1:
                expected = f"one vector of {first.dtype.str!r} for each key"
                if len(first.shape) == 1:
                    expected += f", of {first.shape[0]} values as in {first.place!r}"
                raise DataError(file=row.array.place, expected=expected, got=f"{form[0].str!r} of shape {form[1]}")
        import pyarrow as pa

        self._batch_rows = batch_rows
        self._column = ArrayColumn(VECTOR, VECTOR, [replace(first, shape=(1, *first.shape))])
        types = {KEY: pa.string(), VECTOR: self._column.column.type}
        self.columns = tuple(Column(field, name, types[name], 0) for field, name in wanted.items())
        self.n_rows = len(self._rows)
        self.n_bytes = sum(row.array.n_bytes for row in self._rows)

    def locate(self, row: int, name: str | None = None) -> tuple[str, int]:
        """Return the array of a row; it has one row."""
        return self._rows[min(row, self.n_rows - 1)].array.place, 0

    def batches(
        self, names: Sequence[str] | None = None, *, batch_rows: int | None = None, start_row: int = 0
    ) -> Iterator[Mapping[str, Any]]:
        """Yield keys and vectors; see `Source.batches`."""
        import pyarrow as pa

        asked = [column for column in self.columns if names is None or column.name in names]
        width = self._rows[0].array.dtype.itemsize * self._rows[0].array.shape[0]
        size = batch_rows or self._batch_rows or rows_for(width)
        vectors = self._vectors(start_row) if any(column.source == VECTOR for column in asked) else None
        for start in range(start_row, self.n_rows, size):
            rows = self._rows[start : start + size]
            found: dict[str, Any] = {}
            for column in asked:
                if column.source == KEY:
                    found[column.name] = pa.array([row.key for row in rows], pa.string())
                elif vectors is not None:
                    found[column.name] = self._column.finished(np.stack(list(itertools.islice(vectors, len(rows)))), 0)
            yield found

    def _vectors(self, start: int) -> Iterator[np.ndarray[Any, Any]]:
        """Yield the vectors from a row on; a file is opened once where opening it takes time."""
        for (_, kind), group in itertools.groupby(self._rows[start:], lambda row: (str(row.file.path), row.file.kind)):
            rows = list(group)
            load = kind_named(kind).values
            if load is None:
                yield from (_whole(row.array) for row in rows)
                continue
            yield from load()(rows[0].file.path, [row.name for row in rows])


def _rows(file: SourceFile, *, alone: bool) -> Iterator[_Row]:
    kind = kind_named(file.kind)
    if kind.arrays is None:
        expected = "a file of arrays (HDF5, torch, safetensors, NPZ), or a folder of NPY files, to take rows from keys"
        raise DataError(file=str(file.path), expected=expected, got=f"a {kind.name} file")
    inside = kind.keyed()(file.path, file.member) if kind.keyed is not None else arrays_in(file)
    for name, array in inside.items():
        inner = array.place.removeprefix(f"{file.path}:")  # of HDF5, more than the key may be
        yield _Row(name if len(inside) > 1 or alone else file.path.stem, inner, file, array)


def _whole(array: Array) -> np.ndarray[Any, Any]:
    with array.opened() as read:
        return read(0, array.shape[0])
