"""`TextOptions`: what a caller may say about text files."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vecmill.errors import DataError
from vecmill.schema.fields import FieldSchema

DELIMITED = ("csv", "tsv", "copy")
"""Kinds whose rows are fields with separators between them."""
WORDS = ("glove", "word2vec", "word2vec-binary")
"""Kinds whose rows are a word and its vector."""
TEXT_KINDS = ("jsonl", "json", "csv", "tsv", "copy", "copy-binary", *WORDS)


@dataclass(frozen=True, slots=True)
class TextOptions:
    """What a text file does not say about itself.

    Attributes
    ----------
    kind: one of `TEXT_KINDS`, for standard input and files whose name and first bytes do not tell.
    separator: between the fields of CSV; by default a comma, in TSV and COPY a tab.
    null: what stands for null where it is not quoted; by default nothing at all, in COPY ``\\N``.
    header: whether the first row of CSV, TSV or COPY holds names; by default not in COPY.
    names: the columns of a file without a header, in order. Left out, they are ``column1``, ``column2``, ..., and the
        only vector among them is ``vector``.
    types: column -> a pyarrow type or a word such as ``bigint``, ``text`` or ``vector(768)``, for columns whose first
        rows do not tell (and for all columns of binary COPY that are no vectors).
    fields: column -> the field of a schema that it feeds, which decides what its values are.
    optional: those of these columns that no row of JSON has to have.
    rest: whether the keys of JSON that are no column make the dynamic field, each row's own.
    lenient: whether text, numbers and bools are taken for one another (``--cast unsafe``).
    records: the path to the rows in a document of JSON (``hits.hits``); by default its one array of objects.
    decimal: the character before the fraction of a number in CSV, TSV and COPY.
    spool: keep standard input in a temporary file, so that it can be read again, as inferring a schema needs it.
    block_bytes: unpacked bytes that are read at a time, and parsed while the next are read.
    """

    kind: str | None = None
    separator: str | None = None
    null: str | None = None
    header: bool | None = None
    names: Sequence[str] = ()
    types: Mapping[str, Any] = field(default_factory=dict)
    fields: Mapping[str, FieldSchema] = field(default_factory=dict)
    optional: Collection[str] = ()
    rest: bool = False
    lenient: bool = False
    decimal: str = "."
    records: str | None = None
    spool: bool = True
    block_bytes: int = field(default=16 << 20, repr=False)

    def unused_by(self, kinds: Collection[str]) -> str:
        """Return the options, in words, that would change nothing of files of these kinds; "" where all have a use."""
        given = {
            "separator (--separator)": self.separator is not None,
            "null (--null)": self.null is not None,
            "header (--header)": self.header is not None,
            "records (--records)": self.records is not None,
            "decimal (--decimal)": self.decimal != ".",
            "names (--names)": bool(self.names),
            "types (--type)": bool(self.types),
        }
        read_by = {
            "names (--names)": (*DELIMITED, "copy-binary"), "types (--type)": {*TEXT_KINDS} - {*WORDS},
            "records (--records)": ("json", "jsonl"),
        }  # fmt: skip
        return ", ".join(
            name for name, is_given in given.items() if is_given and set(kinds).isdisjoint(read_by.get(name, DELIMITED))
        )

    def __post_init__(self) -> None:
        if self.kind is not None and self.kind not in TEXT_KINDS:
            raise DataError(expected=f"a kind among {', '.join(TEXT_KINDS)}", got=repr(self.kind))
        if self.separator is not None and (len(self.separator) != 1 or ord(self.separator) > 127):
            raise DataError(expected="a separator of one ASCII character", got=repr(self.separator))
