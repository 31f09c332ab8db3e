"""Rejected rows: ``rejects.jsonl`` in the notes of an output, one line per row.

A line has ``file`` and ``row`` (0-based, in that file), ``field`` and ``value`` (shortened; both null if the error is
not about a field), ``reason``, and ``source_row``, the number of the row among all rows of the conversion.
"""

from __future__ import annotations

import array
import json
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import IO, Any

from vecmill.errors import DataError, StoreError
from vecmill.sources import Source
from vecmill.sources.base import one_line
from vecmill.store.local_place import LocalPlace
from vecmill.store.notes import REJECTS_NAME
from vecmill.store.place import Place

_VALUE_LENGTH = 200
_VALUES_SHOWN = 8


class Rejects:
    """The file of rejected rows. It is made with the first of them, and every line is flushed at once.

    So after a kill the file has all rejected rows that come before a published one. ``first_row``: number of row 0 of
    ``source`` in the conversion. ``bucket``: notes in a bucket, to which `sync` sends the file before a segment is
    published, since objects cannot grow.
    """

    def __init__(self, path: Path, source: Source, *, first_row: int = 0, bucket: Place | None = None) -> None:
        self.path = path
        self._first_row = first_row
        self.n_rows = 0
        self._bucket = bucket
        self._lock = threading.Lock()
        self._unsent = False
        self._source = source
        self._file: IO[bytes] | None = None

    def resume(self, n_taken: int) -> int:
        """Keep the rejects of an earlier run before its ``n_taken`` published rows. Return the next row to read.

        Rows that were rejected after the last published one are tried again.
        """
        try:
            before = self._bucket.read_text(REJECTS_NAME) if self._bucket is not None else None
            if before is not None:
                self.path.write_text(before, "utf-8")
            numbers, is_torn = self._numbers()
            # ``number - i`` rows were written before the i-th rejected one.
            self.n_rows = sum(1 for i, number in enumerate(sorted(numbers)) if number - i < n_taken)
            row = n_taken + self.n_rows
            if self.n_rows < len(numbers) or is_torn:
                self._keep_before(row)
        except OSError as err:
            raise self._store_error(err) from err
        return row

    def _numbers(self) -> tuple[array.array[int], bool]:
        """Return the rejected rows, and True if the last line is incomplete (the process was killed)."""
        numbers = array.array("q")
        line = b"\n"
        if self.path.exists():
            with self.path.open("rb") as lines:
                for line in lines:
                    if line.endswith(b"\n"):
                        numbers.append(json.loads(line)["source_row"])
        return numbers, not line.endswith(b"\n")

    def _keep_before(self, row: int) -> None:
        fresh = self.path.with_name(f".{REJECTS_NAME}.tmp")
        with self.path.open("rb") as old, fresh.open("wb") as new:
            for line in old:
                if line.endswith(b"\n") and json.loads(line)["source_row"] < row:
                    new.write(line)
        self._unsent = True
        if self.n_rows:
            fresh.replace(self.path)
        else:
            fresh.unlink()
            self.path.unlink()

    def add(self, number: int, err: DataError, batch: Mapping[str, Any], row: int) -> None:
        """Add a line for the row ``number`` of the source, which is ``row`` of ``batch``. Raises StoreError."""
        file, file_row = self._source.locate(number, err.field)
        line = {
            "file": file,
            "row": file_row,
            "field": err.field,
            "reason": f"expected {err.expected}, got {err.got}",
            "value": _shown(err, batch, row),
            "source_row": self._first_row + number,
        }
        text = json.dumps(line, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
        try:
            with self._lock:
                if self._file is None:
                    self._file = self.path.open("ab")
                self._file.write(text)
                self._file.flush()
                self._unsent = True
        except OSError as err_:
            raise self._store_error(err_) from err_
        self.n_rows += 1

    def sync(self) -> None:
        """Send the file to the bucket if it has changed since the last time. Raises StoreError."""
        with self._lock:
            if self._unsent and self._bucket is not None:
                if self.path.exists():
                    self._bucket.put_text(REJECTS_NAME, self.path.read_text("utf-8"))
                else:
                    self._bucket.delete([REJECTS_NAME])
            self._unsent = False

    def close(self) -> None:
        """Sync and close the file. Raises StoreError."""
        try:
            self.sync()
        finally:
            if self._file is not None:
                self._file.close()

    def _store_error(self, err: OSError) -> StoreError:
        return StoreError((err.strerror or one_line(err)).lower(), path=os.fspath(self.path), errno=err.errno)


@contextmanager
def opened_rejects(place: Place, source: Source) -> Iterator[Rejects]:
    """Open the rejects of a conversion to a place. Raises StoreError."""
    notes = place.notes
    with ExitStack() as stack:
        if isinstance(notes, LocalPlace):
            rejects = Rejects(notes.root / REJECTS_NAME, source)
        else:
            aside = stack.enter_context(tempfile.TemporaryDirectory(prefix="vecmill-rejects-"))
            rejects = Rejects(Path(aside) / REJECTS_NAME, source, bucket=notes)
        yield stack.enter_context(closing(rejects))


def _shown(err: DataError, batch: Mapping[str, Any], row: int) -> str | None:
    """Return the value that the error is about, shortened: from the batch, or from the text that could not be read."""
    if err.field is not None and err.field in batch:
        return value_text(batch[err.field], row)
    if err.value is None or not err.value.startswith("["):
        return None if err.value is None else shortened(err.value)
    try:
        return shortened(json.loads(err.value))
    except (ValueError, RecursionError):
        return shortened(err.value)


def value_text(values: Any, row: int) -> str | None:
    """Return one value of a column as text of at most 200 characters. None: it is null."""
    value = values[row]
    if hasattr(value, "as_py"):
        try:
            value = value.as_py()
        except (ValueError, OverflowError):  # a date beyond the year 9999
            value = " ".join(values.slice(row, 1).to_string(skip_new_lines=True).split())[1:-1]
    return shortened(value.tolist() if hasattr(value, "tolist") else value)


def shortened(value: Any) -> str | None:
    """Return a value as text of at most 200 characters. None: it is null."""
    if value is None:
        return None
    if isinstance(value, list) and len(value) > _VALUES_SHOWN:
        shown = ", ".join(repr(one)[: _VALUE_LENGTH // _VALUES_SHOWN] for one in value[:_VALUES_SHOWN])
        return f"[{shown}, ...] ({len(value)} values)"
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _VALUE_LENGTH else f"{text[: _VALUE_LENGTH - 3]}..."


def take_around(n_rows: int, attempt: Callable[[int, int], object], reject: Callable[[int, DataError], object]) -> None:
    """Call ``attempt(start, stop)`` for ranges of good rows, and ``reject(row, error)`` for bad ones, in order.

    ``attempt`` either takes a whole range, or refuses it with a DataError whose ``row`` is a bad row in the range (not
    always the first). Ranges start small after a bad row, and double with every range that is taken. So the work is a
    small multiple of ``n_rows``, however many rows are bad.
    """
    start, size = 0, n_rows
    bad: tuple[int, DataError] | None = None
    while start < n_rows:
        if bad is not None and bad[0] == start:
            reject(*bad)
            start, bad = start + 1, None
            continue
        stop = bad[0] if bad is not None else min(n_rows, start + size)
        try:
            attempt(start, stop)
        except DataError as err:
            if err.row is None:
                raise
            bad = (err.row, err)
            size = max(1, err.row - start)
        else:
            start, size = stop, size * 2
