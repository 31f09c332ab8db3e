"""Iceberg tables on disk: the newest metadata of a folder, whose files pyiceberg reads with their deletes."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from vecmill.errors import DataError
from vecmill.sources.base import SourceFile, extra, natural_key, translated
from vecmill.sources.tables import Table, skipping, slices
from vecmill.store.url import disk_path

_HINT = "version-hint.text"
_NUMBERED = re.compile(r"v?([0-9]+)")


def tables(places: Sequence[SourceFile]) -> list[Table]:
    """Return the files of Iceberg tables. Raises DataError."""
    return [file for place in places for file in _files(place)]


def _files(place: SourceFile) -> list[Table]:
    root = place.path
    with extra("pyiceberg", "iceberg", root):
        from pyiceberg.table import StaticTable
    if place.member or not isinstance(root, Path):
        got = place.member or "an object"
        raise DataError(file=str(root), expected="the folder of an Iceberg table: it has no parts", got=got)
    with _damage(str(root)):
        scan = StaticTable.from_metadata(str(_newest(root / "metadata").absolute())).scan()
        tasks = sorted(scan.plan_files(), key=lambda task: natural_key(Path(task.file.file_path)))
        files: list[Table] = [_DataFile(scan, task) for task in tasks]
    if not files:
        raise DataError(file=str(root), expected="an Iceberg table with rows", got="one without any")
    return files


def _newest(folder: Path) -> Path:
    """Return the metadata of the newest version: that of the hint (Hadoop tables), or the highest number."""
    found = {path.name: path for path in folder.glob("*.metadata.json")}
    hint = folder / _HINT
    if hint.is_file():
        told = f"v{hint.read_text('utf-8').strip()}.metadata.json"
        if told in found:
            return found[told]

    def version(name: str) -> tuple[int, float]:
        match = _NUMBERED.match(name)
        return (int(match[1]) if match else -1, found[name].stat().st_mtime)

    return found[max(found, key=version)]


class _DataFile:
    """One data file of a scan, whose rows come without those that were deleted. It is held in memory while it is read.

    pyiceberg reads a file as a whole; it also finds columns by their ids, and fills in those of the partition.
    """

    def __init__(self, scan: Any, task: Any) -> None:
        from pyiceberg.io.pyarrow import schema_to_pyarrow

        self._scan = scan
        self._task = task
        self.place = str(disk_path(task.file.file_path) or task.file.file_path)
        self.schema = schema_to_pyarrow(scan.projection(), include_field_ids=False)
        self.n_rows: int | None = None if task.delete_files else int(task.file.record_count)
        self.n_bytes = int(task.file.file_size_in_bytes)
        self.null_counts: dict[str, int | None] = {}

    def read(self, columns: Sequence[str], batch_rows: int | None, start_row: int) -> Generator[Any, None, None]:
        """Yield the rows; see `Table.read`."""
        from pyiceberg.io.pyarrow import ArrowScan

        scan = self._scan
        with _damage(self.place):
            reader = ArrowScan(scan.table_metadata, scan.io, scan.projection().select(*columns), scan.row_filter)
            batches = (batch.select(columns) for batch in reader.to_record_batches([self._task]))
            for batch in skipping(batches, start_row):
                yield from slices(batch, batch_rows)


def _damage(place: str) -> AbstractContextManager[None]:
    from pyiceberg.exceptions import ResolveError, ValidationError

    return translated(
        place,
        "an Iceberg table that can be read",
        ValidationError,
        ResolveError,
        OSError,
        ValueError,
        NotImplementedError,
    )
