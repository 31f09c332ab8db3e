"""Moves the batches of a source into a writer, in order, and accounts for every row."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from vecmill.convert.casts import Cast
from vecmill.convert.duplicates import Repeated, without
from vecmill.convert.rejects import Rejects, take_around
from vecmill.convert.reshape import around_bad, length
from vecmill.errors import DataError, StoreError
from vecmill.sources import Source

if TYPE_CHECKING:
    from vecmill.writer.api import BulkWriter

Progress = Callable[[int, int], object]
_T = TypeVar("_T")


@dataclass(slots=True)
class Pump:
    """Writes the rows of ``source`` to ``writer``, after the cast of each column.

    Rows of ``repeated`` keys go to ``rejects``. So do rows that do not fit if ``skip`` is set; otherwise the first of
    them raises DataError, with its file and row. ``row`` is the next row to read: all rows before it are written or
    rejected.
    """

    source: Source
    casts: Mapping[str, Cast | None]
    writer: BulkWriter
    rejects: Rejects
    skip: bool = False
    repeated: Repeated | None = None
    row: int = 0
    _offered: int = 0

    def run(self, progress: Progress | None = None) -> None:
        """Read and write all rows. ``progress`` is called with the rows and bytes read so far, after every batch."""
        self._offered = self.writer.total_row_count
        n_bytes = 0
        with closing(_ahead(around_bad(self.source, skip=self.skip, start_row=self.row))) as batches:
            for _, batch in batches:
                if isinstance(batch, DataError):
                    self.rejects.add(self.row, batch, {}, 0)
                    self.row += 1
                    continue
                n_bytes += sum(values.nbytes for values in batch.values())
                for piece in _pieces(batch, self.writer.batch_rows):
                    self._take(piece)
                    self.row += length(piece)
                if progress is not None:
                    progress(self.row, n_bytes)
        if self.source.n_rows is not None and self.row != self.source.n_rows:
            file = self.source.locate(self.row)[0]
            raise DataError(file=file, expected=f"{self.source.n_rows} rows in all", got=f"{self.row}")

    def _take(self, batch: Mapping[str, Any]) -> None:
        rows: Sequence[int] = range(length(batch))
        good = batch
        flags = self.repeated.among(self.row, len(rows)) if self.repeated is not None else None
        if self.repeated is not None and flags is not None:
            err = DataError(
                field=self.repeated.name,
                expected="a primary key that no other row has",
                got="one that is kept elsewhere",
            )
            for row in flags.nonzero()[0].tolist():
                self.rejects.add(self.row + row, err, batch, row)
            good, rows = without(batch, flags), (~flags).nonzero()[0].tolist()
        if not rows:
            return
        try:
            if self.skip:
                take_around(
                    len(rows),
                    lambda start, stop: self._append(_cut(good, start, stop), start, stop),
                    lambda row, err: self.rejects.add(self.row + rows[row], err, good, row),
                )
            else:
                self._append(good, 0, len(rows))
        except DataError as err:  # with skip: the error is not about a single row
            raise self._located(err, rows) from err

    def _append(self, batch: Mapping[str, Any], start: int, stop: int) -> None:
        """Cast and write rows ``start`` to ``stop`` of a batch. A DataError has the row in that batch."""
        try:
            ready = {name: _changed(self.casts[name], name, values) for name, values in batch.items()}
            base = 0
        except DataError as err:
            raise _moved(err, start) from err
        try:
            base, self._offered = self._offered, self._offered + stop - start
            self.writer.append_batch(ready)
        except DataError as err:
            raise _moved(err, start - base) from err  # the writer counts every row it was offered

    def _located(self, err: DataError, rows: Sequence[int]) -> DataError:
        """Return ``err`` with the file of its row, and the row in that file."""
        if err.file is not None:
            return err
        file, row = self.source.locate(self.row + rows[err.row or 0], err.field)
        return _copy(err, file, row if err.row is not None else None)


def check_counts(n_read: int, n_written: int, n_rejected: int, where: str) -> None:
    """Raise StoreError, with the path ``where``, if rows that were read are neither written nor rejected."""
    if n_written + n_rejected != n_read:
        counts = f"{n_read} rows were read, but {n_written} written and {n_rejected} rejected"
        raise StoreError(counts, path=where)


def _changed(cast: Cast | None, name: str, values: Any) -> Any:
    """Return a column after its cast. A DataError names the field."""
    try:
        return values if cast is None else cast(values)
    except DataError as err:
        if err.field is not None:
            raise
        raise DataError(field=name, row=err.row, expected=err.expected, got=err.got) from err


def _pieces(batch: Mapping[str, Any], most: int | None) -> Iterator[Mapping[str, Any]]:
    """Cut a batch into pieces of at most ``most`` rows."""
    n_rows = length(batch)
    if most is None or n_rows <= most:
        yield batch
        return
    yield from (_cut(batch, start, start + most) for start in range(0, n_rows, most))


def _cut(batch: Mapping[str, Any], start: int, stop: int) -> Mapping[str, Any]:
    return {name: part[start:stop] for name, part in batch.items()}


def _moved(err: DataError, rows: int) -> DataError:
    return _copy(err, err.file, err.row + rows) if err.row is not None else err


def _copy(err: DataError, file: str | None, row: int | None) -> DataError:
    copy = DataError(file=file, field=err.field, row=row, expected=err.expected, got=err.got)
    for note in getattr(err, "__notes__", ()):
        copy.add_note(note)
    return copy


def _ahead(batches: Iterator[_T]) -> Generator[_T, None, None]:
    """Read the next batch in a thread while one is written: decoding takes as long, and holds no GIL."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1, thread_name_prefix="vecmill-read") as pool:
        coming = pool.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = pool.submit(next, batches, None)
            yield batch
