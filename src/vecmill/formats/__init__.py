"""File formats: a span of encoded columns -> files of a segment."""

from __future__ import annotations

from collections.abc import Mapping
from json import dumps  # `json` is a module of this package
from typing import Any

from vecmill.errors import SchemaError
from vecmill.filetype import BulkFileType
from vecmill.formats.base import Format
from vecmill.formats.csv import CsvFormat
from vecmill.formats.json import JsonFormat, JsonLinesFormat
from vecmill.formats.npy import NpyFormat
from vecmill.formats.parquet.meta import CODECS
from vecmill.formats.parquet.segment import ParquetFormat
from vecmill.schema.collection import CollectionSchema

# pymilvus' config for CSV; taken and without effect in other formats, as there.
_CSV_KEYS = {"sep", "nullkey"}


def open_format(file_type: BulkFileType, schema: CollectionSchema, config: Mapping[str, Any] | None) -> Format:
    """Return the format for a file type.

    ``config`` for Parquet: ``compression`` ("none", "snappy", "zstd") and ``compression_level`` (zstd; default 1). For
    CSV: ``sep`` (default ",") and ``nullkey``, the text of a null (default ""), which the import must be told too.
    Raises SchemaError for an option that the format does not know.
    """
    options = {key: value for key, value in (config or {}).items() if key not in _CSV_KEYS}
    known = {"compression", "compression_level"} if file_type == BulkFileType.PARQUET else set()
    for key in options:
        if key not in known:
            raise SchemaError(f"config {key!r} is not an option of {file_type.name}")
    if file_type == BulkFileType.NUMPY:
        return NpyFormat()
    if file_type == BulkFileType.PARQUET:
        codec = str(options.get("compression") or "none").lower()
        if codec not in CODECS:
            raise SchemaError(f"config 'compression' is {codec!r}, expected one of {', '.join(CODECS)}")
        text = dumps(schema.to_dict(), ensure_ascii=False)
        return ParquetFormat(codec, options.get("compression_level"), {"vecmill.schema": text})
    if file_type == BulkFileType.CSV:
        return CsvFormat(config or {})
    return JsonFormat() if file_type == BulkFileType.JSON else JsonLinesFormat()
