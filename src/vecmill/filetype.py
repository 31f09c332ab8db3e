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


# Go's encoding/csv takes any other character, and with it the server (milvus, importutilv2/util.go).
_NO_SEPARATORS = '\0\r\n"\ufffd'
_IN_NUMBERS = "0123456789+-.aeflrstu"


def check_separator(sep: object) -> str:
    """Return a separator of CSV cells that the server takes. Raises ValueError for anything else."""
    if isinstance(sep, str) and len(sep) == 1 and sep not in _NO_SEPARATORS and not "\ud800" <= sep <= "\udfff":
        return sep
    raise ValueError(f"sep is {sep!r}, expected one character, no quote, line end, NUL or U+FFFD")


def is_in_numbers(sep: str) -> bool:
    """Return whether numbers and bools may contain a separator: such cells must be quoted."""
    return sep in _IN_NUMBERS


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
