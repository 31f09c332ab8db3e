"""Rows of PostgreSQL's binary COPY as spans of a buffer, and big-endian values gathered from spans.

A row is an int16 number of fields, then each field as an int32 length (-1: null) and its bytes; a row of -1 fields ends
the data (PostgreSQL manual, COPY, "Binary Format"). Oracle: ``tests/oracles_text.py`` (``copy_rows``). Both release the
GIL.
"""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

cdef extern from *:
    """
    #define vm_swap16(x) __builtin_bswap16(x)
    #define vm_swap32(x) __builtin_bswap32(x)
    #define vm_swap64(x) __builtin_bswap64(x)
    """
    uint16_t vm_swap16(uint16_t x) noexcept nogil
    uint32_t vm_swap32(uint32_t x) noexcept nogil
    uint64_t vm_swap64(uint64_t x) noexcept nogil

OK = 0
FIELDS = 1    # a row of another number of fields
LENGTH = 2    # a length that no field has
END = 3       # the end mark


cdef inline int16_t _int16(const uint8_t *p) noexcept nogil:
    cdef uint16_t x
    memcpy(&x, p, 2)
    return <int16_t>vm_swap16(x)


cdef inline int32_t _int32(const uint8_t *p) noexcept nogil:
    cdef uint32_t x
    memcpy(&x, p, 4)
    return <int32_t>vm_swap32(x)


def split_rows(const uint8_t[::1] buffer, Py_ssize_t start, const int32_t[::1] slots, Py_ssize_t max_rows,
               int64_t[::1] row_starts, int64_t[:, ::1] starts, int64_t[:, ::1] ends, uint8_t[:, ::1] kinds):
    """Split whole rows from ``start`` on, at most ``max_rows``.

    Return (rows, where to go on, why, fields of the next row).

    ``slots[i]`` is the place of field ``i`` among the spans, -1 for one that nobody wants. Kinds are 0 for null,
    else 5.
    """
    cdef Py_ssize_t n = 0, room = min(max_rows, starts.shape[1]), width = slots.shape[0], i, fields = 0
    cdef int why = 0
    cdef int32_t size
    cdef const uint8_t *base
    cdef const uint8_t *p
    cdef const uint8_t *q
    cdef const uint8_t *end
    if not (starts.shape[0] == ends.shape[0] == kinds.shape[0] and ends.shape[1] == kinds.shape[1] == starts.shape[1]
            and row_starts.shape[0] >= room):
        raise ValueError("spans must be (columns, rows)")
    for i in range(width):
        if slots[i] >= starts.shape[0]:
            raise ValueError("a slot lies outside the spans")
    if not 0 <= start < buffer.shape[0]:
        return 0, start, 0, 0
    base = &buffer[0]
    with nogil:
        p = base + start
        end = base + buffer.shape[0]
        while n < room and end - p >= 2:
            fields = _int16(p)
            if fields != width:
                why = 3 if fields == -1 else 1
                break
            q = p + 2
            for i in range(width):
                if end - q < 4:
                    q = NULL
                    break
                size = _int32(q)
                q += 4
                if size < -1:
                    why = 2
                    break
                if size > end - q:
                    q = NULL
                    break
                if slots[i] >= 0:
                    starts[slots[i], n] = q - base
                    ends[slots[i], n] = q - base + (size if size > 0 else 0)
                    kinds[slots[i], n] = 0 if size < 0 else 5
                if size > 0:
                    q += size
            if q == NULL or why:
                break
            row_starts[n] = p - base
            n += 1
            p = q
    return n, p - base, why, fields


def gather_into(const uint8_t[::1] buffer, const int64_t[::1] starts, const uint8_t[::1] kinds, Py_ssize_t skip,
                int width, uint8_t[:, ::1] out):
    """Copy big-endian numbers of ``width`` bytes, which begin ``skip`` bytes into each span, as little-endian ones.

    Null rows (kind 0) become zeros.
    """
    cdef Py_ssize_t i, j, rows = out.shape[0], size = out.shape[1]
    cdef const uint8_t *p
    cdef uint8_t *o
    cdef uint16_t x16
    cdef uint32_t x32
    cdef uint64_t x64
    if starts.shape[0] != rows or kinds.shape[0] != rows or width not in (1, 2, 4, 8) or size % width:
        raise ValueError("starts, kinds and out must be of one length, and out whole numbers wide")
    for i in range(rows):
        if kinds[i] and not 0 <= starts[i] <= buffer.shape[0] - skip - size:
            raise ValueError(f"span {i} lies outside the buffer")
    if rows == 0 or size == 0:
        return
    with nogil:
        for i in range(rows):
            o = &out[i, 0]
            if not kinds[i]:
                memset(o, 0, size)
                continue
            p = &buffer[0] + starts[i] + skip
            if width == 4:
                for j in range(0, size, 4):
                    memcpy(&x32, p + j, 4)
                    x32 = vm_swap32(x32)
                    memcpy(o + j, &x32, 4)
            elif width == 2:
                for j in range(0, size, 2):
                    memcpy(&x16, p + j, 2)
                    x16 = vm_swap16(x16)
                    memcpy(o + j, &x16, 2)
            elif width == 8:
                for j in range(0, size, 8):
                    memcpy(&x64, p + j, 8)
                    x64 = vm_swap64(x64)
                    memcpy(o + j, &x64, 8)
            else:
                memcpy(o, p, size)
