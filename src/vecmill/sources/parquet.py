"""Parquet files, row group by row group."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from vecmill.errors import DataError
from vecmill.sources.base import MIN_BATCH_ROWS, SourceFile, reading, rows_for, total
from vecmill.sources.remote import AnyPath, arrow_file
from vecmill.sources.tables import Table, skipping
from vecmill.sources.text.stream import MAX_ROW_BYTES

# Without a buffer pyarrow holds a whole column chunk in memory, and with pre_buffer a whole row group, which for one
# row group of 200,000 x 768 floats is 740 MB against 190 MB at the same speed.
_READ_BUFFER_BYTES = 1 << 20


@contextmanager
def _open(path: AnyPath) -> Iterator[Any]:
    import pyarrow.parquet as pq

    with arrow_file(path) as source, pq.ParquetFile(source, pre_buffer=False, buffer_size=_READ_BUFFER_BYTES) as file:
        yield file


def tables(places: Sequence[SourceFile]) -> list[Table]:
    """Return Parquet files as tables. Raises DataError for another file, StoreError for none."""
    return [ParquetTable(place.path) for place in places]


class ParquetTable:
    """One Parquet file, which is open only while it is read."""

    def __init__(self, path: AnyPath) -> None:
        self._path = path
        self.place = str(path)
        with reading(path, "Parquet"), _open(path) as file:
            self.schema = file.schema_arrow
            self.n_rows: int | None = file.metadata.num_rows
            _check_rows(self.place, file.metadata)
            self._sizes, self._row_bytes, self.null_counts = _statistics(file)
            self.n_bytes = path.stat().st_size

    def read(self, columns: Sequence[str], batch_rows: int | None, start_row: int) -> Generator[Any, None, None]:
        """Yield record batches; see `Table.read`."""
        for name in columns:
            n_bytes = self._row_bytes.get(name, 0)
            if n_bytes > MAX_ROW_BYTES:
                expected, got = f"rows of at most {MAX_ROW_BYTES} bytes", f"{n_bytes} on average of a row group"
                raise DataError(file=self.place, field=name, expected=expected, got=got)
        with reading(self._path, "Parquet"), _open(self._path) as file:
            rows = batch_rows or self._rows_per_batch(file, columns)
            groups, before = _groups_from(file.metadata, start_row)
            batches = file.iter_batches(batch_size=rows, row_groups=groups, columns=list(columns))
            yield from skipping(batches, start_row - before)

    def _rows_per_batch(self, file: Any, columns: Sequence[str]) -> int:
        """Return the rows that make a batch of the bytes aimed at.

        The footer counts encoded bytes, and repeated values are encoded once: so a few rows are looked at as well.
        """
        n_rows = self.n_rows or 0
        if n_rows <= MIN_BATCH_ROWS:
            return MIN_BATCH_ROWS
        batch = next(file.iter_batches(batch_size=MIN_BATCH_ROWS, columns=list(columns)), None)
        decoded = batch.nbytes / batch.num_rows if batch is not None and batch.num_rows else 0.0
        return rows_for(max(decoded, sum(self._sizes.get(name, 0) for name in columns) / n_rows))


def _groups_from(metadata: Any, row: int) -> tuple[list[int], int]:
    """Return the row groups from the one that holds ``row`` on, and the rows before them."""
    before = 0
    for g in range(metadata.num_row_groups):
        n = metadata.row_group(g).num_rows
        if before + n > row:
            return list(range(g, metadata.num_row_groups)), before
        before += n
    return [], before


def _check_rows(place: str, metadata: Any) -> None:
    """Raise DataError for a footer whose row groups have other rows than it says of the file."""
    groups = sum(metadata.row_group(g).num_rows for g in range(metadata.num_row_groups))
    if groups != metadata.num_rows:
        expected = f"{metadata.num_rows} rows in all row groups, as the footer says of the file"
        raise DataError(file=place, expected=expected, got=f"{groups}")


def _statistics(file: Any) -> tuple[dict[str, int], dict[str, int], dict[str, int | None]]:
    """Return the decoded bytes, those of a row, and the nulls per top-level column, as far as the footer tells.

    The bytes of a row are the average of the row group where they are most.
    """
    owners = [field.name for field in file.schema_arrow for _ in range(_leaves(field.type))]
    sizes: dict[str, int] = {}
    row_bytes: dict[str, int] = {}
    nulls: dict[str, int | None] = dict.fromkeys(owners, 0)
    if len(owners) != file.metadata.num_columns:  # an Arrow type that is spread over leaves in another way
        return sizes, row_bytes, dict.fromkeys(owners)
    for g in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(g)
        for i, name in enumerate(owners):
            chunk = group.column(i)
            sizes[name] = sizes.get(name, 0) + chunk.total_uncompressed_size
            row_bytes[name] = max(row_bytes.get(name, 0), chunk.total_uncompressed_size // max(1, group.num_rows))
            stats = chunk.statistics
            known = stats.null_count if stats is not None and stats.has_null_count else None
            nulls[name] = total([nulls[name], known])
    return sizes, row_bytes, nulls


def _leaves(type_: Any) -> int:
    storage = getattr(type_, "storage_type", type_)
    return sum(_leaves(storage.field(i).type) for i in range(storage.num_fields)) or 1
