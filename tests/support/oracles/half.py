"""Twins of native/half.pyx, with the names, arguments and results of the kernels."""

from __future__ import annotations

import math
import struct
from fractions import Fraction
from typing import Any


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
