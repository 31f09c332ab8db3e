"""Reads outputs of vecmill as sources: their segments, one after another."""

from __future__ import annotations

import bisect
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from vecmill.convert.reshape import length
from vecmill.errors import DataError
from vecmill.manifest import Manifest
from vecmill.sources import Source, TextOptions, open_source
from vecmill.sources.base import total
from vecmill.store.blob import LocalBlob
from vecmill.store.notes import MANIFEST_NAME, as_folder, read_manifest
from vecmill.store.opening import open_place
from vecmill.store.place import Place
from vecmill.store.spool import checksum_of, mapped_file
from vecmill.store.url import disk_path, in_bucket, is_url


class Stacked:
    """Rows of sources with the same columns, one after another.

    ``n_rows``: rows that each source must have; some do not know their own number. Raises DataError if one has another
    number of rows.
    """

    def __init__(self, parts: Sequence[Source], n_rows: Sequence[int]) -> None:
        for part, n in zip(parts, n_rows, strict=True):
            if part.n_rows not in (None, n):
                raise _wrong_rows(part, n, part.n_rows or 0)
        self._parts = tuple(parts)
        self._ends = tuple(itertools.accumulate(n_rows))
        self.n_rows = self._ends[-1]
        self.n_bytes = sum(part.n_bytes for part in parts)
        counts = [[column.null_count for column in part.columns] for part in parts]
        self.columns = tuple(
            replace(column, null_count=total(nulls))
            for column, nulls in zip(parts[0].columns, zip(*counts, strict=True), strict=True)
        )

    def batches(
        self, names: Sequence[str] | None = None, *, batch_rows: int | None = None, start_row: int = 0
    ) -> Iterator[Mapping[str, Any]]:
        """Yield the batches of all parts; see `Source.batches`."""
        begin = 0
        for part, end in zip(self._parts, self._ends, strict=True):
            if end > start_row:
                row = max(begin, start_row)
                for batch in part.batches(names, batch_rows=batch_rows, start_row=row - begin):
                    row += length(batch)
                    if row <= end:
                        yield batch
                if row != end:
                    raise _wrong_rows(part, end - begin, row - begin)
            begin = end

    def locate(self, row: int, name: str | None = None) -> tuple[str, int]:
        """Return file and row in it; see `Source.locate`."""
        i = min(bisect.bisect_right(self._ends, row), len(self._ends) - 1)
        return self._parts[i].locate(row - (self._ends[i - 1] if i else 0), name)


def _wrong_rows(part: Source, expected: int, got: int) -> DataError:
    return DataError(file=part.locate(0)[0], expected=f"{expected} rows, as in {MANIFEST_NAME}", got=f"{got}")


def output_of(given: Any) -> tuple[Place, Manifest] | None:
    """Return the folder of an output that is given, or named by its manifest, and the manifest. None: it is no output.

    Raises StoreError for a damaged manifest.
    """
    if not isinstance(given, str | os.PathLike) or (
        is_url(given) and disk_path(given) is None and not in_bucket(given)
    ):
        return None
    place = open_place(as_folder(given))
    manifest = read_manifest(place)
    return None if manifest is None else (place, manifest)


def open_output(place: Place, manifest: Manifest, text: TextOptions | None = None, *, whole: bool = False) -> Source:
    """Return an output of vecmill as a source. ``text`` has hints for text files.

    ``whole``: compare the checksums of files on disk first, which takes as long as reading them. Raises DataError,
    StoreError.
    """
    told = manifest.import_options
    text = replace(text or TextOptions(), separator=told.get("sep"), null=told.get("nullkey"))
    parts: list[Source] = []
    n_rows = [segment.rows for segment in manifest.segments]
    for segment in manifest.segments:
        for entry in segment.files:
            blob, name = place.blob(entry.path), place.name(entry.path)
            if blob is not None and blob.size != entry.bytes:
                raise DataError(file=name, expected=f"{entry.bytes} bytes, as in {MANIFEST_NAME}", got=f"{blob.size}")
            if whole and isinstance(blob, LocalBlob) and checksum_of(mapped_file(blob.path)) != entry.checksum:
                got = "another: the file was changed or damaged"
                expected = f"the checksum {entry.checksum}, as in {MANIFEST_NAME}"
                raise DataError(file=name, expected=expected, got=got)
        parts.append(open_source([place.name(entry.path) for entry in segment.files], text=text))
    if not parts:
        raise DataError(file=place.notes.name(MANIFEST_NAME), expected="published segments", got="none")
    return parts[0] if len(parts) == 1 else Stacked(parts, n_rows)
