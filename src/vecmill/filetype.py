"""The file formats by name."""

from __future__ import annotations

from enum import IntEnum

from vecmill.errors import SchemaError


class BulkFileType(IntEnum):
    """Format of the files, with the names and integer values of ``pymilvus.bulk_writer.BulkFileType``."""

    NUMPY = 1
    NPY = 1
    JSON = 2
    JSON_RB = 2
    PARQUET = 3
    CSV = 4
    JSONL = 5


def parse_file_type(value: object) -> BulkFileType:
    """Return the file type for one of ours, pymilvus' enum, an int, or a name in any case ("npy", "parquet").

    Raises SchemaError for anything else.
    """
    try:
        if isinstance(value, str):
            return BulkFileType[value.upper().removeprefix(".")]
        return BulkFileType(int(value))  # type: ignore[call-overload]
    except (KeyError, ValueError, TypeError):
        names = ", ".join(member.name for member in BulkFileType)
        raise SchemaError(f"unknown file type {value!r}, expected one of {names}") from None
