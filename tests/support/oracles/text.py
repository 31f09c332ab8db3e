"""Twins of native/text.pyx: text columns, checked, expanded to UCS-4 and narrowed from it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from vecmill.encode.plan import TextRules

FINE, TOO_LONG, HAS_NUL, NOT_UTF8, SURROGATE, NO_ROOM, HAS_CRLF, IS_NULL_TEXT = range(8)


def values_of(offsets: Sequence[int], data: bytes) -> list[bytes]:
    """Return the values of a text column."""
    return [data[start:stop] for start, stop in pairwise(offsets)]


def check_text(
    offsets: Sequence[int], data: bytes, max_bytes: int, rules: TextRules, validity: Sequence[int] | None = None
) -> tuple[int, int]:
    """First value that is too long, holds U+0000 or is not UTF-8; else the first with CR LF or that is null text."""
    for row, raw in enumerate(values_of(offsets, data)):
        if 0 <= max_bytes < len(raw):
            return row, TOO_LONG
        if rules.refuse_nul and b"\0" in raw:
            return row, HAS_NUL
        try:
            raw.decode("utf-8")
        except UnicodeDecodeError:
            return row, NOT_UTF8
    for row, raw in enumerate(values_of(offsets, data)):
        if rules.refuse_crlf and b"\r\n" in raw:
            return row, HAS_CRLF
        if raw == rules.null_text and (validity is None or validity[row]):
            return row, IS_NULL_TEXT
    return -1, FINE


def longest_codepoints(offsets: Sequence[int], data: bytes) -> int:
    """Code points of the longest value."""
    return max((len(raw.decode()) for raw in values_of(offsets, data)), default=0)


def plain_byte_array(values: Sequence[bytes], validity: Sequence[int] | None) -> bytes:
    """Parquet's PLAIN BYTE_ARRAY: a uint32 length and the bytes, null rows left out."""
    kept = [raw for i, raw in enumerate(values) if validity is None or validity[i]]
    return b"".join(len(raw).to_bytes(4, "little") + raw for raw in kept)


def ucs4_from_plain(plain: bytes, n: int, width: int) -> tuple[list[list[int]], int]:
    """``n`` PLAIN values as zero-padded code points, and the bytes of ``plain`` consumed. Raises ValueError."""
    rows, at = [], 0
    for _ in range(n):
        size = int.from_bytes(plain[at : at + 4], "little")
        if at + 4 > len(plain) or at + 4 + size > len(plain):
            raise ValueError("cut off")
        points = [ord(c) for c in plain[at + 4 : at + 4 + size].decode()]
        if len(points) > width:
            raise ValueError("too wide")
        rows.append(points + [0] * (width - len(points)))
        at += 4 + size
    return rows, at


def utf8_from_ucs4(rows: Sequence[Sequence[int]], room: int, refuse_nul: bool) -> tuple[list[bytes], int]:
    """Zero-padded code points as UTF-8, up to the first row that cannot be taken, and why it cannot."""
    taken: list[bytes] = []
    for points in rows:
        text = list(points)
        while text and text[-1] == 0:
            text.pop()
        raw, left = b"", room - sum(map(len, taken))
        for point in text:
            if 0xD800 <= point <= 0xDFFF or point > 0x10FFFF:
                return taken, SURROGATE
            raw += chr(point).encode()
            if len(raw) > left:
                return taken, NO_ROOM
        if refuse_nul and 0 in text:
            return taken, HAS_NUL
        taken.append(raw)
    return taken, FINE
