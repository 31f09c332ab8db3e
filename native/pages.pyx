"""Level bytes and value bytes of Parquet data pages (format v1) for dense vectors and flat columns.

The levels of a fixed-length list are a constant pattern, which is why these pages cost no encoding: repetition levels
are (0, then dim - 1 ones) for each row, definition levels one run. A generic encoder spends 4 to 6 ns a value on them.
Hybrid RLE runs and their headers: Apache Parquet format, Encodings.md, "Run Length Encoding / Bit-Packing Hybrid".
Oracle: ``tests/oracles.py`` (``hybrid_decode`` and the level lists). GIL released over the row loops.
"""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy


cdef inline Py_ssize_t _varint(uint8_t *out, uint64_t value) noexcept nogil:
    cdef Py_ssize_t n = 0
    while value >= 0x80:
        out[n] = <uint8_t>(value | 0x80)
        value >>= 7
        n += 1
    out[n] = <uint8_t>value
    return n + 1


cdef inline Py_ssize_t _run(uint8_t *out, uint64_t count, uint8_t level) noexcept nogil:
    """One RLE run of a level of at most 8 bits."""
    cdef Py_ssize_t n = _varint(out, count << 1)
    out[n] = level
    return n + 1


cdef inline void _length_prefix(uint8_t *out, Py_ssize_t size) noexcept nogil:
    cdef int i
    for i in range(4):
        out[i] = <uint8_t>(size >> (8 * i))


def vector_levels(Py_ssize_t n_rows, Py_ssize_t dim, const uint8_t[::1] validity):
    """Repetition (max 1) and definition (max 3) levels of an optional list of ``dim`` optional elements a row.

    ``validity``: 0/1 a row, a null row being a null list; None for all valid. Returns both, each with its 4-byte
    length in front, in the order of a v1 data page.
    """
    cdef Py_ssize_t i, k, start, at = 4, n_pattern = 0, rep_end, n_values
    cdef uint8_t pattern[24]
    if dim < 1:
        raise ValueError("dim must be at least 1")
    if validity is not None and validity.shape[0] != n_rows:
        raise ValueError("validity must have one entry a row")
    n_pattern = _run(pattern, 1, 0)
    if dim > 1:
        n_pattern += _run(pattern + n_pattern, dim - 1, 1)
    out = bytearray(8 + n_rows * n_pattern + 22 * (2 if validity is None else n_rows + 2))
    cdef uint8_t[::1] view = out
    with nogil:
        if dim == 1:
            at += _run(&view[at], n_rows, 0)
        else:
            for i in range(n_rows):
                # A null list still has one level entry, a repetition level of 0.
                k = 2 if validity is not None and not validity[i] else n_pattern
                memcpy(&view[at], pattern, k)
                at += k
        _length_prefix(&view[0], at - 4)
        rep_end = at
        at += 4
        if validity is None:
            at += _run(&view[at], <uint64_t>n_rows * dim, 3)
        else:
            start = 0
            for i in range(1, n_rows + 1):
                if i == n_rows or (validity[i] != 0) != (validity[start] != 0):
                    n_values = i - start
                    if validity[start]:
                        n_values *= dim
                    at += _run(&view[at], n_values, 3 if validity[start] else 0)
                    start = i
        _length_prefix(&view[rep_end], at - rep_end - 4)
    del view
    return bytes(memoryview(out)[:at])
