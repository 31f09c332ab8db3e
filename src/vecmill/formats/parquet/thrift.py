"""The part of Thrift's compact protocol that Parquet metadata needs, as bytes in and bytes out.

Source: Apache Thrift, doc/specs/thrift-compact-protocol.md. A struct is built from (field id, encoded value) pairs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

_BOOL_TRUE, _BOOL_FALSE, _BYTE, _I16, _I32, _I64, _BINARY, _LIST, _STRUCT = 1, 2, 3, 4, 5, 6, 8, 9, 12


class Value(NamedTuple):
    """An encoded value and its compact type."""

    kind: int
    data: bytes


def varint(number: int) -> bytes:
    """Encode an unsigned integer, 7 bits a byte, low bits first."""
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _zigzag(number: int) -> bytes:
    return varint(number << 1 if number >= 0 else (-number << 1) - 1)


def i8(number: int) -> Value:
    """Encode a byte."""
    return Value(_BYTE, bytes([number & 0xFF]))


def i16(number: int) -> Value:
    """Encode a 16-bit integer."""
    return Value(_I16, _zigzag(number))


def i32(number: int) -> Value:
    """Encode a 32-bit integer or an enum."""
    return Value(_I32, _zigzag(number))


def i64(number: int) -> Value:
    """Encode a 64-bit integer."""
    return Value(_I64, _zigzag(number))


def boolean(flag: bool) -> Value:
    """Encode a bool: its value is in its type."""
    return Value(_BOOL_TRUE if flag else _BOOL_FALSE, b"")


def binary(data: bytes | str) -> Value:
    """Encode bytes or text."""
    raw = data.encode() if isinstance(data, str) else data
    return Value(_BINARY, varint(len(raw)) + raw)


def sequence(values: Sequence[Value]) -> Value:
    """Encode a list of values of one kind; an empty list is one of structs."""
    kind, n = values[0].kind if values else _STRUCT, len(values)
    head = bytes([n << 4 | kind]) if n < 15 else bytes([0xF0 | kind]) + varint(n)
    return Value(_LIST, head + b"".join(value.data for value in values))


def struct(fields: Iterable[tuple[int, Value]] = ()) -> Value:
    """Encode a struct from (field id, value) in ascending order of ids."""
    out = bytearray()
    last = 0
    for number, (kind, data) in fields:
        delta = number - last
        if 0 < delta <= 15:
            out.append(delta << 4 | kind)
        else:
            out.append(kind)
            out += _zigzag(number)
        out += data
        last = number
    out.append(0)
    return Value(_STRUCT, bytes(out))
