"""Level bytes and value bytes of Parquet data pages (format v1) for dense vectors and nested columns.

The levels of a list of fixed length are a constant pattern: repetition levels are 0 and then dim - 1 ones for each row,
definition levels are one run. So they are written as runs, without encoding each; a generic encoder spends 4 to 6 ns a
value. Runs and their headers: Apache Parquet format, Encodings.md, "Run Length Encoding / Bit-Packing Hybrid". The row
loops release the GIL.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
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
    """Write one RLE run of a level of at most 8 bits. Return its bytes."""
    cdef Py_ssize_t n = _varint(out, count << 1)
    out[n] = level
    return n + 1


cdef inline void _length_prefix(uint8_t *out, Py_ssize_t size) noexcept nogil:
    cdef int i
    for i in range(4):
        out[i] = <uint8_t>(size >> (8 * i))


def vector_levels(Py_ssize_t n_rows, Py_ssize_t dim, const uint8_t[::1] validity):
    """Return repetition (max 1) and definition (max 3) levels of an optional list of ``dim`` optional elements a row.

    ``validity``: (n_rows,) uint8, 0 for a null list; None: no nulls. Each kind of levels follows its 4-byte length, in
    the order of a v1 data page. Raises ValueError for dim below 1 or validity of another length.
    Python twin: tests/support/oracles/pages.py (vector_levels, hybrid_decode)
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


def list_levels(const int64_t[::1] counts, const uint8_t[::1] validity, Py_ssize_t dim, int max_def):
    """Return repetition and definition levels of lists of any length, as ``vector_levels``.

    ``counts``: (n,) int64, elements a row. ``validity``: (n,) uint8, 0 for a null, which has no elements; None: no
    nulls. ``dim``: elements of the list that each element is; 0: elements are values. ``max_def``: definition level of
    a value. Raises ValueError for a null with elements.
    Python twin: tests/support/oracles/pages.py (list_levels, hybrid_decode)
    """
    cdef Py_ssize_t i, n_rows = counts.shape[0], at = 4, rep_end, total = 0
    cdef int64_t k
    cdef uint64_t run = 0
    cdef uint8_t level, previous = 0
    cdef Py_ssize_t per_element = 24 if dim else 0
    if dim < 0 or max_def < 1 or (validity is not None and validity.shape[0] != n_rows):
        raise ValueError("validity must have one entry a row, dim and max_def must be positive")
    for i in range(n_rows):
        if counts[i] < 0 or (counts[i] > 0 and validity is not None and not validity[i]):
            raise ValueError("a null row has no elements")
        total += counts[i]
    out = bytearray(8 + 48 * n_rows + per_element * total + 48)
    cdef uint8_t[::1] view = out
    with nogil:
        for i in range(n_rows):
            if dim == 0:
                at += _run(&view[at], 1, 0)
                if counts[i] > 1:
                    at += _run(&view[at], counts[i] - 1, 1)
                continue
            for k in range(max(counts[i], 1)):
                at += _run(&view[at], 1, 1 if k else 0)
                if counts[i] and dim > 1:
                    at += _run(&view[at], dim - 1, 2)
        _length_prefix(&view[0], at - 4)
        rep_end = at
        at += 4
        for i in range(n_rows):
            level = max_def if counts[i] else (0 if validity is not None and not validity[i] else 1)
            if run and level != previous:
                at += _run(&view[at], run, previous)
                run = 0
            previous = level
            run += <uint64_t>counts[i] * (dim if dim else 1) if counts[i] else 1
        if run:
            at += _run(&view[at], run, previous)
        _length_prefix(&view[rep_end], at - rep_end - 4)
    del view
    return bytes(memoryview(out)[:at])


def text_counts_into(const int32_t[::1] offsets, const uint8_t[::1] data, int64_t[::1] out):
    """Count the texts of each row of packed arrays into ``out`` (n,) int64. A text is its length in 4 bytes, and UTF-8.

    Raises ValueError for bytes that are not packed texts.
    Python twin: tests/support/oracles/pages.py (text_counts)
    """
    cdef Py_ssize_t i, at, end, n_rows = offsets.shape[0] - 1
    cdef uint32_t size
    cdef bint is_good = True
    if out.shape[0] != n_rows:
        raise ValueError("out must have one entry a row")
    with nogil:
        for i in range(n_rows):
            at, end = offsets[i], offsets[i + 1]
            out[i] = 0
            while at + 4 <= end:
                memcpy(&size, &data[at], 4)
                at += 4 + <Py_ssize_t>size
                out[i] += 1
            is_good = is_good and at == end
    if not is_good:
        raise ValueError("packed texts do not fill their row")


def struct_part_into(const int32_t[::1] offsets, const uint8_t[::1] data, const uint8_t[::1] validity,
                     const int64_t[::1] widths, Py_ssize_t part, int64_t[::1] counts, uint8_t[::1] out):
    """Gather sub-field ``part`` of packed struct arrays, row behind row, in ``out``. Return the bytes used.

    ``widths``: (parts,) int64, bytes of each sub-field, 0 for text. ``counts``: (n,) int64, written: elements a row.
    Raises ValueError for bytes that are not packed structs.
    Python twin: tests/support/oracles/pages.py (struct_parts)
    """
    cdef Py_ssize_t i, j, _k, at, end, start, used = 0, n_rows = offsets.shape[0] - 1, n_parts = widths.shape[0]
    cdef uint32_t count, size
    cdef bint is_good = True
    if counts.shape[0] != n_rows or not 0 <= part < n_parts or out.shape[0] < offsets[n_rows] - offsets[0]:
        raise ValueError("counts and out must hold all rows")
    with nogil:
        for i in range(n_rows):
            at, end = offsets[i], offsets[i + 1]
            counts[i] = 0
            if at == end:
                continue
            if end - at < 4:
                is_good = False
                continue
            memcpy(&count, &data[at], 4)
            at += 4
            counts[i] = count
            for j in range(n_parts):
                start = at
                if widths[j]:
                    at += <Py_ssize_t>count * widths[j]
                else:
                    for _k in range(count):
                        if at + 4 > end:
                            is_good = False
                            break
                        memcpy(&size, &data[at], 4)
                        at += 4 + <Py_ssize_t>size
                if at > end or not is_good:
                    is_good = False
                    break
                if j == part and at > start:
                    memcpy(&out[used], &data[start], at - start)
                    used += at - start
            is_good = is_good and at == end
    if not is_good:
        raise ValueError("packed structs do not fill their row")
    return used
