"""Sources one after another, and vecmill's own output as one: its segments in order, however it is kept."""

from __future__ import annotations

import bisect
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from vecmill.convert.reshape import length
from vecmill.errors import DataError, StoreError
from vecmill.manifest import Manifest
from vecmill.sources import Source, TextOptions, open_source
from vecmill.sources.base import Column, one_line
from vecmill.sources.kinds import by_ending
from vecmill.sources.remote import AnyPath, inside, subfolders
from vecmill.store.sink import MANIFEST_NAME
from vecmill.store.spool import checksum_of, mapped_file

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Stacked:
    """Rows of sources with the same columns, one after another.

    ``n_rows``: how many rows each has to have; some sources do not know that themselves. Raises DataError for others.
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


def is_output_name(name: str) -> bool:
    """Whether a folder is named as writers name theirs."""
    return _UUID.fullmatch(name) is not None


def outputs_in(folder: AnyPath) -> list[AnyPath]:
    """Return the outputs that vecmill wrote into ``folder``, by name; none where it holds files to read of its own.

    Raises StoreError.
    """
    if isinstance(folder, Path) and not folder.is_dir():
        return []
    if inside(folder, MANIFEST_NAME) is not None:
        return []
    below = [path for path in subfolders(folder) if is_output_name(path.name)]
    found = [path for path in below if inside(path, MANIFEST_NAME) is not None]
    has_files = bool(found) and any(by_ending(path) is not None and not path.is_dir() for path in folder.iterdir())
    return [] if has_files else sorted(found, key=str)


def read_manifest(folder: AnyPath) -> Manifest | None:
    """Return the manifest of a folder that vecmill wrote, None for any other. Raises StoreError for a damaged one."""
    path = inside(folder, MANIFEST_NAME)
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            return Manifest.from_json(file.read().decode())
    except StoreError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise StoreError(f"cannot be read: {one_line(err)}", path=str(path)) from err


def open_output(folder: AnyPath, manifest: Manifest, text: TextOptions | None = None, *, whole: bool = False) -> Source:
    """Return what vecmill wrote to ``folder``; ``text`` has hints for its text.

    ``whole``: compare the checksums of files on disk first, which takes as long as reading them. Raises DataError,
    StoreError.
    """
    told = manifest.import_options
    text = replace(text or TextOptions(), separator=told.get("sep"), null=told.get("nullkey"))
    parts: list[Source] = []
    n_rows = [segment.rows for segment in manifest.segments]
    for segment in manifest.segments:
        for entry in segment.files:
            path = inside(folder, entry.path)
            if path is not None and path.stat().st_size != entry.bytes:
                raise DataError(
                    file=str(path), expected=f"{entry.bytes} bytes, as in {MANIFEST_NAME}", got=f"{path.stat().st_size}"
                )
            if (
                whole
                and path is not None
                and isinstance(path, Path)
                and checksum_of(mapped_file(path)) != entry.checksum
            ):
                got = "another: the file was changed or damaged"
                raise DataError(
                    file=str(path), expected=f"the checksum {entry.checksum}, as in {MANIFEST_NAME}", got=got
                )
        parts.append(open_source([f"{folder}/{entry.path}" for entry in segment.files], text=text))
    if not parts:
        raise DataError(file=f"{folder}/{MANIFEST_NAME}", expected="published segments", got="none")
    return parts[0] if len(parts) == 1 else Stacked(parts, n_rows)
