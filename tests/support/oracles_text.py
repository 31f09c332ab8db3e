"""Slow, obvious Python twins of the kernels that read text and COPY: see `oracles`."""

from __future__ import annotations

import json
import re
import struct

JSON_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?|-?Infinity|NaN")
LENIENT_NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?(nan|inf|infinity)", re.IGNORECASE)


def number_of(text: str, *, lenient: bool) -> float | None:
    """``float64s_into``: the number, None for none."""
    grammar = LENIENT_NUMBER if lenient else JSON_NUMBER
    return float(text) if grammar.fullmatch(text) else None


def integer_of(text: str, *, lenient: bool) -> int | str | None:
    """``int64s_into``: the integer, "range" for one that int64 does not hold, None for none."""
    if not re.fullmatch(r"[-+]?[0-9]+" if lenient else r"-?(0|[1-9][0-9]*)", text):
        return None
    return int(text) if -(1 << 63) <= int(text) < 1 << 63 else "range"


def json_row(line: bytes, names: list[str], *, strict: bool) -> list[tuple[str, object]] | str:
    """``ObjectWalker.walk`` of one row: (kind, value) of each wanted key, or why the row is refused."""
    twice: list[str] = []

    def pairs(items: list[tuple[str, object]]) -> dict[str, object]:
        twice.clear()  # of the outermost object, which comes last
        keys = [key for key, _ in items]
        twice.extend(key for key in keys if keys.count(key) > 1)
        return dict(items)

    try:
        row = json.loads(line, object_pairs_hook=pairs)
    except ValueError:
        return "syntax"
    if not isinstance(row, dict):
        return "syntax"
    if strict and set(row) - set(names):
        return "unknown"
    if set(twice) & set(names):
        return "twice"
    return [(kind_of(row.get(name)), row.get(name)) for name in names]


def kind_of(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    kinds = {type(None): "null", int: "int", float: "float", str: "string", list: "array", dict: "object"}
    return kinds[type(value)]


def copy_unescaped(text: str) -> bytes:
    """``strings_into`` with BACKSLASH: PostgreSQL's manual, COPY, "Text Format". Octal digits are a byte."""
    letters = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}

    def plain(found: re.Match[bytes]) -> bytes:
        inside = found[1]
        return bytes([int(inside, 8) & 0xFF]) if inside[:1] in b"01234567" else letters.get(inside, inside)

    return re.sub(rb"\\([0-7]{1,3}|.)", plain, text.encode(), flags=re.DOTALL)


def copy_rows(data: bytes) -> list[list[bytes | None]]:
    """``split_rows``: the fields of every row of binary COPY behind its header."""
    rows: list[list[bytes | None]] = []
    at = 0
    while True:
        (n,) = struct.unpack_from(">h", data, at)
        at += 2
        if n == -1:
            return rows
        row: list[bytes | None] = []
        for _ in range(n):
            (size,) = struct.unpack_from(">i", data, at)
            at += 4
            row.append(None if size < 0 else data[at : at + size])
            at += max(size, 0)
        rows.append(row)
