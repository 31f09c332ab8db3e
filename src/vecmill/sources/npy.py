"""Columns in NPY files: one file per column, or one after another when a column is cut into shards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vecmill.errors import DataError
from vecmill.sources.base import Column, Files, reading, rows_for


@dataclass(frozen=True, slots=True)
class _Shard:
    """One NPY file: where its values begin and how they lie. ``offset`` is in bytes."""

    path: Path
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int
    fortran: bool

    def read(self, start: int, stop: int) -> np.ndarray[Any, Any]:
        """Return rows ``start`` to ``stop`` as a read-only view of the mapped file.

        Each range is a map of its own, so that its pages leave the process as soon as the batch does: one map of
        the whole file would let the resident size grow with the data.
        """
        with reading(self.path, "NPY"):
            shape = (stop - start, *self.shape[1:])
            row_bytes = self.dtype.itemsize * int(np.prod(self.shape[1:], dtype=np.int64))
            if self.fortran:
                return np.load(self.path, mmap_mode="r", allow_pickle=False)[start:stop]  # type: ignore[no-any-return]
            if not shape[0] or not row_bytes:
                return np.empty(shape, self.dtype)
            return np.memmap(self.path, self.dtype, mode="r", offset=self.offset + start * row_bytes, shape=shape)


def _open(path: Path) -> _Shard:
    with reading(path, "NPY"):
        if path.stat().st_size == 0:
            raise DataError(file=str(path), expected="an NPY file", got="an empty file")
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray):
            raise DataError(file=str(path), expected="an NPY file", got="an archive of several (.npz)")
        if array.ndim not in (1, 2):
            raise DataError(file=str(path), expected="an array of 1 or 2 dimensions", got=f"shape {array.shape}")
        fortran = array.ndim == 2 and not array.flags.c_contiguous
        return _Shard(path, array.dtype, array.shape, int(getattr(array, "offset", 0)), fortran)


def _arrow_type(shard: _Shard) -> Any:
    """Return the Arrow type of one value. Raises DataError for a dtype that no field can hold."""
    import pyarrow as pa

    dtype = shard.dtype
    if dtype.kind in "US" and len(shard.shape) == 1:
        return pa.string()
    if dtype.kind == "V" and dtype.itemsize == 2 and dtype.names is None and len(shard.shape) == 2:
        return pa.list_(pa.binary(2), shard.shape[1])
    if dtype.kind == "M" and len(shard.shape) == 1:
        unit = np.datetime_data(dtype)[0]
        return pa.date32() if unit == "D" else pa.timestamp(unit if unit in ("s", "ms", "us", "ns") else "s")
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise DataError(
            file=str(shard.path), expected="numbers, text, dates or a matrix of numbers", got=f"dtype {dtype.str!r}"
        )
    element = pa.from_numpy_dtype(dtype.newbyteorder("="))
    return pa.list_(element, shard.shape[1]) if len(shard.shape) == 2 else element


class NpyColumn:
    """One column, in one NPY file or in several that follow one another.

    Raises DataError when the shards differ in dtype or width, or hold what no field can.
    """

    def __init__(self, name: str, source: str, paths: Sequence[Path]) -> None:
        self._shards = [_open(path) for path in paths]
        first = self._shards[0]
        for shard in self._shards[1:]:
            if (shard.dtype, shard.shape[1:]) != (first.dtype, first.shape[1:]):
                raise DataError(
                    file=str(shard.path),
                    field=name,
                    expected=f"{_form(first)}, as in {str(first.path)!r}",
                    got=_form(shard),
                )
        self.files = Files(paths, [shard.shape[0] for shard in self._shards])
        dates = first.dtype.kind == "M"  # NaT is NumPy's null
        self.column = Column(name, source, _arrow_type(first), None if dates else 0)
        self.row_bytes = first.dtype.itemsize * int(np.prod(first.shape[1:], dtype=np.int64))
        self.n_bytes = sum(path.stat().st_size for path in paths)

    def read(self, start: int, stop: int) -> Any:
        """Return rows ``start`` to ``stop``: an ndarray in native byte order, text and dates as a pyarrow Array.

        A view of the mapped file unless the rows span two shards or have to be changed.
        """
        i, j = self.files.index(start), self.files.index(max(start, stop - 1))
        pieces = [
            self._shards[k].read(
                max(start, self.files.start(k)) - self.files.start(k),
                min(stop, self.files.ends[k]) - self.files.start(k),
            )
            for k in range(i, j + 1)
        ]
        values = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        if values.dtype.kind in "USM":
            return self._as_arrow(values, start)
        if values.dtype.kind == "V":
            return np.ascontiguousarray(values).view(np.uint8)  # bfloat16: (n, 2 * dim) bytes
        return values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("="))

    def _as_arrow(self, values: np.ndarray[Any, Any], start: int) -> Any:
        import pyarrow as pa

        try:
            if values.dtype.kind == "M":
                days = np.datetime_data(values.dtype)[0] == "D"
                dtype = "M8[D]" if days else f"M8[{self.column.type.unit}]"
                return pa.array(values.astype(dtype), self.column.type)
            return pa.array(values.astype(values.dtype.newbyteorder("="))).cast(pa.string())
        except (pa.ArrowException, ValueError):
            row = start + next(i for i, value in enumerate(values) if not _is_text(value))
            path, row = self.files.locate(row)
            raise DataError(
                file=path, field=self.column.name, row=row, expected="UTF-8 text", got="other bytes"
            ) from None


def _form(shard: _Shard) -> str:
    return f"{shard.dtype.str!r} of shape (n, {shard.shape[1]})" if len(shard.shape) == 2 else f"{shard.dtype.str!r}"


def _is_text(value: bytes | str) -> bool:
    try:
        if isinstance(value, bytes):
            value.decode()
        else:
            value.encode()
    except UnicodeError:
        return False
    return True


class NpySource:
    """Columns of NPY files, by ``wanted``: field name -> (name in the source, paths of the shards in order).

    Raises DataError when the columns differ in length: expected is the length of the first one.
    """

    def __init__(self, wanted: Mapping[str, tuple[str, Sequence[Path]]], *, batch_rows: int | None = None) -> None:
        self._batch_rows = batch_rows
        self._columns = [NpyColumn(name, source, paths) for name, (source, paths) in wanted.items()]
        first = self._columns[0]
        for column in self._columns[1:]:
            if column.files.n_rows != first.files.n_rows:
                raise DataError(
                    file=str(column.files.paths[-1]),
                    field=column.column.name,
                    expected=f"{first.files.n_rows} rows, as in {str(first.files.paths[0])!r}",
                    got=f"{column.files.n_rows}",
                )
        self.columns = tuple(column.column for column in self._columns)
        self.n_rows = first.files.n_rows
        self.n_bytes = sum(column.n_bytes for column in self._columns)

    def locate(self, row: int, name: str | None = None) -> tuple[str, int]:
        """Return the file of column ``name`` that holds ``row`` and the row in that file; see `Source.locate`."""
        column = next((c for c in self._columns if c.column.name == name), self._columns[0])
        return column.files.locate(row)

    def batches(
        self, names: Sequence[str] | None = None, *, batch_rows: int | None = None, start_row: int = 0
    ) -> Iterator[Mapping[str, Any]]:
        """Yield row slices by field name; see `Source.batches`."""
        used = [c for c in self._columns if names is None or c.column.name in names]
        rows = batch_rows or self._batch_rows or rows_for(sum(c.row_bytes for c in used))
        for start in range(start_row, self.n_rows, rows):
            stop = min(start + rows, self.n_rows)
            yield {c.column.name: c.read(start, stop) for c in used}
