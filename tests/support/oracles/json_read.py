"""Twins of native/json_read.pyx: where rows and values stand in JSON text."""

from __future__ import annotations

import json


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


def json_rest(line: bytes, names: list[str]) -> dict[str, object]:
    """``ObjectWalker.walk`` of one row: the members that are not wanted."""
    return {name: value for name, value in json.loads(line).items() if name not in names}


def element_at(value: object, index: int) -> object:
    """``elements_at`` of one value: an array, or null."""
    return value[index] if isinstance(value, list) and index < len(value) else None


def kind_of(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    kinds = {type(None): "null", int: "int", float: "float", str: "string", list: "array", dict: "object"}
    return kinds[type(value)]


def count_lines(raw: bytes) -> int:
    """Return the number of line feeds."""
    return raw.count(b"\n")


def value_end(raw: bytes, start: int) -> tuple[int, str] | None:
    """Return (byte behind the value at ``start``, its kind); None: no value."""
    try:
        value, end = json.JSONDecoder().raw_decode(raw[start:].decode())
    except ValueError:
        return None
    return start + len(raw[start:].decode()[:end].encode()), kind_of(value)


def split_lines(raw: bytes) -> list[bytes]:
    """Return the lines that hold more than blanks."""
    return [line for line in raw.split(b"\n") if line.strip(b" \t\r")]


def split_elements(raw: bytes) -> list[object]:
    """Return the elements of an array."""
    return list(json.loads(raw))
