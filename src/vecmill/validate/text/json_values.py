"""Checks of decoded JSON: what the server refuses, and what its decoder loses."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterator
from typing import Any

from vecmill.schema.fields import DYNAMIC_FIELD
from vecmill.validate.findings import Problem

_ONE_DIGIT = bytes.maketrans(b"0123456789E", b"0000000000e")
# No number is too large for a float64 without one of these.
_LARGE_POWER, _LONG = re.compile(rb"e\+?000"), b"0" * 200
_INEXACT = b"0" * 16


class KeysTwice:
    """An object_pairs_hook. ``found``: (object, keys that came twice); the server keeps the last value of a key."""

    def __init__(self) -> None:
        self.found: list[tuple[dict[str, Any], list[str]]] = []

    def __call__(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        """Return the object of ``pairs``."""
        made = dict(pairs)
        if len(made) < len(pairs):
            seen: set[str] = set()
            twice = []
            for key, _ in pairs:
                if key in seen:
                    twice.append(key)
                seen.add(key)
            self.found.append((made, twice))
        return made

    def problem(self) -> Problem | None:
        """Return what is wrong with the first object that had a key twice."""
        return key_twice(self.found[0][1][0]) if self.found else None

    def within(self, row: dict[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield (name, key) for each value of a row that contains an object with a key twice."""
        twice = {id(made): keys[0] for made, keys in self.found}
        for name, value in row.items():
            rest = [value]
            while rest:
                one = rest.pop()
                if isinstance(one, dict):
                    if id(one) in twice:
                        yield name, twice[id(one)]
                        break
                    rest += one.values()
                elif isinstance(one, list):
                    rest += one


def key_twice(key: str) -> Problem:
    """Return the problem of a key that comes twice."""
    return Problem("value-key-twice", "each key of an object once", f"{key[:60]!r} twice")


def surrogate_problem(value: Any) -> Problem | None:
    """Return a problem if a decoded value contains a lone surrogate."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return Problem("value-text-utf8", "text that has a UTF-8 form", "the escape of a lone surrogate")
    except RecursionError:
        pass
    return None


def may_be_large(text: bytes) -> bool:
    """Return True if JSON text may contain a number that is too large for a float64."""
    digits = text.translate(_ONE_DIGIT)
    return _LONG in digits or _LARGE_POWER.search(digits) is not None


def large_number(text: bytes) -> str | None:
    """Return the first number in JSON text that is too large for the server's float64. None: there is none."""
    if not may_be_large(text):
        return None
    found: list[str] = []

    def read(number: str) -> float:
        if math.isinf(float(number)):
            found.append(number[:60])
        return 0.0

    try:
        json.loads(text.decode(errors="replace"), parse_float=read, parse_int=read)
    except (ValueError, RecursionError):
        return None
    return found[0] if found else None


def infinite_problem(value: Any) -> Problem | None:
    """Return a problem if a decoded value contains a number that is too large for a float64."""
    rest = [value]
    while rest:
        one = rest.pop()
        if isinstance(one, dict):
            rest += one.values()
        elif isinstance(one, list):
            rest += one
        elif isinstance(one, int | float) and abs(one) > sys.float_info.max:
            return Problem("value-json-number", "numbers within float64", "a larger one")
    return None


def meta_problem(text: bytes) -> Problem | None:
    """Return what is wrong with ``$meta`` as text: the server decodes the object with numbers as float64."""
    twice = KeysTwice()
    inexact: list[str] = []

    def read(digits: str) -> int:
        if len(digits) < 300 and int(float(digits)) != int(digits):
            inexact.append(digits[:60])
        return 0

    read_int = read if _INEXACT in text.translate(_ONE_DIGIT) else None
    try:
        value = json.loads(text.decode(errors="replace"), object_pairs_hook=twice, parse_int=read_int)
    except (ValueError, RecursionError):
        return None
    if DYNAMIC_FIELD in value:
        return Problem("value-meta", "no $meta within $meta", "one")
    if inexact:
        return Problem("value-meta-number", "integers that a float64 holds", inexact[0])
    return twice.problem()


def keys_of(text: str | bytes) -> set[str]:
    """Return the keys of an object in JSON text; the empty set for other text."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return set()
    return set(value) if isinstance(value, dict) else set()
