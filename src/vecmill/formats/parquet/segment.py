"""Parquet files, ``<n>.parquet``, with our own encoder: v1 pages, PLAIN, one row group for each span.

The levels of dense vectors are a constant pattern and their PLAIN values are the column buffer itself, so that a
page is a header, a few level bytes and the caller's memory; a generic encoder works 4 to 6 ns on every value. One
encoder for all columns is less code than splicing ours into another writer's file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from functools import lru_cache, partial
from typing import Any

import numpy as np

from vecmill._native import text as kernel
from vecmill._native.pages import vector_levels
from vecmill.encode.blocks import TEXT_GUESS, Bytes, FixedBlock, FixedColumn, Span, SpanColumn, VariableBlock
from vecmill.encode.plan import ColumnPlan
from vecmill.errors import SchemaError
from vecmill.formats.base import SingleFileSegment, fitting_rows
from vecmill.formats.parquet import meta
from vecmill.formats.parquet.nested import nested_nbytes, nested_page
from vecmill.formats.parquet.thrift import varint
from vecmill.formats.parquet.values import PageBody, as_indexes, count_nulls, plain_values, valid_rows
from vecmill.output_formats import FORMATS, ZSTD_LEVELS, BulkFileType
from vecmill.schema.collection import CollectionSchema
from vecmill.store.sink import Mark, SinkFolder

# A page of vectors or numbers is a block of a column (vecmill.columns).
_PAGE_BYTES = 512 * 1024
_TEXT_PAGE_BYTES = 1024 * 1024
_TEXT_PAGE_ROWS = 64 * 1024


class ParquetFormat:
    """Parquet. A stage is a row group: about 24 MiB of values, within the 16 to 64 MiB that suit the server."""

    import_options: Mapping[str, str] = {}
    rules = FORMATS[BulkFileType.PARQUET].rules
    stage_bytes = 24 * 1024 * 1024
    span_bytes = 24 * 1024 * 1024

    def __init__(self, schema: CollectionSchema, config: Mapping[str, Any]) -> None:
        """Raise SchemaError for an unknown codec or level. The footer holds the schema."""
        self._codec = str(config.get("compression") or "none").lower()
        if self._codec not in meta.CODECS:
            raise SchemaError(f"config 'compression' is {self._codec!r}, expected one of {', '.join(meta.CODECS)}")
        self._level = config.get("compression_level")
        if self._level is not None and not (isinstance(self._level, int) and self._level in ZSTD_LEVELS):
            levels = f"{ZSTD_LEVELS[0]} to {ZSTD_LEVELS[-1]}"
            raise SchemaError(f"config 'compression_level' is {self._level!r}, expected a number from {levels}")
        self._key_values = {"vecmill.schema": json.dumps(schema.to_dict(), ensure_ascii=False)}

    def row_nbytes(self, plans: Sequence[ColumnPlan]) -> int:
        """Return the bytes of a row, uncompressed."""
        return sum(_value_nbytes(plan) + (TEXT_GUESS if plan.is_variable else 0) for plan in plans)

    def open(self, plans: Sequence[ColumnPlan], folder: SinkFolder, _helper: Executor | None) -> ParquetSegment:
        """Start a file."""
        # A Zstandard compressor must not be used by two threads at once: one for each segment.
        compress = compressor(self._codec, self._level)
        return ParquetSegment(plans, folder, meta.CODECS[self._codec], compress, self._key_values)


class ParquetSegment(SingleFileSegment):
    """One Parquet file while it is written."""

    def __init__(
        self,
        plans: Sequence[ColumnPlan],
        folder: SinkFolder,
        codec: int,
        compress: Callable[[bytes], bytes] | None,
        key_values: Mapping[str, str],
    ) -> None:
        self._plans = plans
        self._codec = codec
        self._compress = compress
        self._key_values = key_values
        self._groups: list[meta.RowGroup] = []
        self._footer_nbytes, self._group_nbytes = _footer_sizes(plans, codec, key_values)
        super().__init__(folder, FORMATS[BulkFileType.PARQUET].endings[0], meta.MAGIC, gaps=True)

    @property
    def n_bytes(self) -> int:
        """Bytes of the file so far."""
        return self._file.n_bytes

    def _grown_nbytes(self, span: Span) -> int:
        """Return the bytes with the span, before compression."""
        values = sum(span.n_rows * _value_nbytes(plan) for plan in self._plans)
        for plan, column in zip(self._plans, span.columns, strict=True):
            if isinstance(column, VariableBlock):
                values += nested_nbytes(plan, column.n_bytes) if plan.items else column.n_bytes
            values += sum(len(leaf.form.dictionary) + 64 for leaf in meta.leaves(plan))
        pages = len(self._plans) + values // _PAGE_BYTES
        return self._file.n_bytes + self._footer_nbytes + len(self._groups) * self._group_nbytes + values + pages * 64

    def fitting(self, span: Span, max_bytes: int) -> int:
        """Return how many rows of a span can be written before the segment has more than ``max_bytes``."""
        return fitting_rows(self._grown_nbytes, span, max_bytes)

    def write(self, span: Span) -> None:
        """Write a row group."""
        group = meta.RowGroup(span.n_rows)
        for plan, column in zip(self._plans, span.columns, strict=True):
            for i, leaf in enumerate(meta.leaves(plan)):
                start = self._file.n_bytes
                chunk = meta.ColumnChunk(leaf, offset=start, data_offset=start)
                if leaf.form.dictionary:
                    self._write_page(chunk, meta.dictionary_header, [leaf.form.dictionary])
                    chunk.data_offset = self._file.n_bytes
                for n_values, n_nulls, parts in _pages(plan, i, column, chunk):
                    self._write_page(chunk, partial(meta.page_header, leaf.form, n_values), parts)
                    chunk.n_values += n_values
                    chunk.n_nulls += n_nulls
                group.chunks.append(chunk)
        self._groups.append(group)
        self.n_rows += span.n_rows

    def _write_page(
        self, chunk: meta.ColumnChunk, header_of: Callable[[int, int], bytes], parts: Sequence[bytes | Bytes]
    ) -> None:
        raw_bytes = stored_bytes = sum(len(part) for part in parts)
        if self._compress is not None:
            plain = (part.data if isinstance(part, np.ndarray) else part for part in parts)
            parts = [self._compress(b"".join(plain))]
            stored_bytes = len(parts[0])
        header = header_of(raw_bytes, stored_bytes)
        self._file.append(header, *parts)
        chunk.raw_bytes += len(header) + raw_bytes
        chunk.stored_bytes += len(header) + stored_bytes

    def mark(self) -> tuple[Mark, int]:
        """Return the end of the file and the number of row groups."""
        return self._file.mark(), len(self._groups)

    def rollback(self, mark: tuple[Mark, int]) -> None:
        """Forget the row groups since ``mark``."""
        self._file.rollback(mark[0])
        del self._groups[mark[1] :]
        self.n_rows = sum(group.n_rows for group in self._groups)

    def _tail(self) -> bytes:
        return meta.footer(self._plans, self._groups, self._codec, self._key_values)


def _footer_sizes(plans: Sequence[ColumnPlan], codec: int, key_values: Mapping[str, str]) -> tuple[int, int]:
    """Return the bytes of a footer with one row group, and of each further row group, at most."""
    most = 2**50
    leaves = [leaf for plan in plans for leaf in meta.leaves(plan)]
    chunks = [meta.ColumnChunk(leaf, most, most, most, most, most, most, 0, 0) for leaf in leaves]
    one, two = (len(meta.footer(plans, [meta.RowGroup(most, chunks)] * n, codec, key_values)) for n in (1, 2))
    return one, two - one


def _value_nbytes(plan: ColumnPlan) -> int:
    """Return the most bytes of a value in a page, levels included; of variable width without its own bytes."""
    if plan.items:
        return 24 * len(plan.items)  # levels, if every row begins new runs
    if plan.is_variable:
        return 4 + 1
    if plan.kind.parquet.is_list:
        return plan.width + (14 if plan.nullable else 8)
    if plan.is_vector:
        return 4 + plan.width + 1
    return max(4, plan.width) + 1


def _flat_levels(n_rows: int, validity: Bytes | None) -> bytes:
    """Return definition levels (0 null, 1 value) of a flat optional column, as one RLE or bit-packed run."""
    if validity is None:
        run = varint(n_rows << 1) + b"\x01"
    else:
        bits = np.packbits(validity, bitorder="little")
        run = varint(len(bits) << 1 | 1) + bits.tobytes()
    return len(run).to_bytes(4, "little") + run


@lru_cache(maxsize=64)
def _full_vector_levels(n_rows: int, dim: int) -> bytes:
    return vector_levels(n_rows, dim, None)


def _pages(plan: ColumnPlan, leaf: int, column: SpanColumn, chunk: meta.ColumnChunk) -> Iterator[PageBody]:
    """Yield the pages of one leaf of a column."""
    if not isinstance(column, VariableBlock):
        yield from _fixed_pages(plan, column, chunk)
        return
    for part in _page_rows(column):
        yield nested_page(plan, leaf, part) if plan.items else _text_page(part)


def _page_rows(block: VariableBlock) -> Iterator[VariableBlock]:
    start, n = 0, block.n_rows
    while start < n:
        limit = int(block.offsets[start]) + _TEXT_PAGE_BYTES
        fitting = int(np.searchsorted(block.offsets[start + 1 : start + _TEXT_PAGE_ROWS + 1], limit, side="right"))
        part = block.rows(start, start + max(1, fitting))
        yield part
        start += part.n_rows


def _text_page(part: VariableBlock) -> PageBody:
    plain = np.empty(4 * part.n_rows + part.n_bytes, np.uint8)
    used = kernel.plain_byte_array_into(part.offsets, part.data, part.validity, plain)
    levels = _flat_levels(part.n_rows, part.validity)
    return PageBody(part.n_rows, count_nulls(part.validity), [levels, plain[:used]])


def _fixed_pages(plan: ColumnPlan, column: FixedColumn, chunk: meta.ColumnChunk) -> Iterator[PageBody]:
    form = chunk.leaf.form
    for block in column.blocks():
        n, validity = block.n_rows, block.validity
        n_nulls = count_nulls(validity)
        values = plain_values(plan, block if n_nulls else FixedBlock(block.values))
        if form.is_list:
            levels = vector_levels(n, plan.dim, validity) if n_nulls else _full_vector_levels(n, plan.dim)
            parts = as_indexes(values) if form.dictionary else [values]
            yield PageBody((n - n_nulls) * plan.dim + n_nulls, n_nulls, [levels, *parts])
        else:
            _note_limits(plan, block, chunk)
            yield PageBody(n, n_nulls, [_flat_levels(n, validity if n_nulls else None), values])


def _note_limits(plan: ColumnPlan, block: FixedBlock, chunk: meta.ColumnChunk) -> None:
    """Update the smallest and largest integer, by which readers skip row groups."""
    if plan.kind.group != "int":
        return
    values = valid_rows(block).view(plan.element)
    if values.size:
        low, high = int(values.min()), int(values.max())
        chunk.low = low if chunk.low is None else min(low, chunk.low)
        chunk.high = high if chunk.high is None else max(high, chunk.high)


def compressor(codec: str, level: int | None) -> Callable[[bytes], bytes] | None:
    """Return the function that compresses a page. None: no compression."""
    if codec == "none":
        return None
    if codec == "zstd":
        import zstandard

        return zstandard.ZstdCompressor(level=1 if level is None else level).compress
    import pyarrow

    return lambda body: _bytes(pyarrow.compress(body, codec=codec, asbytes=True))


def _bytes(data: Any) -> bytes:
    return bytes(data)
