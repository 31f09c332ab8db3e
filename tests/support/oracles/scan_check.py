"""Twins of native/scan_check.pyx: UCS-4 and JSON in files that others wrote."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence


def scan_ucs4(rows: Sequence[Sequence[int]]) -> tuple[list[int | None], list[int]]:
    """Return (bytes of UTF-8, flags) of zero-padded rows of code points; bytes None where a row is no text."""
    sizes: list[int | None] = []
    flags: list[int] = []
    for row in rows:
        text = list(row)
        while text and text[-1] == 0:
            text.pop()
        wrong = any(c > 0x10FFFF or 0xD800 <= c <= 0xDFFF for c in text)
        # The server drops zeros in the middle, so they are not counted.
        sizes.append(None if wrong else len("".join(chr(c) for c in text if c).encode()))
        flags.append((1 if 0 in text else 0) | (2 if wrong else 0))
    return sizes, flags


def json_end(text: bytes, start: int) -> int | None:
    """Return the place behind the JSON value at ``start``, or behind blanks there; None: no value."""
    decoded = text.decode("latin-1")
    try:
        return json.JSONDecoder().raw_decode(
            decoded, start + len(decoded[start:]) - len(decoded[start:].lstrip(" \t\r\n"))
        )[1]
    except ValueError:
        return None


def is_json(text: bytes) -> bool:
    """Return True if ``text`` is one JSON value and blanks, as Go's encoding/json reads it. Strings may hold any bytes.

    What it reads as a number has to be a finite float64."""

    def refuse(name: str) -> None:
        raise ValueError(name)

    def as_float(number: str) -> float:
        return float(number) if math.isfinite(float(number)) else refuse(number)

    # Latin-1 gives every byte a character of its own. Python takes U+007F..U+00FF in strings and nowhere else, too.
    decoded = text.decode("latin-1")
    if re.match(r"[^ \t\r\n\"\[\]{}tfn0-9-]", decoded):
        return False
    try:
        json.loads(decoded, parse_constant=refuse, parse_float=as_float, parse_int=as_float)
    except ValueError:
        return False
    return True
