"""A dense vector in text: lists of numbers, and what some program writes in their place."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vecmill.schema.fields import FieldSchema
from vecmill.sources.text.lists import numbers_of

_HEX = re.compile(r"(?:\\x|0x)?((?:[0-9a-fA-F]{2})+)")
_WRAPPED = re.compile(r"(?:np|numpy)\.\w+\(([^()]*)\)|tensor\(|array\(|, dtype=[\w.']+\)?|, device='[^']*'")


class Unread(Exception):  # noqa: N818  a signal: the caller knows the row
    """A value that no form of its field fits. ``expected``: None stands for what the field takes, in its own words."""

    def __init__(self, expected: str | None = None, got: str | None = None) -> None:
        super().__init__(expected, got)
        self.expected, self.got = expected, got


def shown(text: str) -> str:
    """Return a text for messages."""
    return repr(text if len(text) <= 40 else f"{text[:37]}...")


def vector_of(field: FieldSchema, value: Any, *, lenient: bool = False) -> Any:
    """Return a dense vector as an ndarray: float32 (dim,), int64 (dim,), or the packed bytes of bits.

    Taken are lists of numbers, and what some program writes in their place: text of a list, with or without brackets;
    base64 or hexadecimal text of the bytes; objects with the keys "0", "1", ...; Node's Buffer; Spark's VectorUDT.
    Raises Unread.
    """
    if isinstance(value, Mapping):
        value = _list_of_object(field, value)
    if isinstance(value, str):
        value = _list_of_text(field, value)
    if isinstance(value, bytes):
        return _vector_of_bytes(field, value)
    if not isinstance(value, list | tuple) or not all(type(one) in (int, float) for one in value):
        raise Unread(None, shown(value) if isinstance(value, str) else None)
    return _vector_of_numbers(field, value, lenient)


def _vector_of_numbers(field: FieldSchema, numbers: Sequence[int | float], lenient: bool) -> Any:
    dim, kind = field.dim or 0, field.kind
    if kind.is_bits:
        return _bits(numbers, dim, lenient)
    if kind.is_half and len(numbers) == 2 * dim and _are_bytes(numbers):
        return _vector_of_bytes(field, bytes(numbers))  # type: ignore[arg-type]
    if len(numbers) != dim:
        raise Unread(None, f"{len(numbers)} of them")
    if kind.floats is not None:
        return np.array(numbers, np.float64).astype(np.float32)
    low, high = kind.limits or (0, 0)
    if lenient:
        numbers = [round(one) for one in numbers]
    if any(int(one) != one or not low <= one <= high for one in numbers):
        raise Unread
    return np.array(numbers, np.int64)


def _are_bytes(numbers: Sequence[int | float]) -> bool:
    return all(type(one) is int and 0 <= one <= 255 for one in numbers)


def _bits(numbers: Sequence[int | float], dim: int, lenient: bool) -> Any:
    if len(numbers) == dim and all(type(one) is int and one in (0, 1) for one in numbers):
        return np.packbits(np.array(numbers, np.uint8)).astype(np.int64)
    if 8 * len(numbers) == dim and _are_bytes(numbers):
        return np.array(numbers, np.int64)
    if lenient and len(numbers) == dim:
        return np.packbits(np.array(numbers) > 0).astype(np.int64)
    raise Unread(None, f"{len(numbers)} of them")


def _n_bytes(field: FieldSchema) -> int:
    return field.row_nbytes or 0


def _vector_of_bytes(field: FieldSchema, raw: bytes) -> Any:
    kind = field.kind
    if len(raw) != _n_bytes(field):
        raise Unread(None, f"{len(raw)} bytes, not {_n_bytes(field)}")
    if kind.is_bits:
        return np.frombuffer(raw, np.uint8).astype(np.int64)
    if kind.floats is None:
        return np.frombuffer(raw, np.int8).astype(np.int64)
    if not kind.is_half:
        return np.frombuffer(raw, "<f4").astype(np.float32)
    if kind.dtype.name.startswith("BFLOAT16"):
        return (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32)
    return np.frombuffer(raw, "<f2").astype(np.float32)


def _list_of_object(field: FieldSchema, value: Mapping[str, Any]) -> Any:
    if value.get("type") == "Buffer" and isinstance(value.get("data"), list) and len(value) == 2:
        try:
            return bytes(value["data"])
        except (ValueError, TypeError):
            raise Unread from None
    if value.keys() <= {"type", "size", "indices", "values"} and {"type", "values"} <= value.keys():
        return _of_vector_udt(field, value)
    try:
        found = [value[str(i)] for i in range(len(value))]
    except KeyError:
        raise Unread(None, f"an object with the keys {', '.join(map(repr, list(value)[:4]))}") from None
    return found


def _of_vector_udt(field: FieldSchema, value: Mapping[str, Any]) -> list[float]:
    """Spark's vector: type 1 is dense, type 0 has indices."""
    if value["type"] == 1:
        return list(value["values"])
    size, indices, numbers = field.dim or 0, value.get("indices"), value["values"]
    if value["type"] != 0 or value.get("size") != size or not isinstance(indices, list) or len(indices) != len(numbers):
        raise Unread
    out = [0.0] * size
    for i, number in zip(indices, numbers, strict=True):
        if type(i) is not int or not 0 <= i < size:
            raise Unread
        out[i] = number
    return out


def _list_of_text(field: FieldSchema, text: str) -> Any:
    """Return the numbers or bytes that a text stands for."""
    plain = text.strip()
    if "..." in plain:
        raise Unread(None, f"{shown(text)}: values are gone where '...' stands")
    found = numbers_of(plain)
    if found is not None:
        return found
    dim = field.dim or 0
    if field.kind.is_bits and len(plain) == dim and set(plain) <= {"0", "1"}:
        return [int(char) for char in plain]
    unwrapped = _WRAPPED.sub(lambda match: match[1] or "", plain).rstrip(")") if "(" in plain[1:] else plain
    found = numbers_of(unwrapped) if unwrapped != plain else numbers_of(f"[{plain}]")
    if found is not None and len(found) > 1:
        return found
    if plain[:1] == "{":
        try:
            value = json.loads(plain)
        except (ValueError, RecursionError):
            raise Unread(None, shown(text)) from None
        return _list_of_object(field, value) if isinstance(value, Mapping) else value
    return _bytes_in(plain, _n_bytes(field))


def _bytes_in(plain: str, n_bytes: int) -> bytes:
    """Return the bytes of hexadecimal or base64 text."""
    in_hex = _HEX.fullmatch(plain)
    if in_hex and len(in_hex[1]) == 2 * n_bytes:
        return bytes.fromhex(in_hex[1])
    if len(plain.rstrip("=")) == -(-4 * n_bytes // 3):
        try:
            raw = plain.rstrip("=").translate({45: 43, 95: 47})
            return base64.b64decode(raw + "=" * (-len(raw) % 4), validate=True)
        except (binascii.Error, ValueError):
            pass  # it is no base64, and refused below
    raise Unread(None, shown(plain))
