"""Lance datasets, through their own Arrow batches."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from vecmill.errors import DataError
from vecmill.sources.base import MIN_BATCH_ROWS, SourceFile, extra, rows_for, translated
from vecmill.sources.tables import Table, slices


def tables(places: Sequence[SourceFile]) -> list[Table]:
    """Return Lance datasets as tables. Raises DataError."""
    return [_opened(place) for place in places]


def _opened(place: SourceFile) -> LanceTable:
    with extra("lance", "lance", place.path):
        import lance
    if place.member:
        raise DataError(file=str(place.path), expected="a path: a Lance dataset has no parts", got=place.member)
    with _damage(str(place.path)):
        return LanceTable(lance.dataset(str(place.path)), str(place.path))


class LanceTable:
    """One ``lance.LanceDataset``."""

    def __init__(self, dataset: Any, place: str) -> None:
        self._dataset = dataset
        self.place = place
        with _damage(place):
            self.schema = dataset.schema
            self.n_rows: int | None = int(dataset.count_rows())
        self.n_bytes = _folder_bytes(Path(place))
        self.null_counts: dict[str, int] = {}

    def read(self, columns: Sequence[str], batch_rows: int | None, start_row: int) -> Generator[Any, None, None]:
        """Yield batches of a scan in order; see `Table.read`."""
        options = {"columns": list(columns), "offset": start_row, "scan_in_order": True}
        with _damage(self.place):
            first = next(iter(self._dataset.scanner(limit=MIN_BATCH_ROWS, **options).to_batches()), None)
            rows = batch_rows or rows_for(first.nbytes / max(1, first.num_rows) if first is not None else 0)
            # A few batches are read ahead; the default is one per core and more.
            scanner = self._dataset.scanner(batch_size=rows, batch_readahead=2, fragment_readahead=1, **options)
            for batch in scanner.to_batches():
                yield from slices(batch, rows)


def _folder_bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*.lance") if file.is_file()) if path.is_dir() else 0


def _damage(place: str) -> AbstractContextManager[None]:
    return translated(place, "a whole Lance dataset", OSError, ValueError, RuntimeError)
