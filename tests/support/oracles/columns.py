"""Twins of native/columns.pyx: one Python value, or one row dict, into a column buffer."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from vecmill.encode.plan import TextRules
from vecmill.types.lookup import TYPES

OK, FULL, REFUSED, MISSING, UNKNOWN_KEY = range(5)
# Types of one element, of vectors too.
_INTEGERS = {kind.name: kind for kind in TYPES.values() if kind.encoding == "integers"}
# Bits of the mantissa with the hidden one, exponent of the smallest normal number (as math.frexp counts).
_HALVES = {"float16_vector": (11, -13, 65536.0), "bfloat16_vector": (8, -125, 2.0**128)}


@dataclass
class Column:
    """What ``ColumnBuffer`` is told about a column."""

    name: str
    kind: str
    width: int = 0
    dim: int = 0
    max_bytes: int = -1
    text_rules: TextRules = field(default_factory=TextRules)
    nullable: bool = False
    default: Any = None
    encode: Callable[[Any], str] | None = None


def put_row(columns: Sequence[Column], has_meta: bool, row: Any) -> tuple[int, list[bytes | None]]:
    """Encode one row dict: (0, the bytes of each column, None for null) or (status | column index << 8, [])."""
    if not isinstance(row, dict):
        return REFUSED | len(columns) << 8, []
    encoded = []
    for i, column in enumerate(columns):
        whole_row = has_meta and i == len(columns) - 1
        status, raw = put(column, row if whole_row else row.get(column.name))
        if status:
            return status | i << 8, []
        encoded.append(raw)
    if not has_meta and set(row) - {column.name for column in columns}:
        return UNKNOWN_KEY | len(columns) << 8, []
    return OK, encoded


def put(column: Column, value: Any) -> tuple[int, bytes | None]:
    """Encode one value: (status, bytes or None for null)."""
    value = column.default if value is None else value
    if value is None:
        return (OK, None) if column.nullable else (MISSING, None)
    try:
        raw = _encoded(column, value)
    except (TypeError, ValueError, OverflowError, struct.error):
        raw = None
    return (REFUSED, None) if raw is None else (OK, raw)


def _encoded(column: Column, value: Any) -> bytes | None:
    if column.encode is not None:
        value = column.encode(value)
    if column.kind in ("text", "json", "meta"):
        if not isinstance(value, str):
            return None
        raw = value.encode("utf-8")
        too_long = 0 <= column.max_bytes < len(raw)
        rules = column.text_rules
        refused = (rules.refuse_nul and "\0" in value) or (rules.refuse_crlf and "\r\n" in value)
        return None if too_long or refused or raw == rules.null_text else raw
    if column.dim == 0:
        return _scalar(column.kind, value)
    if isinstance(value, bytes):
        return _raw_vector(column, value)
    if len(value) != column.dim:
        return None
    if column.kind == "binary_vector":
        if any(item not in (0, 1) for item in value):
            return None
        return bytes(int("".join(str(int(b)) for b in value[i : i + 8]), 2) for i in range(0, column.dim, 8))
    parts = [_element(column.kind, item) for item in value]
    return None if None in parts else b"".join(parts)  # type: ignore[arg-type]


def _raw_vector(column: Column, value: bytes) -> bytes | None:
    if column.kind == "float_vector" or len(value) != column.width:
        return None
    if column.kind in _HALVES:
        kind = "float16" if column.kind == "float16_vector" else "bfloat16"
        for (bits,) in struct.iter_unpack("<H", value):
            exponent = 0x7C00 if kind == "float16" else 0x7F80
            if bits & exponent == exponent:
                return None
    return value


def _element(kind: str, item: Any) -> bytes | None:
    if kind == "float_vector":
        return _scalar("float", item)
    if kind in _INTEGERS:
        return _scalar(kind, item)
    return None if isinstance(item, bool) else half_bytes(kind, float(item))


def _scalar(kind: str, value: Any) -> bytes | None:
    if kind == "bool":
        return struct.pack("?", value) if isinstance(value, bool) else None
    if isinstance(value, bool):
        return None
    if kind in _INTEGERS:
        own = _INTEGERS[kind]
        is_signed = own.limits is not None and own.limits[0] < 0
        return value.to_bytes(own.itemsize, "little", signed=is_signed) if isinstance(value, int) else None
    if not isinstance(value, int | float) or not math.isfinite(float(value)):
        return None
    return struct.pack("<f" if kind == "float" else "<d", float(value))


def packed_array(item: Column, most: int, values: Any) -> bytes | None:
    """Pack the elements of an array one behind another, a text behind its length; None if the kernel must refuse."""
    if not isinstance(values, list | tuple) or len(values) > most:
        return None
    parts = []
    for value in values:
        status, raw = put(item, value)
        if status or raw is None:
            return None
        parts.append(raw if item.width else struct.pack("<I", len(raw)) + raw)
    return b"".join(parts)


def packed_structs(items: Sequence[Column], most: int, values: Any) -> bytes | None:
    """Pack a list of dicts: their number, then one sub-field after another, each as an array."""
    names = {item.name for item in items}
    if not isinstance(values, list) or len(values) > most:
        return None
    if any(not isinstance(one, dict) or set(one) != names for one in values):
        return None
    parts = [packed_array(item, most, [one[item.name] for one in values]) for item in items]
    return None if None in parts else struct.pack("<I", len(values)) + b"".join(parts)  # type: ignore[arg-type]


def half_bytes(kind: str, x: float) -> bytes | None:
    """Round a float64 to float16 or bfloat16, once, to nearest even, by exact fractions; None if not finite then."""
    digits, least, limit = _HALVES[kind]
    if not math.isfinite(x):
        return None
    unit = Fraction(2) ** (max(math.frexp(x)[1], least) - digits)
    rounded = math.copysign(float(round(Fraction(x) / unit) * unit), x)
    if abs(rounded) >= limit:
        return None
    return struct.pack("<e", rounded) if kind == "float16_vector" else struct.pack("<f", rounded)[2:]
