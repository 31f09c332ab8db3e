"""Twins of native/row_write.pyx: numbers as text, and rows of JSON and CSV."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from vecmill.types.lookup import TYPES

# Types of one element, of vectors too; of bits, a byte.
_INTEGERS = {kind.name: kind.descr for kind in TYPES.values() if kind.encoding in ("integers", "bits")}
_FLOATS = {"float": "<f", "float_vector": "<f", "double": "<d", "float16_vector": "<e", "bfloat16_vector": "<H"}
_TEXTS = ("text", "geometry", "timestamptz")
_TYPES = {"<f": np.float32, "<d": np.float64, "<e": np.float16}


def number_text(kind: str, raw: bytes) -> str:
    """Return a number as text: integers in full, floats by their shortest digits, bfloat16 by those of its float32."""
    if kind == "bool":
        return "true" if raw[0] else "false"
    if kind in _INTEGERS:
        return str(np.frombuffer(raw, _INTEGERS[kind])[0])
    if kind == "bfloat16_vector":
        return laid_out(np.frombuffer(b"\0\0" + raw, np.float32)[0])
    return laid_out(np.frombuffer(raw, _TYPES[_FLOATS[kind]])[0])


def laid_out(value: Any) -> str:
    """Write the shortest digits of a NumPy float plainly from 1e-5 up to 1e16, else with an exponent."""
    sign, digits, exponent = Decimal(np.format_float_scientific(value, unique=True, trim="-")).normalize().as_tuple()
    text = "".join(map(str, digits))
    point = len(text) + int(exponent)  # the value is 0.text * 10^point
    minus = "-" if sign else ""
    if value == 0:
        return minus + "0.0"
    if not -5 < point <= 16:
        return f"{minus}{text[0]}{'.' + text[1:] if len(text) > 1 else ''}e{point - 1}"
    if point <= 0:
        return f"{minus}0.{'0' * -point}{text}"
    return f"{minus}{text[:point].ljust(point, '0')}.{text[point:] or '0'}"


def size_of(kind: str, dim: int = 0) -> int:
    """Return the bytes of a fixed width value."""
    if kind == "bool":
        return 1
    one = np.dtype(_INTEGERS[kind]).itemsize if kind in _INTEGERS else struct.calcsize(_FLOATS[kind])
    return one * (dim // 8 if kind == "binary_vector" else dim) if kind.endswith("_vector") else one


def number_list(kind: str, raw: bytes) -> str:
    """Return numbers with commas between."""
    size = size_of(kind, 8 if kind == "binary_vector" else 1)
    return ",".join(number_text(kind, raw[i : i + size]) for i in range(0, len(raw), size))


def _elements(item: Any, raw: bytes, count: int | None) -> tuple[list[str], bytes]:
    """Take elements from packed bytes (all of them, or ``count``): their JSON, and the bytes that are left."""
    kind, dim = item[0], item[1]
    found: list[str] = []
    while raw if count is None else len(found) < count:
        if kind == "text":
            (length,) = struct.unpack_from("<I", raw)
            found.append(json.dumps(raw[4 : 4 + length].decode(), ensure_ascii=False))
            raw = raw[4 + length :]
            continue
        size = size_of(kind, dim)
        one, raw = raw[:size], raw[size:]
        found.append(f"[{number_list(kind, one)}]" if kind.endswith("_vector") else number_text(kind, one))
    return found, raw


def json_value(kind: str, dim: int, items: Sequence[Any], raw: bytes) -> str:
    """Return a value of a column as JSON; a "json" value that is no object as a string that holds it."""
    if kind in _TEXTS:
        return json.dumps(raw.decode(), ensure_ascii=False)
    if kind in ("json", "meta", "sparse"):
        text = raw.decode()
        if not text.lstrip().startswith("{"):
            return json.dumps(text, ensure_ascii=False)
        return text.translate(dict.fromkeys(range(32), " "))
    if kind == "array":
        return f"[{','.join(_elements(items[0], raw, None)[0])}]"
    if kind == "struct":
        (count,) = struct.unpack_from("<I", raw)
        raw = raw[4:]
        columns = []
        for item in items:
            found, raw = _elements(item, raw, count)
            columns.append(found)
        names = [item[2].decode() for item in items]
        rows = zip(*columns, strict=True)
        return f"[{','.join(''.join(n + v for n, v in zip(names, row, strict=True)) + '}' for row in rows)}]"
    return f"[{number_list(kind, raw)}]" if kind.endswith("_vector") else number_text(kind, raw)


def csv_cell(kind: str, dim: int, items: Sequence[Any], raw: bytes, separator: str) -> str:
    """Return a value as a cell: text quoted where RFC 4180 asks for it or if it is empty, lists and JSON always."""
    if kind in _TEXTS:
        text = raw.decode()
        quoted = not text or any(char in text for char in ('"', "\r", "\n", separator))
    elif kind in ("json", "meta", "sparse"):
        text, quoted = raw.decode().translate(dict.fromkeys(range(32), " ")), True
    else:
        plain = [(item[0], item[1], item[2].replace(b'""', b'"'), ()) for item in items]
        text = json_value(kind, dim, plain, raw)
        quoted = kind.endswith("_vector") or bool(items)
    return '"{}"'.format(text.replace('"', '""')) if quoted else text


def row_text(
    columns: Sequence[Any], values: Sequence[bytes | None], *, tail: bytes, null: bytes, separator: bytes | None = None
) -> bytes:
    """Return one row: for each column its lead and its value, then the tail. Arguments as RowText takes them."""
    out = b""
    for (kind, dim, lead, items), raw in zip(columns, values, strict=True):
        out += lead
        if raw is None:
            out += null
        elif separator is None:
            out += json_value(kind, dim, items, raw).encode()
        else:
            out += csv_cell(kind, dim, items, raw, separator.decode()).encode()
    return out + tail
