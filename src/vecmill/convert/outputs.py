"""Sources one after another, and vecmill's own output as one: its segments in order, however it is kept."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vecmill.errors import DataError, StoreError
from vecmill.manifest import Manifest
from vecmill.sinks.base import MANIFEST_NAME
from vecmill.sources import Source, open_source
from vecmill.sources.base import Column, one_line


class Stacked:
    """Rows of sources of known length with the same columns, one after another."""

    def __init__(self, parts: Sequence[Source]) -> None:
        self._parts = tuple(parts)
        self._ends = tuple(itertools.accumulate(part.n_rows or 0 for part in parts))
        self.n_rows = self._ends[-1]
        self.n_bytes = sum(part.n_bytes for part in parts)
        counts = [[column.null_count for column in part.columns] for part in parts]
        self.columns = tuple(
            Column(column.name, column.source, column.type, None if None in nulls else sum(one or 0 for one in nulls))
            for column, nulls in zip(parts[0].columns, zip(*counts, strict=True), strict=True)
        )

    def batches(
        self, names: Sequence[str] | None = None, *, batch_rows: int | None = None, start_row: int = 0
    ) -> Iterator[Mapping[str, Any]]:
        """Yield the batches of all parts; see `Source.batches`."""
        begin = 0
        for part, end in zip(self._parts, self._ends, strict=True):
            if end > start_row:
                yield from part.batches(names, batch_rows=batch_rows, start_row=max(0, start_row - begin))
            begin = end

    def locate(self, row: int, name: str | None = None) -> tuple[str, int]:
        """Return file and row in it; see `Source.locate`."""
        i = min(bisect.bisect_right(self._ends, row), len(self._ends) - 1)
        return self._parts[i].locate(row - (self._ends[i - 1] if i else 0), name)


def read_manifest(folder: Path) -> Manifest | None:
    """Return the manifest of a folder that vecmill wrote, None for any other. Raises StoreError for a damaged one."""
    path = folder / MANIFEST_NAME
    try:
        if not path.is_file():
            return None
        return Manifest.from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise StoreError(f"cannot be read: {one_line(err)}", path=str(path)) from err


def open_output(folder: Path, manifest: Manifest) -> Source:
    """Return what vecmill wrote to ``folder``. Raises DataError, StoreError."""
    parts: list[Source] = []
    for segment in manifest.segments:
        for entry in segment.files:
            path = folder / entry.path
            if path.exists() and path.stat().st_size != entry.bytes:
                raise DataError(
                    file=str(path), expected=f"{entry.bytes} bytes, as in {MANIFEST_NAME}", got=f"{path.stat().st_size}"
                )
        parts.append(open_source([folder / entry.path for entry in segment.files]))
    if not parts:
        raise DataError(file=str(folder / MANIFEST_NAME), expected="published segments", got="none")
    return parts[0] if len(parts) == 1 else Stacked(parts)
