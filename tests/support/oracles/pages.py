"""Twins of native/pages.pyx: levels of Parquet pages, and parts of packed arrays and structs."""

from __future__ import annotations

import struct
from collections.abc import Sequence


def hybrid_decode(data: bytes, bit_width: int, n: int) -> list[int]:
    """Decode ``n`` values of the RLE / bit-packing hybrid (Parquet's Encodings.md); nothing may be left over."""
    values: list[int] = []
    at = 0
    while len(values) < n:
        header = shift = 0
        while True:
            header |= (data[at] & 0x7F) << shift
            shift += 7
            at += 1
            if not data[at - 1] & 0x80:
                break
        if header & 1:
            size = (header >> 1) * bit_width
            bits = int.from_bytes(data[at : at + size], "little")
            values += [bits >> (i * bit_width) & ((1 << bit_width) - 1) for i in range((header >> 1) * 8)]
            at += size
        else:
            size = (bit_width + 7) // 8
            values += [int.from_bytes(data[at : at + size], "little")] * (header >> 1)
            at += size
    if at != len(data):
        raise ValueError("bytes left over")
    return values[:n]


def vector_levels(validity: Sequence[int], dim: int) -> tuple[list[int], list[int]]:
    """Repetition and definition levels of an optional list of ``dim`` optional elements a row."""
    repetition: list[int] = []
    definition: list[int] = []
    for valid in validity:
        repetition += [0] + [1] * (dim - 1 if valid else 0)
        definition += [3] * dim if valid else [0]
    return repetition, definition


def list_levels(
    counts: Sequence[int], validity: Sequence[int] | None, dim: int, max_def: int
) -> tuple[list[int], list[int]]:
    """Levels of lists of any length; with ``dim``, each element is a list of so many itself."""
    repetition, definition = [], []
    for row, count in enumerate(counts):
        if count == 0:
            repetition.append(0)
            definition.append(1 if validity is None or validity[row] else 0)
        for element in range(count):
            for inner in range(max(1, dim)):
                repetition.append(2 if inner else 1 if element else 0)
                definition.append(max_def)
    return repetition, definition


def text_counts(packed: bytes) -> int:
    """Return the number of texts in packed bytes: each a length in four bytes, and its UTF-8."""
    count = 0
    while packed:
        (size,) = struct.unpack_from("<I", packed)
        packed = packed[4 + size :]
        count += 1
    return count


def struct_parts(packed: bytes, widths: Sequence[int]) -> list[list[bytes]]:
    """Return the elements of each sub-field of one packed struct array; width 0 is text, kept with its length."""
    if not packed:
        return [[] for _ in widths]
    (count,) = struct.unpack_from("<I", packed)
    at, parts = 4, []
    for width in widths:
        part = []
        for _ in range(count):
            size = width or 4 + struct.unpack_from("<I", packed, at)[0]
            part.append(packed[at : at + size])
            at += size
        parts.append(part)
    return parts
