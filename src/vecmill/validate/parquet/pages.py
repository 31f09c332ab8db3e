"""Checks of the pages of a Parquet file, from header to header, before Arrow decodes them."""

from __future__ import annotations

from collections.abc import Set
from math import ceil

from vecmill.store.blob import Blob
from vecmill.validate.findings import Findings
from vecmill.validate.parquet.footer import (
    BOOLEAN,
    BYTE_ARRAY,
    BYTE_STREAM_SPLIT,
    DELTA_BYTE_ARRAY,
    DICTIONARY_PAGE,
    MAX_PAGE_HEADER,
    RLE,
    Chunk,
    Footer,
    LeafColumn,
    PageHeader,
    WrongFooter,
    read_page_header,
)
from vecmill.validate.rules import RULES

# Unpacked: Arrow holds a page in memory, whatever it was packed into.
MAX_PAGE_BYTES = 256 * 1024 * 1024
_PAGE_HEADER_GUESS = 512
_AHEAD = 64 * 1024
_FIXED_WIDTH = 16  # of a number, with its levels


class _ReadAhead:
    """Reads headers of several small pages at once: in a bucket each read is a round trip."""

    def __init__(self, blob: Blob) -> None:
        self._blob, self._at, self._data = blob, 0, b""

    def read(self, start: int, stop: int) -> bytes:
        """Return bytes ``start`` to ``stop`` of the file."""
        if start < self._at or stop > self._at + len(self._data):
            self._at, self._data = start, self._blob.read(start, max(stop, start + _AHEAD))
        return self._data[start - self._at : stop - self._at]


def check_encodings(footer: Footer, blob: Blob, name: str, findings: Findings) -> None:
    """Check for encodings that older servers do not decode: in the footer, of bools in their first page."""
    if RULES["parquet-encoding"].severity(findings.form, findings.lines) is None:
        return
    ahead = _ReadAhead(blob)
    for i, leaf in enumerate(footer.leaves):
        for group in footer.groups:
            chunk = group.chunks[i]
            found = "BYTE_STREAM_SPLIT" if BYTE_STREAM_SPLIT in chunk.encodings else None
            # RLE in the footer may be that of the levels.
            if leaf.type == BOOLEAN and RLE in chunk.encodings and _first_encoding(chunk, ahead) == RLE:
                found = "RLE"
            if found is not None:
                findings.add(
                    "parquet-encoding", file=name, field=leaf.top, offset=chunk.data_page,
                    expected="values that are PLAIN, DELTA_... or of a dictionary", got=found,
                )  # fmt: skip
                break


def _first_encoding(chunk: Chunk, blob: _ReadAhead) -> int | None:
    try:
        return _read_page(blob, chunk.data_page, chunk.start + chunk.n_bytes).encoding if chunk.n_values else None
    except WrongFooter:
        return None  # check_pages tells it


def check_pages(footer: Footer, names: Set[str], blob: Blob, name: str, findings: Findings) -> dict[str, int] | None:
    """Check the page headers of the columns in ``names``.

    Return the bytes of a row in memory, by column. None: a page is wrong.
    """
    widths = dict.fromkeys(names, 1)
    readable, ahead = True, _ReadAhead(blob)
    for number, group in enumerate(footer.groups):
        in_group = dict.fromkeys(names, 0)
        for leaf, chunk in zip(footer.leaves, group.chunks, strict=True):
            if leaf.top not in names:
                continue
            try:
                width = _value_width(leaf, chunk, ahead)
                in_group[leaf.top] += width * ceil(chunk.n_values / max(group.rows, 1))
            except WrongFooter as wrong:
                readable = False
                where = f"row group {number}: {wrong.got}"
                findings.add(
                    "parquet-pages", file=name, field=leaf.top, offset=wrong.at, expected=wrong.expected, got=where
                )
        for top, width in in_group.items():
            widths[top] = max(widths[top], width)
    return widths if readable else None


def _value_width(leaf: LeafColumn, chunk: Chunk, blob: _ReadAhead) -> int:
    """Check the page headers of a chunk. Return the bytes of a value in memory; of text about the largest."""
    at, stop = chunk.start, chunk.start + chunk.n_bytes
    width, n_values = _FIXED_WIDTH, 0
    while at < stop:
        try:
            page = _read_page(blob, at, stop)
        except WrongFooter as wrong:
            raise WrongFooter(wrong.expected, wrong.got, at) from None
        if leaf.type == BYTE_ARRAY:
            width = max(width, _text_width(page, chunk, blob, at))
        n_values += 0 if page.type == DICTIONARY_PAGE else page.n_values
        at += page.n_head + page.n_bytes
    if n_values != chunk.n_values:
        raise WrongFooter(f"{chunk.n_values} values in all pages together", f"{n_values}", chunk.start)
    return width


def _text_width(page: PageHeader, chunk: Chunk, blob: _ReadAhead, at: int) -> int:
    if page.type == DICTIONARY_PAGE:
        # A long value may be in a million rows.
        packed = blob.read(at + page.n_head, at + page.n_head + page.n_bytes)
        return _longest(packed, page, chunk.codec)
    if page.encoding == DELTA_BYTE_ARRAY:  # so may a long prefix
        return page.plain_bytes
    return page.plain_bytes // max(page.n_values, 1)


def _longest(packed: bytes, page: PageHeader, codec: str) -> int:
    """Return the bytes of the longest value of a dictionary; of the whole dictionary if it cannot be read."""
    import pyarrow as pa

    try:
        plain = packed if codec == "UNCOMPRESSED" else pa.Codec(codec.lower()).decompress(packed, page.plain_bytes)
    except (pa.ArrowException, OSError, ValueError):
        return page.plain_bytes
    data = memoryview(plain)
    at = longest = 0
    for _ in range(page.n_values):
        n_bytes = int.from_bytes(data[at : at + 4], "little")
        at += 4 + n_bytes
        if at > len(data):
            return page.plain_bytes
        longest = max(longest, n_bytes)
    return longest


def _read_page(blob: _ReadAhead, at: int, stop: int) -> PageHeader:
    head = blob.read(at, min(at + _PAGE_HEADER_GUESS, stop))
    try:
        page = read_page_header(head)
    except WrongFooter:  # statistics may make it longer
        page = read_page_header(blob.read(at, min(at + MAX_PAGE_HEADER, stop)))
    end = at + page.n_head + page.n_bytes
    if end > stop:
        raise WrongFooter("pages within their column", f"one that ends at {end}, behind {stop}")
    if page.plain_bytes > MAX_PAGE_BYTES:
        raise WrongFooter(f"pages of at most {MAX_PAGE_BYTES} bytes", f"one of {page.plain_bytes}")
    return page
