"""Twins of native/crc64.pyx, with the names, arguments and results of the kernels."""

from __future__ import annotations

from typing import Any

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
