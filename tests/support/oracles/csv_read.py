"""Twins of native/csv_read.pyx: fields of CSV and COPY text, and the text they stand for."""

from __future__ import annotations

import csv
import io
import re


def csv_rows(raw: bytes) -> list[list[str]]:
    """``split_fields`` and ``strings_into``: the rows of CSV with commas."""
    return list(csv.reader(io.StringIO(raw.decode(), newline="")))


def unquoted(text: str, quote: str) -> str:
    """``strings_into`` with a quote: the text between the quotes, doubled quotes undone."""
    return text.replace(quote * 2, quote)


def copy_unescaped(text: str) -> bytes:
    """``strings_into`` with BACKSLASH: PostgreSQL's manual, COPY, "Text Format". Octal digits are a byte."""
    letters = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}

    def plain(found: re.Match[bytes]) -> bytes:
        inside = found[1]
        return bytes([int(inside, 8) & 0xFF]) if inside[:1] in b"01234567" else letters.get(inside, inside)

    return re.sub(rb"\\([0-7]{1,3}|.)", plain, text.encode(), flags=re.DOTALL)
