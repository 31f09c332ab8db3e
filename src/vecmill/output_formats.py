"""The output formats: one row a format, which all other code asks.

`vecmill.formats` writes them and `vecmill.validate` checks them. docs/extending.md tells what a new one takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True)
class FormatRules:
    """What a format carries, and what the server makes of it.

    Attributes
    ----------
    name: the format in messages.
    carries_null: nulls have a form.
    carries_nul: text may contain U+0000.
    carries_crlf: text may contain CR LF; otherwise the server reads it as LF.
    empty_is_null: the server reads an empty list of a nullable field as a null.
    null_text: the text that the server reads as a null, or as the default value. None: text is never read as a null.
    decodes_json: the server decodes objects of JSON fields, and keeps the last value of a key that comes twice.
    meta_as_float: the server reads the integers in ``$meta`` as float64.
    """

    name: str
    carries_null: bool = True
    carries_nul: bool = True
    empty_is_null: bool = False
    carries_crlf: bool = True
    null_text: str | None = None
    decodes_json: bool = False
    meta_as_float: bool = False


@dataclass(frozen=True, slots=True)
class FileFormat:
    """A row of `FORMATS`.

    Attributes
    ----------
    endings: endings of file names, by which the server recognises the format. Writers use the first one.
    since: first release of the server that reads the format.
    rules: what the format carries.
    options: keys of ``config``, each with a line of help.
    is_set: an import file is a set of files, one for each field.
    is_text: values are written as text, in about 2.5 times the bytes of float32.
    dialect_of: another format, whose carriage and validation rules hold for this one too. None: it has its own.
    """

    endings: tuple[str, ...]
    since: tuple[int, int, int]
    rules: FormatRules
    options: Mapping[str, str] = field(default_factory=dict)
    is_set: bool = False
    is_text: bool = False
    dialect_of: BulkFileType | None = None

    @property
    def word(self) -> str:
        """Name of the format on the command line."""
        return self.endings[0].removeprefix(".")

    @property
    def noun(self) -> str:
        """One import file in words: "NPY set"."""
        return f"{self.rules.name} {'set' if self.is_set else 'file'}"


ZSTD_LEVELS = range(1, 23)

FORMATS: Mapping[BulkFileType, FileFormat] = {
    BulkFileType.PARQUET: FileFormat(
        endings=(".parquet",),
        since=(2, 3, 4),
        rules=FormatRules("Parquet", empty_is_null=True),
        options={
            "compression": "Codec of Parquet pages: none (the default), snappy or zstd.",
            "compression_level": f"Level of zstd, {ZSTD_LEVELS[0]} (the default) to {ZSTD_LEVELS[-1]}.",
        },
    ),
    BulkFileType.NUMPY: FileFormat(
        endings=(".npy",),
        since=(2, 2, 0),
        rules=FormatRules("NPY", carries_null=False, carries_nul=False),
        is_set=True,
    ),
    BulkFileType.JSON: FileFormat(
        endings=(".json",), since=(2, 2, 0), rules=FormatRules("JSON", decodes_json=True), is_text=True
    ),
    BulkFileType.JSONL: FileFormat(
        endings=(".jsonl", ".ndjson"),
        since=(2, 6, 6),
        rules=FormatRules("JSONL", decodes_json=True),
        is_text=True,
        dialect_of=BulkFileType.JSON,
    ),
    BulkFileType.CSV: FileFormat(
        endings=(".csv",),
        since=(2, 5, 0),
        rules=FormatRules("CSV", carries_crlf=False, meta_as_float=True),
        options={
            "sep": "Separator of CSV cells, one character (default: a comma). The import must be told the same.",
            "nullkey": "Text of a null in CSV (default: nothing at all). The import must be told the same.",
        },
        is_text=True,
    ),
}

ENDINGS: Mapping[str, BulkFileType] = {
    ending: file_type for file_type, one in FORMATS.items() for ending in one.endings
}
*_first, _last = ENDINGS
ENDINGS_TEXT = f"{', '.join(_first)} or {_last}"


# Go's encoding/csv takes any other character, and with it the server (milvus, importutilv2/util.go).
_NO_SEPARATORS = '\0\r\n"\ufffd'


def check_separator(sep: object) -> str:
    """Return a separator of CSV cells that the server takes. Raises ValueError for anything else."""
    if isinstance(sep, str) and len(sep) == 1 and sep not in _NO_SEPARATORS and not "\ud800" <= sep <= "\udfff":
        return sep
    raise ValueError(f"sep is {sep!r}, expected one character, no quote, line end, NUL or U+FFFD")


def is_in_numbers(sep: str) -> bool:
    """Return True if numbers and bools may contain a separator, so that such cells must be quoted."""
    return sep in "+-." or (sep.isascii() and sep.isalnum())


def parse_file_type(value: object) -> BulkFileType:
    """Return the file type for a `BulkFileType`, pymilvus' enum, an int, or a name in any case ("npy", "parquet").

    Raises SchemaError for anything else.
    """
    try:
        if isinstance(value, str):
            return BulkFileType[value.upper().removeprefix(".")]
        return BulkFileType(int(value))  # type: ignore[call-overload]
    except (KeyError, ValueError, TypeError):
        names = ", ".join(member.name for member in BulkFileType)
        raise SchemaError(f"unknown file type {value!r}, expected one of {names}") from None
