"""Twins of native/number_read.pyx: numbers in text."""

from __future__ import annotations

import re

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


def list_of(text: str, *, lenient: bool, as_int: bool) -> list[float | int] | str | None:
    """``float32_lists_into``, ``int64_lists_into``: the numbers of a list; "range" as `integer_of`; None: no list."""
    brackets = ("[]", "{}") if lenient else ("[]",)
    text = text.strip(" \n\t\r")
    if len(text) < 2 or text[0] + text[-1] not in brackets:
        return None
    inside = text[1:-1].strip(" \n\t\r")
    separator = r"[ \n\t\r]*,[ \n\t\r]*|[ \n\t\r]+" if lenient else r"[ \n\t\r]*,[ \n\t\r]*"
    parts = re.split(separator, inside) if inside else []
    values = [integer_of(part, lenient=lenient) if as_int else number_of(part, lenient=lenient) for part in parts]
    if None in values:
        return None
    return "range" if "range" in values else values  # type: ignore[return-value]
