"""Slow, obvious Python twins of the compiled kernels: what a kernel must do, told by code that anyone can check."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

# ---- Column buffers (native/columns.pyx) -----------------------------------------------------------------------------

OK, FULL, REFUSED, MISSING, UNKNOWN_KEY = range(5)
_INTEGERS = {"int8": "<b", "int16": "<h", "int32": "<i", "int64": "<q"}
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
    refuse_nul: bool = False
    refuse_crlf: bool = False
    null_text: bytes | None = None
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
        refused = (column.refuse_nul and "\0" in value) or (column.refuse_crlf and "\r\n" in value)
        return None if too_long or refused or raw == column.null_text else raw
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
    if kind == "int8_vector":
        return _scalar("int8", item)
    return None if isinstance(item, bool) else half_bytes(kind, float(item))


def _scalar(kind: str, value: Any) -> bytes | None:
    if kind == "bool":
        return struct.pack("?", value) if isinstance(value, bool) else None
    if isinstance(value, bool):
        return None
    if kind in _INTEGERS:
        return struct.pack(_INTEGERS[kind], value) if isinstance(value, int) else None
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


# ---- Text (native/text.pyx) ------------------------------------------------------------------------------------------

FINE, TOO_LONG, HAS_NUL, NOT_UTF8, SURROGATE, NO_ROOM, HAS_CRLF, IS_NULL_TEXT = range(8)


def values_of(offsets: Sequence[int], data: bytes) -> list[bytes]:
    """Return the values of a text column."""
    return [data[start:stop] for start, stop in pairwise(offsets)]


def check_text(
    offsets: Sequence[int], data: bytes, max_bytes: int, refuse_nul: bool, refuse_crlf: bool = False,
    null_text: bytes | None = None, validity: Sequence[int] | None = None,
) -> tuple[int, int]:  # fmt: skip
    """First value that is too long, holds U+0000 or is not UTF-8; else the first with CR LF or that is null text."""
    for row, raw in enumerate(values_of(offsets, data)):
        if 0 <= max_bytes < len(raw):
            return row, TOO_LONG
        if refuse_nul and b"\0" in raw:
            return row, HAS_NUL
        try:
            raw.decode("utf-8")
        except UnicodeDecodeError:
            return row, NOT_UTF8
    for row, raw in enumerate(values_of(offsets, data)):
        if refuse_crlf and b"\r\n" in raw:
            return row, HAS_CRLF
        if raw == null_text and (validity is None or validity[row]):
            return row, IS_NULL_TEXT
    return -1, FINE


def longest_codepoints(offsets: Sequence[int], data: bytes) -> int:
    """Code points of the longest value."""
    return max((len(raw.decode()) for raw in values_of(offsets, data)), default=0)


def plain_byte_array(values: Sequence[bytes], validity: Sequence[int] | None) -> bytes:
    """Parquet's PLAIN BYTE_ARRAY: a uint32 length and the bytes, null rows left out."""
    kept = [raw for i, raw in enumerate(values) if validity is None or validity[i]]
    return b"".join(len(raw).to_bytes(4, "little") + raw for raw in kept)


def ucs4_from_plain(plain: bytes, n: int, width: int) -> tuple[list[list[int]], int]:
    """``n`` PLAIN values as zero-padded code points, and the bytes of ``plain`` consumed. Raises ValueError."""
    rows, at = [], 0
    for _ in range(n):
        size = int.from_bytes(plain[at : at + 4], "little")
        if at + 4 > len(plain) or at + 4 + size > len(plain):
            raise ValueError("cut off")
        points = [ord(c) for c in plain[at + 4 : at + 4 + size].decode()]
        if len(points) > width:
            raise ValueError("too wide")
        rows.append(points + [0] * (width - len(points)))
        at += 4 + size
    return rows, at


def utf8_from_ucs4(rows: Sequence[Sequence[int]], room: int, refuse_nul: bool) -> tuple[list[bytes], int]:
    """Zero-padded code points as UTF-8, up to the first row that cannot be taken, and why it cannot."""
    taken: list[bytes] = []
    for points in rows:
        text = list(points)
        while text and text[-1] == 0:
            text.pop()
        raw, left = b"", room - sum(map(len, taken))
        for point in text:
            if 0xD800 <= point <= 0xDFFF or point > 0x10FFFF:
                return taken, SURROGATE
            raw += chr(point).encode()
            if len(raw) > left:
                return taken, NO_ROOM
        if refuse_nul and 0 in text:
            return taken, HAS_NUL
        taken.append(raw)
    return taken, FINE


# ---- Parquet levels (native/pages.pyx) -------------------------------------------------------------------------------


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


# ---- Bits (native/bits.pyx) ------------------------------------------------------------------------------------------
# This section and the next three: same names, arguments and results as the kernels.


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


def pack_bits_into(matrix: Any, out: Any) -> int:
    """Pack (n, dim) zeros and ones, first column highest; -1 or the flat index of the first that is neither."""
    for row in range(matrix.shape[0]):
        for column in range(0, matrix.shape[1], 8):
            byte = 0
            for k in range(8):
                bit = int(matrix[row, column + k])
                if bit > 1:
                    return row * matrix.shape[1] + column + k
                byte = byte << 1 | bit
            out[row, column // 8] = byte
    return -1


# ---- CRC-64/NVME (native/crc64.pyx) ----------------------------------------------------------------------------------

_ONES = 2**64 - 1
_POLYNOMIAL = 0x9A6C9329AC4BC9B5  # reflected


def _shift_one_bit(crc: int) -> int:
    return crc >> 1 ^ (_POLYNOMIAL if crc & 1 else 0)


def crc64nvme(data: Any, crc: int = 0) -> int:
    """Go on from ``crc`` one bit at a time, the register inverted before and after."""
    crc ^= _ONES
    for byte in memoryview(data).tobytes():
        crc ^= byte
        for _ in range(8):
            crc = _shift_one_bit(crc)
    return crc ^ _ONES


def crc64nvme_combine(crc_a: int, crc_b: int, len_b: int) -> int:
    """Carry ``crc_a`` over ``len_b`` zero bytes."""
    for _ in range(8 * len_b):
        crc_a = _shift_one_bit(crc_a)
    return crc_a ^ crc_b


# ---- Narrow floats (native/half.pyx) ---------------------------------------------------------------------------------


def round_float(value: float, exponent_bits: int, mantissa_bits: int) -> int:
    """Bits of the IEEE float of that layout nearest to ``value`` (ties to even), computed with exact fractions."""
    sign = int(math.copysign(1, value) < 0) << (exponent_bits + mantissa_bits)
    infinity = (2**exponent_bits - 1) << mantissa_bits
    if math.isnan(value):
        return sign | infinity | 1 << (mantissa_bits - 1)
    if math.isinf(value):
        return sign | infinity
    lowest_exponent = 2 - 2 ** (exponent_bits - 1)  # of the normal numbers, and of all subnormal ones
    exponent = max(math.frexp(value)[1] - 1, lowest_exponent) if value else lowest_exponent
    steps = round(abs(Fraction(value)) / Fraction(2) ** (exponent - mantissa_bits))  # of a Fraction: half to even
    return sign | min(((exponent - lowest_exponent) << mantissa_bits) + steps, infinity)


def _round_into(src: Any, out: Any, exponent_bits: int, mantissa_bits: int) -> int:
    infinity = (2**exponent_bits - 1) << mantissa_bits
    for i, value in enumerate(src):
        bits = round_float(float(value), exponent_bits, mantissa_bits)
        if bits & infinity == infinity:
            return i
        out[i] = bits if mantissa_bits < 23 else struct.unpack("<f", struct.pack("<I", bits))[0]
    return -1


def float32_to_float16_into(src: Any, out: Any) -> int:
    return _round_into(src, out, 5, 10)


def float32_to_bfloat16_into(src: Any, out: Any) -> int:
    return _round_into(src, out, 8, 7)


def float64_to_float16_into(src: Any, out: Any) -> int:
    return _round_into(src, out, 5, 10)


def float64_to_bfloat16_into(src: Any, out: Any) -> int:
    return _round_into(src, out, 8, 7)


def float64_to_float32_into(src: Any, out: Any) -> int:
    return _round_into(src, out, 8, 23)


def float16_finite(values: Any) -> int:
    return next((i for i, bits in enumerate(values) if int(bits) & 0x7C00 == 0x7C00), -1)


def bfloat16_finite(values: Any) -> int:
    return next((i for i, bits in enumerate(values) if int(bits) & 0x7F80 == 0x7F80), -1)


def float32_finite(values: Any) -> int:
    return next((i for i, value in enumerate(values) if not math.isfinite(value)), -1)


def float64_finite(values: Any) -> int:
    return float32_finite(values)


# ---- NPY headers (native/npy.pyx) ------------------------------------------------------------------------------------


def npy_header(descr: str, shape: Sequence[int], reserve: int = 21) -> bytes:
    """Write version 1.0; the spaces leave room for the row count to grow, then for the data to start at a 64th byte."""
    shape = tuple(int(dim) for dim in shape)
    text = str({"descr": descr, "fortran_order": False, "shape": shape})[:-1] + ", }"
    if shape:
        text += " " * (reserve - len(str(shape[0])))
    text += " "  # NumPy pads a header that is aligned already by another 64
    while (10 + len(text) + 1) % 64:
        text += " "
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) + 1) + text.encode() + b"\n"


def patch_row_count(header: Any, n_rows: int) -> None:
    """Replace the first number of the shape, and keep the length."""
    view = memoryview(header).cast("B")
    length = struct.unpack_from("<H", view, 8)[0]
    before, key, after = bytes(view[10 : 10 + length]).decode("latin1").rpartition("'shape': (")
    rest = after[after.index(",") :].rstrip()
    view[10 : 10 + length] = f"{before}{key}{n_rows}{rest}".ljust(length - 1).encode("latin1") + b"\n"


# -- scan


def scan_ucs4(rows: Sequence[Sequence[int]]) -> tuple[list[int | None], list[int]]:
    """Return (bytes of UTF-8, flags) of zero-padded rows of code points; bytes None where a row is no text."""
    sizes: list[int | None] = []
    flags: list[int] = []
    for row in rows:
        text = list(row)
        while text and text[-1] == 0:
            text.pop()
        wrong = any(c > 0x10FFFF or 0xD800 <= c <= 0xDFFF for c in text)
        # The server drops zeros in the middle, so they are not counted.
        sizes.append(None if wrong else len("".join(chr(c) for c in text if c).encode()))
        flags.append((1 if 0 in text else 0) | (2 if wrong else 0))
    return sizes, flags


def is_json(text: bytes) -> bool:
    """Return True if ``text`` is one JSON value and blanks, as Go's encoding/json reads it. Strings may hold any bytes.

    What it reads as a number has to be a finite float64."""
    import json
    import math
    import re

    def refuse(name: str) -> None:
        raise ValueError(name)

    def as_float(number: str) -> float:
        return float(number) if math.isfinite(float(number)) else refuse(number)

    # Latin-1 gives every byte a character of its own. Python takes U+007F..U+00FF in strings and nowhere else, too.
    decoded = text.decode("latin-1")
    if re.match(r"[^ \t\r\n\"\[\]{}tfn0-9-]", decoded):
        return False
    try:
        json.loads(decoded, parse_constant=refuse, parse_float=as_float, parse_int=as_float)
    except ValueError:
        return False
    return True
