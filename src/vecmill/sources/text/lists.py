"""Lists in one text: of numbers, with whatever stands around and between them, and of texts in quotes."""

from __future__ import annotations

import re

_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?(nan|inf|infinity)", re.IGNORECASE)
_AROUND = ("[]", "{}", "()")
# One item: quoted by ' or ", where a backslash or a doubled quote stands for what follows; or plain text.
_ITEM = re.compile(r"""\s*(?:"((?:[^"\\]|\\.|"")*)"|'((?:[^'\\]|\\.|'')*)'|([^,"'{}\[\]]*))\s*(,|$)""", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "0": "\0"}


def numbers_of(text: str) -> list[int | float] | None:
    """Return the numbers of ``[1, 2]``, ``{1,2}``, ``(1, 2)`` or NumPy's ``[1. 2.]``. None: it is something else."""
    text = text.strip()
    if text[:1] + text[-1:] not in _AROUND:
        return None
    inside = text[1:-1].strip().rstrip(",")
    parts = re.split(r"\s*,\s*|\s+", inside) if inside else []
    if not all(NUMBER.fullmatch(part) for part in parts):
        return None
    return [int(part) if _INTEGER.fullmatch(part) else float(part) for part in parts]


def list_of_texts(text: str) -> list[str] | None:
    """Return the texts of PostgreSQL's ``{a,"b c"}``, or of Python's and ClickHouse's ``['a', 'b']``.

    None: it is something else; in brackets a text without quotes is, for what belongs to it cannot be told. NULL
    without quotes in braces is a null, for which there is no text: None as well.
    """
    text = text.strip()
    around = text[:1] + text[-1:]
    if around not in _AROUND:
        return None
    inside, found, at = text[1:-1], [], 0
    if not inside.strip():
        return []
    while True:
        item = _ITEM.match(inside, at)
        if item is None:
            return None
        double, single, plain, comma = item.groups()
        if plain is not None and (around != "{}" or not plain.strip() or plain.strip() == "NULL"):
            return None
        found.append(
            plain.strip() if plain is not None else _unquoted(double, '"') if single is None else _unquoted(single, "'")
        )
        at = item.end()
        if not comma:
            return found if at == len(inside) else None


def _unquoted(text: str, quote: str) -> str:
    text = text.replace(quote * 2, quote) if "\\" not in text else text
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), text, flags=re.DOTALL)
