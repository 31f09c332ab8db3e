"""Pack binary vectors: one byte per bit in, one bit per bit out, checked in the same pass."""

from libc.stdint cimport uint8_t

cdef extern from "bits.h" nogil:
    Py_ssize_t vm_pack_bits(const uint8_t *src, uint8_t *dst, Py_ssize_t n_bytes_out) noexcept


def pack_bits_into(const uint8_t[:, ::1] matrix not None, uint8_t[:, ::1] out not None):
    """Pack a matrix of 0 and 1 into bits, big bit order (column 0 is the highest bit of byte 0).

    ``matrix``: (n, dim) uint8 or bool, C-contiguous, may be read-only, dim a multiple of 8. ``out``: (n, dim // 8)
    uint8, C-contiguous, writable, not overlapping ``matrix``. The GIL is released once.

    Return -1, or the flat index ``row * dim + column`` of the first element that is neither 0 nor 1; ``out`` is then
    unspecified. Raises ValueError for a wrong dtype, shape or layout.
    Python twin: tests/support/oracles/bits.py (pack_bits_into)
    """
    cdef Py_ssize_t n = matrix.shape[0], dim = matrix.shape[1], bad
    if dim % 8:
        raise ValueError(f"dim must be a multiple of 8, got {dim}")
    if out.shape[0] != n or out.shape[1] != dim // 8:
        raise ValueError(f"out must have shape ({n}, {dim // 8}), got ({out.shape[0]}, {out.shape[1]})")
    if n == 0 or dim == 0:
        return -1
    with nogil:
        bad = vm_pack_bits(&matrix[0, 0], &out[0, 0], n * (dim // 8))
    return bad
