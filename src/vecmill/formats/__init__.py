"""File formats: spans of encoded columns -> the files of a segment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from vecmill.errors import SchemaError
from vecmill.formats.base import Format
from vecmill.formats.csv import CsvFormat
from vecmill.formats.json import JsonFormat, JsonLinesFormat
from vecmill.formats.npy import NpyFormat
from vecmill.formats.parquet.segment import ParquetFormat
from vecmill.output_formats import FORMATS, BulkFileType
from vecmill.schema.collection import CollectionSchema

_OPENERS: Mapping[BulkFileType, Callable[[CollectionSchema, Mapping[str, Any]], Format]] = {
    BulkFileType.PARQUET: ParquetFormat,
    BulkFileType.NUMPY: lambda _schema, _config: NpyFormat(),
    BulkFileType.JSON: lambda _schema, _config: JsonFormat(),
    BulkFileType.JSONL: lambda _schema, _config: JsonLinesFormat(),
    BulkFileType.CSV: lambda _schema, config: CsvFormat(config),
}
# Options of pymilvus: taken and without effect in other formats, as there.
_ANY_FORMAT = FORMATS[BulkFileType.CSV].options


def open_format(file_type: BulkFileType, schema: CollectionSchema, config: Mapping[str, Any] | None) -> Format:
    """Return the format for a file type.

    ``config``: the options of the format, as `vecmill.output_formats.FORMATS` lists them. Raises SchemaError for an
    option that the format does not know, and for a value that it does not take.
    """
    for key in config or {}:
        if key not in FORMATS[file_type].options and key not in _ANY_FORMAT:
            raise SchemaError(f"config {key!r} is not an option of {file_type.name}")
    return _OPENERS[file_type](schema, config or {})
