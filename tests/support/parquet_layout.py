"""A Parquet file as its bytes tell, walked with fastparquet's Thrift decoder: every page, offset, size and count.

Readers forgive much: they skip what they do not use, and trust what they should not need to. ``check`` does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from fastparquet.cencoding import NumpyIO, from_buffer

import vecmill

CODECS = {"none": 0, "snappy": 1, "zstd": 6}
PLAIN, RLE, RLE_DICTIONARY = 0, 3, 8
DATA_PAGE, DICTIONARY_PAGE = 0, 2
PAGE_LIMIT = 4 * 1024 * 1024


@dataclass(frozen=True)
class Page:
    """One page as its header and bytes say."""

    kind: int
    n_values: int
    encoding: int
    stored_bytes: int
    raw_bytes: int
    header_bytes: int


def check(path: str, codec: str = "none") -> None:
    """Assert that every number in the file is true."""
    raw = np.fromfile(path, np.uint8)
    size = len(raw)
    assert raw[:4].tobytes() == raw[-4:].tobytes() == b"PAR1"
    n_footer = int.from_bytes(raw[-8:-4].tobytes(), "little")
    footer = from_buffer(raw[size - 8 - n_footer : size - 8].tobytes(), "FileMetaData")
    assert footer.created_by == f"vecmill version {vecmill.__version__}".encode()
    assert [pair.key for pair in footer.key_value_metadata] == [b"vecmill.schema"]
    assert sum(group.num_rows for group in footer.row_groups) == footer.num_rows

    at = 4
    for i, group in enumerate(footer.row_groups):
        assert group.ordinal == i
        assert group.file_offset == at
        total_raw = total_stored = 0
        for chunk in group.columns:
            meta = chunk.meta_data
            pages = _pages(raw[at:], meta, CODECS[codec])
            stored = sum(page.header_bytes + page.stored_bytes for page in pages)
            assert meta.total_compressed_size == stored
            assert meta.total_uncompressed_size == sum(page.header_bytes + page.raw_bytes for page in pages)
            in_dictionary = pages[0].kind == DICTIONARY_PAGE
            first = pages[0]
            assert meta.dictionary_page_offset == (at if in_dictionary else None)
            assert meta.data_page_offset == (at + first.header_bytes + first.stored_bytes if in_dictionary else at)
            data = pages[1:] if in_dictionary else pages
            assert meta.num_values == sum(page.n_values for page in data)
            assert {page.encoding for page in data} == {RLE_DICTIONARY if in_dictionary else PLAIN}
            assert list(meta.encodings) == [PLAIN, RLE, *([RLE_DICTIONARY] if in_dictionary else [])]
            at += stored
            total_stored += stored
            total_raw += meta.total_uncompressed_size
        assert (group.total_byte_size, group.total_compressed_size) == (total_raw, total_stored)
    assert at == size - 8 - n_footer, "bytes that belong to no column"
    _check_counts(path)


def _pages(raw: np.ndarray, meta: Any, codec: int) -> list[Page]:
    """Decode the pages of a column chunk that begins where ``raw`` does."""
    assert meta.codec == codec
    pages, at = [], 0
    while at < meta.total_compressed_size:
        stream = NumpyIO(raw[at:])
        header = from_buffer(stream, "PageHeader")
        assert header.type in (DATA_PAGE, DICTIONARY_PAGE)
        assert header.type == DATA_PAGE or not pages, "a dictionary comes first, and once"
        of_kind = header.data_page_header if header.type == DATA_PAGE else header.dictionary_page_header
        if header.type == DATA_PAGE:
            assert of_kind.definition_level_encoding == of_kind.repetition_level_encoding == RLE
        assert header.uncompressed_page_size <= PAGE_LIMIT
        page = Page(
            header.type, of_kind.num_values, of_kind.encoding, header.compressed_page_size,
            header.uncompressed_page_size, stream.tell(),
        )  # fmt: skip
        body = raw[at + page.header_bytes : at + page.header_bytes + page.stored_bytes].tobytes()
        assert len(body) == page.stored_bytes
        if codec != CODECS["none"]:
            name = "snappy" if codec == CODECS["snappy"] else "zstd"
            body = pa.decompress(body, page.raw_bytes, name).to_pybytes()
        assert len(body) == page.raw_bytes
        if page.encoding == RLE_DICTIONARY:
            _check_indexes(body, page.n_values)
        pages.append(page)
        at += page.header_bytes + page.stored_bytes
    return pages


def _check_indexes(body: bytes, n_values: int) -> None:
    """Assert that one bit-packed run of whole groups of 8 indexes of 8 bits fills the rest behind the levels."""
    at = 0
    for _ in ("repetition", "definition"):
        at += 4 + int.from_bytes(body[at : at + 4], "little")
    assert body[at] == 8
    at += 1
    if at == len(body):  # all null
        return
    header = shift = 0
    while True:
        header |= (body[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if body[at - 1] < 0x80:
            break
    assert header & 1, "not bit-packed"
    assert len(body) - at == 8 * (header >> 1) < n_values + 8


def _check_counts(path: str) -> None:
    """Compare counts and limits of every column chunk with those of its values, as pyarrow reads them."""
    file = pq.ParquetFile(path)
    assert file.schema_arrow.metadata.keys() == {b"vecmill.schema"}
    for i in range(file.num_row_groups):
        table, group = file.read_row_group(i), file.metadata.row_group(i)
        assert group.num_rows == len(table)
        for j, name in enumerate(table.column_names):
            chunk, column = group.column(j), table[name]
            is_list = pa.types.is_list(column.type)
            assert chunk.path_in_schema == (f"{name}.list.element" if is_list else name)
            leaves = sum(len(part.flatten()) for part in column.chunks) if is_list else len(column) - column.null_count
            without = sum(not row for row in column.to_pylist()) if is_list else column.null_count  # null or empty
            assert chunk.num_values == leaves + without
            assert chunk.statistics.null_count == without
            is_integer = pa.types.is_integer(column.type) and leaves > 0
            assert chunk.statistics.has_min_max == is_integer
            if is_integer:
                values = [value for value in column.to_pylist() if value is not None]
                assert (chunk.statistics.min, chunk.statistics.max) == (min(values), max(values))


def n_pages(path: str, column: int) -> int:
    """Return how many data pages a column has in the first row group."""
    raw = np.fromfile(path, np.uint8)
    n_footer = int.from_bytes(raw[-8:-4].tobytes(), "little")
    meta = from_buffer(raw[-8 - n_footer : -8].tobytes(), "FileMetaData").row_groups[0].columns[column].meta_data
    start = meta.dictionary_page_offset or meta.data_page_offset
    return sum(page.kind == DATA_PAGE for page in _pages(raw[start:], meta, meta.codec))
