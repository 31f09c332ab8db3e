"""Files of arrays: what all kinds share whose files hold matrices and vectors of numbers.

A kind of file opens as `Array`\\ s by name; most describe a `Layout` that is mapped. `ArrayColumn` chains arrays that
follow one another (shards), and `ArraySource` reads several columns side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vecmill.errors import DataError
from vecmill.sources.base import BATCH_BYTES, Column, Files, reading, rows_for
from vecmill.sources.remote import AnyPath
from vecmill.store.blob import AheadFile

_MAPPED_BATCH_BYTES = 32 << 20
"""Bytes of a batch of mapped files: it takes no memory of the process, and the writer shares it between two threads."""

Read = Callable[[int, int], np.ndarray[Any, Any]]
"""(start, stop) -> these rows, (stop - start,) or (stop - start, dim)."""


@dataclass(frozen=True, slots=True)
class Array:
    """An array (n,) or (n, dim) in a file, or in a part of a file.

    Attributes
    ----------
    place: the file, with the name of the part where there are several: ``base.fvecs``, ``train.h5:train``.
    dtype: numbers or text in NumPy's terms; ``|V2`` is bfloat16, object is Python's str.
    shape: (n,) or (n, dim).
    n_bytes: bytes of the file that belong to the array.
    opened: opens the array for reading: a context manager of ``read(start, stop)``, which returns these rows and is
        called with ascending ranges. The rows may be a view of the file and must not be written to. Opening and
        reading raise DataError and StoreError.
    chunk_rows: rows that have to be decoded together; 1 where any range costs only its own bytes.
    is_mapped: True if rows are views of the file.
    problem: why no column can be made of it; see `unreadable`.
    """

    place: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    n_bytes: int
    opened: Callable[[], AbstractContextManager[Read]]
    chunk_rows: int = 1
    is_mapped: bool = False
    problem: DataError | None = None


def unreadable(problem: DataError) -> Array:
    """Return what stands for an array that no column can be made of: it is refused if its column is wanted."""
    return Array(problem.file or "", np.dtype(object), (0,), 0, nullcontext, problem=problem)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the rows of an array lie in a file: as in memory, ``stride`` bytes apart, the first at byte ``offset``.

    ``stride`` 0: without gaps. ``fortran``: the array (n, dim) lies column after column instead, without gaps.
    ``kind`` names the format in errors; ``member`` names the part of the file.
    """

    path: AnyPath
    kind: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int
    stride: int = 0
    fortran: bool = False
    member: str = ""

    @property
    def is_mapped(self) -> bool:
        """Return True for a file on disk, which is mapped; an object in a bucket is fetched."""
        return isinstance(self.path, Path)

    @property
    def row_bytes(self) -> int:
        """Return the bytes of the values of one row."""
        return self.dtype.itemsize * int(np.prod(self.shape[1:], dtype=np.int64))

    @property
    def place(self) -> str:
        """Return the file, and the name of the part."""
        return f"{self.path}:{self.member}" if self.member else str(self.path)

    def array(self) -> Array:
        """Return the array that lies there."""
        n_bytes = self.shape[0] * (self.stride or self.row_bytes)
        return Array(self.place, self.dtype, self.shape, n_bytes, self.opened, is_mapped=self.is_mapped)

    @contextmanager
    def opened(self) -> Iterator[Read]:
        """Open for reading; see `Array`."""
        if isinstance(self.path, Path):
            yield self.read
            return
        with self.path.open() as file:
            yield lambda start, stop: self._fetched(file, start, stop)

    def _fetched(self, file: AheadFile, start: int, stop: int) -> np.ndarray[Any, Any]:
        """Return rows ``start`` to ``stop`` of an object in a bucket."""
        if self.fortran:
            raise DataError(file=self.place, expected="rows one after another (C order)", got="Fortran order")
        step = self.stride or self.row_bytes
        raw = np.empty(max(0, (stop - start - 1) * step + self.row_bytes) if stop > start else 0, np.uint8)
        file.seek(self.offset + start * step)
        if file.readinto(raw.data) != len(raw):
            raise DataError(file=self.place, expected=f"{stop} rows", got="a file that ends before")
        steps = (step, self.dtype.itemsize)[: len(self.shape)]
        return np.ndarray((stop - start, *self.shape[1:]), self.dtype, buffer=raw, strides=steps)

    def read(self, start: int, stop: int) -> np.ndarray[Any, Any]:
        """Return rows ``start`` to ``stop`` as a read-only view of the mapped file.

        For files on disk. Each range is a map of its own, so that its pages leave the process as soon as the batch
        does: one map of the whole file would let the resident size grow with the data.
        """
        assert isinstance(self.path, Path)
        with reading(self.path, self.kind):
            shape = (stop - start, *self.shape[1:])
            if not shape[0] or not self.row_bytes:
                return np.empty(shape, self.dtype)
            if self.fortran:
                whole = np.memmap(self.path, self.dtype, mode="r", offset=self.offset, shape=self.shape, order="F")
                return whole[start:stop]
            if not self.stride:
                offset = self.offset + start * self.row_bytes
                return np.memmap(self.path, self.dtype, mode="r", offset=offset, shape=shape)
            # The gap behind the last row may lie behind the end of the file.
            n_bytes = (shape[0] - 1) * self.stride + self.row_bytes
            raw = np.memmap(self.path, np.uint8, mode="r", offset=self.offset + start * self.stride, shape=(n_bytes,))
            steps = (self.stride, self.dtype.itemsize)[: len(shape)]
            return np.ndarray(shape, self.dtype, buffer=raw, strides=steps)


def check_size(path: AnyPath, n_bytes: int, needed: int, what: str) -> None:
    """Refuse a file of ``n_bytes`` that must have ``needed``; ``what`` says why, in words (counts of its header)."""
    if n_bytes != needed:
        less = "only " if n_bytes < needed else ""
        raise DataError(file=str(path), expected=f"{needed} bytes, for {what}", got=f"{less}{n_bytes} bytes")


def arrow_type(array: Array) -> Any:
    """Return the Arrow type of one value. Raises DataError for an array that no field can hold."""
    import pyarrow as pa

    dtype, shape = array.dtype, array.shape
    if len(shape) not in (1, 2):
        raise DataError(file=array.place, expected="an array of 1 or 2 dimensions", got=f"shape {shape}")
    if dtype.kind in "USO" and len(shape) == 1:
        return pa.string()
    if dtype.kind == "V" and dtype.itemsize == 2 and dtype.names is None and len(shape) == 2:
        return pa.list_(pa.binary(2), shape[1])
    if dtype.kind == "M" and len(shape) == 1:
        unit = np.datetime_data(dtype)[0]
        return pa.date32() if unit == "D" else pa.timestamp(unit if unit in ("s", "ms", "us", "ns") else "s")
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise DataError(
            file=array.place, expected="numbers, text, dates or a matrix of numbers", got=f"dtype {dtype.str!r}"
        )
    element = pa.from_numpy_dtype(dtype.newbyteorder("="))
    return pa.list_(element, shape[1]) if len(shape) == 2 else element


class ArrayColumn:
    """One column: an array, or several that follow one another.

    Raises DataError when the shards differ in dtype or width, or hold what no field can.
    """

    def __init__(self, name: str, source: str, arrays: Sequence[Array]) -> None:
        first = arrays[0]
        for array in arrays:
            if array.problem is not None:
                raise array.problem
            if (array.dtype, array.shape[1:]) != (first.dtype, first.shape[1:]):
                raise DataError(
                    file=array.place, field=name, expected=f"{_form(first)}, as in {first.place!r}", got=_form(array)
                )
        dates = first.dtype.kind == "M"  # NaT is NumPy's null
        self.column = Column(name, source, arrow_type(first), None if dates else 0)
        self.arrays = tuple(arrays)
        self.files = Files([array.place for array in arrays], [array.shape[0] for array in arrays])
        self.row_bytes = first.dtype.itemsize * int(np.prod(first.shape[1:], dtype=np.int64))
        self.chunk_rows = max(array.chunk_rows for array in arrays)
        self.n_bytes = sum(array.n_bytes for array in arrays)
        self.is_mapped = all(array.is_mapped for array in arrays) and first.dtype.kind not in "USO"

    @contextmanager
    def opened(self) -> Iterator[Callable[[int, int], Any]]:
        """Open for reading ascending ranges of rows. One array is open at a time.

        ``read(start, stop)`` gives an ndarray in native byte order, text and dates as a pyarrow Array: a view of the
        file where it can be, copied where the rows span two arrays or have to be changed.
        """
        current = -1
        read: Read | None = None
        with ExitStack() as stack:

            def rows(start: int, stop: int) -> Any:
                nonlocal current, read
                pieces = []
                for k in range(self.files.index(start), self.files.index(max(start, stop - 1)) + 1):
                    if k != current or read is None:
                        stack.close()
                        current, read = k, stack.enter_context(self.arrays[k].opened())
                    base = self.files.start(k)
                    pieces.append(read(max(start, base) - base, min(stop, self.files.ends[k]) - base))
                return self.finished(pieces[0] if len(pieces) == 1 else np.concatenate(pieces), start)

            yield rows

    def finished(self, values: np.ndarray[Any, Any], start: int) -> Any:
        """Return the rows from ``start`` on, as the file has them, in the form in which a source gives them."""
        if values.dtype.kind in "USOM":
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
            native = values if values.dtype.kind == "O" else values.astype(values.dtype.newbyteorder("="))
            return pa.array(native).cast(pa.string())
        except (pa.ArrowException, ValueError):
            row = start + next(i for i, value in enumerate(values) if not _is_text(value))
            path, row = self.files.locate(row)
            raise DataError(
                file=path, field=self.column.name, row=row, expected="UTF-8 text", got="other bytes"
            ) from None


def _form(array: Array) -> str:
    dtype = array.dtype.str
    return f"{dtype!r} of shape (n, {array.shape[1]})" if len(array.shape) == 2 else f"{dtype!r}"


def _is_text(value: bytes | str) -> bool:
    try:
        if isinstance(value, bytes):
            value.decode()
        else:
            value.encode()
    except UnicodeError:
        return False
    return True


class ArraySource:
    """Columns that are arrays, by ``wanted``: field name -> (name in the source, its arrays in order).

    Raises DataError when the columns differ in length: expected is the length of the first one.
    """

    def __init__(self, wanted: Mapping[str, tuple[str, Sequence[Array]]], *, batch_rows: int | None = None) -> None:
        self._batch_rows = batch_rows
        self._columns = [ArrayColumn(name, source, arrays) for name, (source, arrays) in wanted.items()]
        first = self._columns[0]
        for column in self._columns[1:]:
            if column.files.n_rows != first.files.n_rows:
                one, other = (c.files.names[0].rpartition(":")[0] for c in (first, column))
                way_out = "; name those to take (--map), or one part of the file (file:name)" if one == other else ""
                raise DataError(
                    file=column.files.names[-1],
                    field=column.column.name,
                    expected=f"{first.files.n_rows} rows, as in {first.files.names[0]!r}",
                    got=f"{column.files.n_rows}{way_out if one else ''}",
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
        chunk = max(c.chunk_rows for c in used)
        batch_bytes = _MAPPED_BATCH_BYTES if all(c.is_mapped for c in used) else BATCH_BYTES
        rows = batch_rows or self._batch_rows or rows_for(sum(c.row_bytes for c in used), batch_bytes)
        # Whole chunks, so that none is decoded twice.
        rows = rows // chunk * chunk or rows
        with ExitStack() as stack:
            reads = {c.column.name: stack.enter_context(c.opened()) for c in used}
            start = start_row
            while start < self.n_rows:
                stop = min(start + rows - start % rows, self.n_rows)
                yield {name: read(start, stop) for name, read in reads.items()}
                start = stop
