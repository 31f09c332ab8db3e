"""The `Dialect` of text files: separator, quote, null and header, as the caller says or as is usual for the kind."""

from __future__ import annotations

from dataclasses import dataclass

from vecmill._native import csv_read
from vecmill.sources.text.options import DELIMITED, WORDS, TextOptions


@dataclass(frozen=True, slots=True)
class Dialect:
    """Text of one of `TEXT_KINDS`, as ``options`` say."""

    kind: str
    options: TextOptions

    @property
    def is_json(self) -> bool:
        """Return True if rows are JSON objects, whose keys are the columns."""
        return self.kind in ("json", "jsonl")

    @property
    def is_delimited(self) -> bool:
        """Return True if rows are fields with separators between them."""
        return self.kind in DELIMITED

    @property
    def is_words(self) -> bool:
        """Return True if rows are a word and its vector."""
        return self.kind in WORDS

    @property
    def is_binary(self) -> bool:
        """Return True if values are bytes of a type that the file or the caller tells."""
        return self.kind in ("copy-binary", "word2vec-binary")

    @property
    def style(self) -> int:
        """Return how escaped text is written, as a constant of `csv_read` or the quote."""
        if self.kind == "copy":
            return csv_read.BACKSLASH
        return ord('"') if self.is_delimited or self.is_words else csv_read.JSON

    @property
    def separator(self) -> str:
        """Return the character between two fields."""
        return self.options.separator or ("," if self.kind == "csv" else "\t")

    @property
    def quote(self) -> str:
        """Return the character around a field that holds separators; "" for none."""
        return "" if self.kind == "copy" else '"'

    @property
    def null(self) -> str:
        """Return the unquoted text that stands for null."""
        given = self.options.null
        return given if given is not None else "\\N" if self.kind == "copy" else ""

    @property
    def has_header(self) -> bool:
        """Return True if the first row holds names."""
        return self.is_delimited and (self.kind != "copy" if self.options.header is None else self.options.header)

    @property
    def first_line(self) -> int | None:
        """Return the number of the first line; None for what is binary, and has no lines."""
        return None if self.is_binary else 1
