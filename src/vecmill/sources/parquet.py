"""Columns of one Parquet file, or of several with the same columns, row group by row group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from vecmill.errors import DataError
from vecmill.sources.base import MIN_BATCH_ROWS, Column, Files, Source, SourceFile, reading, rows_for, total
from vecmill.sources.remote import AnyPath, arrow_file
from vecmill.sources.tables import match_types

# Without a buffer pyarrow holds a whole column chunk in memory, and with pre_buffer a whole row group, which for one
# row group of 200,000 x 768 floats is 740 MB against 190 MB at the same speed.
_READ_BUFFER_BYTES = 1 << 20


@contextmanager
def _open(path: AnyPath) -> Iterator[Any]:
    import pyarrow.parquet as pq

    with arrow_file(path) as source, pq.ParquetFile(source, pre_buffer=False, buffer_size=_READ_BUFFER_BYTES) as file:
        yield file


def names(place: SourceFile) -> tuple[str, ...]:
    """Return the names of the columns of a Parquet file. Raises DataError for another file, StoreError for none."""
    path = place.path
    with reading(path, "Parquet"), _open(path) as file:
        return tuple(file.schema_arrow.names)


def table(places: Sequence[SourceFile], wanted: Mapping[str, str], *, batch_rows: int | None = None) -> Source:
    """Return columns of Parquet files as a source; see `ParquetSource`."""
    return ParquetSource([place.path for place in places], wanted, batch_rows=batch_rows)


class ParquetSource:
    """Columns of Parquet files, which follow one another in the order given.

    ``wanted`` maps field names to the names of Parquet columns. Every file must hold all of them, with the same types,
    or the type null where a file has no value (pandas writes that); columns that are not wanted may differ, and are not
    read. The files are opened one at a time.

    Raises DataError that names the file and the column, StoreError when a file cannot be read.
    """

    def __init__(self, paths: Sequence[AnyPath], wanted: Mapping[str, str], *, batch_rows: int | None = None) -> None:
        self._batch_rows = batch_rows
        n_rows: list[int] = []
        sizes: list[dict[str, int]] = []
        nulls: list[dict[str, int | None]] = []
        types: dict[str, Any] = {}
        self.n_bytes = 0
        for path in paths:
            with reading(path, "Parquet"), _open(path) as file:
                match_types(str(path), file.schema_arrow, wanted.values(), types, str(paths[0]))
                n_rows.append(file.metadata.num_rows)
                size, null = _statistics(file)
                sizes.append(size)
                nulls.append(null)
                self.n_bytes += path.stat().st_size
        self._paths = tuple(paths)
        self._files = Files([str(path) for path in paths], n_rows)
        self.columns = tuple(
            Column(field, name, types[name], total([null.get(name) for null in nulls]))
            for field, name in wanted.items()
        )
        self._row_bytes = {
            field: sum(size.get(name, 0) for size in sizes) / max(1, self.n_rows) for field, name in wanted.items()
        }

    @property
    def n_rows(self) -> int:
        """Return the rows of all files, as their footers tell."""
        return self._files.n_rows

    def locate(self, row: int, name: str | None = None) -> tuple[str, int]:
        """Return the file that holds ``row`` and the row in that file; see `Source.locate`."""
        return self._files.locate(row)

    def batches(
        self, names: Sequence[str] | None = None, *, batch_rows: int | None = None, start_row: int = 0
    ) -> Iterator[Mapping[str, Any]]:
        """Yield pyarrow Arrays by field name; see `Source.batches`. A batch never spans two files."""
        wanted = {c.name: c.source for c in self.columns if names is None or c.name in names}
        rows = batch_rows or self._batch_rows or self._rows_per_batch(wanted)
        for i, path in enumerate(self._paths):
            if self._files.ends[i] <= start_row:
                continue
            with reading(path, "Parquet"), _open(path) as file:
                left = self._files.ends[i] - self._files.start(i)
                groups, before = _groups_from(file.metadata, start_row - self._files.start(i))
                left -= before
                skip = max(0, start_row - self._files.start(i) - before)
                batches = file.iter_batches(batch_size=rows, row_groups=groups, columns=sorted(set(wanted.values())))
                while True:
                    with reading(path, "Parquet"):
                        batch = next(batches, None)
                    if batch is None:
                        break
                    left -= batch.num_rows
                    batch, skip = batch[skip:], max(0, skip - batch.num_rows)
                    if batch.num_rows:
                        yield {field: batch.column(name) for field, name in wanted.items()}
            if left:
                expected = f"{self._files.ends[i] - self._files.start(i)} rows, as its footer said"
                raise DataError(file=str(path), expected=expected, got=f"{abs(left)} {'fewer' if left > 0 else 'more'}")

    def _rows_per_batch(self, wanted: Mapping[str, str]) -> int:
        """Return the rows that make a batch of the bytes aimed at.

        The footer counts encoded bytes, and repeated values are encoded once: so a few rows are looked at as well.
        """
        path = self._paths[self._files.index(0)]
        with reading(path, "Parquet"), _open(path) as file:
            batch = next(file.iter_batches(batch_size=MIN_BATCH_ROWS, columns=sorted(set(wanted.values()))), None)
        decoded = batch.nbytes / batch.num_rows if batch is not None and batch.num_rows else 0.0
        return rows_for(max(decoded, sum(self._row_bytes[name] for name in wanted)))


def _groups_from(metadata: Any, row: int) -> tuple[list[int], int]:
    """Return the row groups from the one that holds ``row`` on, and the rows before them."""
    before = 0
    for g in range(metadata.num_row_groups):
        n = metadata.row_group(g).num_rows
        if before + n > row:
            return list(range(g, metadata.num_row_groups)), before
        before += n
    return [], before


def _statistics(file: Any) -> tuple[dict[str, int], dict[str, int | None]]:
    """Return the decoded bytes and the nulls per top-level column, as far as the footer tells."""
    owners = [field.name for field in file.schema_arrow for _ in range(_leaves(field.type))]
    sizes: dict[str, int] = {}
    nulls: dict[str, int | None] = dict.fromkeys(owners, 0)
    if len(owners) != file.metadata.num_columns:  # an Arrow type that is spread over leaves in another way
        return sizes, dict.fromkeys(owners)
    for g in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(g)
        for i, name in enumerate(owners):
            chunk = group.column(i)
            sizes[name] = sizes.get(name, 0) + chunk.total_uncompressed_size
            stats = chunk.statistics
            known = stats.null_count if stats is not None and stats.has_null_count else None
            nulls[name] = total([nulls[name], known])
    return sizes, nulls


def _leaves(type_: Any) -> int:
    storage = getattr(type_, "storage_type", type_)
    return sum(_leaves(storage.field(i).type) for i in range(storage.num_fields)) or 1
