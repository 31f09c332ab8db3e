"""CSV, TSV and COPY text into rows: where each value of each row stands in a block of bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vecmill._native import csv_read
from vecmill.sources.text.dialect import Dialect
from vecmill.sources.text.json_rows import RowProblem, SpanBuffers, Spans
from vecmill.sources.text.stream import Bytes


class Delimited:
    """Rows of CSV, TSV or COPY text. ``header``: the names of all columns of the file, ``wanted``: those to find."""

    def __init__(self, header: Sequence[str], wanted: Sequence[str], dialect: Dialect) -> None:
        places: Mapping[str, int] = {name: i for i, name in enumerate(wanted)}
        self._slots = np.array([places.get(name, -1) for name in header], np.int32)
        self._header = header
        self._separator = ord(dialect.separator)
        self._quote = ord(dialect.quote) if dialect.quote else 0
        self._null = np.frombuffer(dialect.null.encode(), np.uint8)
        self._skip = dialect.has_header
        self._ended = False
        self._passable = False
        self._room = SpanBuffers(len(wanted))

    def take(self, data: Bytes, start: int, final: bool, max_rows: int, skip: int = 0) -> tuple[Spans, int, int]:
        """See `Splitter.take`."""
        room = self._room
        if self._skip:
            end = self._record_end(data, start, final)
            if end is None:
                return room.spans(data, 0, None), start, 0
            start, self._skip = end, False
        if self._ended:
            return room.spans(data, 0, None), len(data), 0
        n = min(skip or max_rows, room.n_rows)
        done, position, why, found = csv_read.split_fields(
            data, start, final, self._separator, self._quote, self._null, self._slots, n, room.rows,
            room.starts, room.ends, room.kinds,
        )  # fmt: skip
        if skip and why in (csv_read.FEW, csv_read.MANY):  # where it ends is known, so it can be passed over
            end = self._record_end(data, position, final)
            done, position, why = (done, position, csv_read.OK) if end is None else (done + 1, end, csv_read.OK)
        problem = None
        self._passable = why in (csv_read.FEW, csv_read.MANY)
        if why == csv_read.END:
            self._ended = True
            position = len(data)
        elif why in (csv_read.FEW, csv_read.MANY):
            problem = RowProblem(position, f"{len(self._header)} fields", f"{found}")
        elif why == csv_read.QUOTE:
            field = self._header[found] if found < len(self._header) else None
            got = "a quote that is not closed before a separator or the end of the file"
            problem = RowProblem(position, "a quoted field in RFC 4180's form", got, field)
        skipped = done if skip else 0
        return room.spans(data, done - skipped, problem), position, skipped

    def behind(self, data: Bytes, position: int, final: bool) -> tuple[Spans, int] | None:
        """See `Splitter.behind`."""
        end = self._record_end(data, position, final) if self._passable else None
        return None if end is None else (self._room.spans(data, 0, None), end)

    def _record_end(self, data: Bytes, start: int, final: bool) -> int | None:
        """Return where the record behind the one at ``start`` begins, None if that one is not whole."""
        found = _fields(data, start, final, chr(self._separator), chr(self._quote) if self._quote else "")
        return None if found is None else found[3]


def first_record(
    data: Bytes, start: int, final: bool, separator: str, quote: str, null: str | None = None
) -> tuple[list[str | None], int] | None:
    """Return the fields of the record at ``start`` as text, and where the next one begins; None if it is not whole.

    ``null``: the unquoted text that is given as None. Raises ValueError for bad quoting or bytes that are not UTF-8.
    """
    found = _fields(data, start, final, separator, quote, null)
    if found is None:
        return None
    starts, ends, kinds, position = found
    style = ord(quote) if quote else csv_read.BACKSLASH
    offsets = np.empty(len(kinds) + 1, np.int32)
    out = np.empty(max(1, int((ends - starts).sum())), np.uint8)
    bad, _ = csv_read.strings_into(data, starts, ends, kinds, style, offsets, out)
    if bad >= 0:
        raise ValueError("bytes that are not UTF-8")
    texts = [out[a:b].tobytes().decode() for a, b in pairwise(offsets.tolist())]
    return [text if kind else None for text, kind in zip(texts, kinds, strict=True)], position


def is_all_quoted(data: Bytes, separator: str, quote: str) -> bool:
    """Whether every field of the first record, which is whole, is in quotes."""
    found = _fields(data, 0, True, separator, quote)
    return found is not None and all(start > 0 and data[start - 1] == ord(quote) for start in found[0].tolist())


def _fields(
    data: Bytes, start: int, final: bool, separator: str, quote: str, null: str | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8], int] | None:
    """Return the spans of the fields of one record, and where the next one begins; see `first_record`."""
    width = 1
    nothing = np.frombuffer((null if null is not None else "\0\0").encode(), np.uint8)
    row = np.empty(1, np.int64)
    while True:
        starts, ends = np.empty((width, 1), np.int64), np.empty((width, 1), np.int64)
        kinds = np.empty((width, 1), np.uint8)
        done, position, why, found = csv_read.split_fields(
            data, start, final, ord(separator), ord(quote) if quote else 0, nothing, np.arange(width, dtype=np.int32),
            1, row, starts, ends, kinds,
        )  # fmt: skip
        if why == csv_read.QUOTE:
            raise ValueError("a quote that is not closed")
        if why in (csv_read.FEW, csv_read.MANY):
            width = max(found, 1)
            continue
        return (starts[:, 0], ends[:, 0], kinds[:, 0], position) if done else None
