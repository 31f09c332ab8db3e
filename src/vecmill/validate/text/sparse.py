"""Sparse vectors as the server reads them from JSON: stricter and laxer than the writers' own reader."""

from __future__ import annotations

import re
from typing import Any

from vecmill.types.kind import FLOAT32_MAX
from vecmill.types.sparse import MAX_INDEX
from vecmill.validate.findings import Problem

_DECIMAL = re.compile(r"0|[1-9]\d{0,9}", re.ASCII)
# What Go's ParseUint takes with base 0, and means something else than its digits.
_OTHER_BASE = re.compile(r"0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO]?[0-7_]+|[1-9]\d*(?:_\d+)+", re.ASCII)


def sparse_problem(value: Any) -> Problem | None:
    """Look at a decoded value: it may be no sparse vector, or not the one that arrives."""
    if not isinstance(value, dict):
        return _wrong("an object", f"a {type(value).__name__}")
    lists = [key for key in ("indices", "values") if isinstance(value.get(key), list)]
    if len(lists) == 1:
        return _wrong("both indices and values", f"{lists[0]} only")
    if lists:
        keys, numbers = value["indices"], value["values"]
        if len(keys) != len(numbers):
            return _wrong("as many indices as values", f"{len(keys)} indices, {len(numbers)} values")
        return _indices(keys) or _values(numbers)
    return _keys(list(value)) or _values(list(value.values()))


def _wrong(expected: str, got: str) -> Problem:
    return Problem("value-sparse", expected, got)


def _indices(indices: list[Any]) -> Problem | None:
    seen = set()
    for index in indices:
        if isinstance(index, bool) or not isinstance(index, int):
            return _wrong("integers as indices", repr(index)[:60])
        if index < 0 and index != -1:
            return Problem("value-sparse-index", "indices of at least 0", str(index)[:60])
        if index == -1 or index > MAX_INDEX:
            return _wrong(f"indices of at most {MAX_INDEX}", str(index)[:60])
        if index in seen:
            return _wrong("each index once", f"{index} twice")
        seen.add(index)
    return None


def _keys(keys: list[str]) -> Problem | None:
    for key in keys:
        if _DECIMAL.fullmatch(key):
            if int(key) > MAX_INDEX:
                return _wrong(f"indices of at most {MAX_INDEX}", key)
        elif _OTHER_BASE.fullmatch(key):
            return Problem("value-sparse-index", "decimal numbers as indices", repr(key[:60]))
        else:
            return _wrong("decimal numbers as indices", repr(key[:60]))
    return None


def _values(values: list[Any]) -> Problem | None:
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return _wrong("numbers as values", repr(value)[:60])
        if not 0 <= value <= FLOAT32_MAX:
            return _wrong("values from 0 to the largest float32", repr(value)[:60])
    return None
