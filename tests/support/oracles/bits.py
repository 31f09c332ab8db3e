"""Twins of native/bits.pyx, with the names, arguments and results of the kernels."""

from __future__ import annotations

from typing import Any


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
