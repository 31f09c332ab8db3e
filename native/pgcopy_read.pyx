"""Rows of PostgreSQL's binary COPY as spans of a buffer, and big-endian values gathered from spans.

A row is an int16 number of fields, then each field as an int32 length (-1: null) and its bytes; a row of -1 fields ends
the data (PostgreSQL manual, COPY, "Binary Format"). Buffers and kinds are uint8, starts and ends int64. Both functions
release the GIL.
"""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from spans cimport VM_SPAN_NULL, VM_SPAN_STRING

cdef extern from *:
    """
    #define vm_swap16(x) __builtin_bswap16(x)
    #define vm_swap32(x) __builtin_bswap32(x)
    #define vm_swap64(x) __builtin_bswap64(x)
    """
    uint16_t vm_swap16(uint16_t x) noexcept nogil
    uint32_t vm_swap32(uint32_t x) noexcept nogil
    uint64_t vm_swap64(uint64_t x) noexcept nogil

# Why the rows end.
cdef enum Why:
    WHY_OK = 0
    WHY_FIELDS = 1  # a row has another number of fields
    WHY_LENGTH = 2  # a field has a length below -1
    WHY_END = 3     # the end mark

OK = WHY_OK
FIELDS = WHY_FIELDS
LENGTH = WHY_LENGTH
END = WHY_END


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
    """Split whole rows from ``start`` on, at most ``max_rows``, into spans (columns kept, rows).

    ``slots[i]``: row of the spans that takes field ``i``; -1: the field is not kept. Kinds are NULL_VALUE and STRING of
    ``json_read``. Return (rows, where to go on, why, fields of the next row); why is OK, FIELDS, LENGTH or END. Raises
    ValueError for spans of another shape.
    Python twin: tests/support/oracles/pgcopy_read.py (copy_rows)
    """
    cdef Py_ssize_t n = 0, room = min(max_rows, starts.shape[1]), width = slots.shape[0], i, fields = 0
    cdef int why = WHY_OK
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
        return 0, start, WHY_OK, 0
    base = &buffer[0]
    with nogil:
        p = base + start
        end = base + buffer.shape[0]
        while n < room and end - p >= 2:
            fields = _int16(p)
            if fields != width:
                why = WHY_END if fields == -1 else WHY_FIELDS
                break
            q = p + 2
            for i in range(width):
                if end - q < 4:
                    q = NULL
                    break
                size = _int32(q)
                q += 4
                if size < -1:
                    why = WHY_LENGTH
                    break
                if size > end - q:
                    q = NULL
                    break
                if slots[i] >= 0:
                    starts[slots[i], n] = q - base
                    ends[slots[i], n] = q - base + (size if size > 0 else 0)
                    kinds[slots[i], n] = VM_SPAN_NULL if size < 0 else VM_SPAN_STRING
                if size > 0:
                    q += size
            if q == NULL or why != WHY_OK:
                break
            row_starts[n] = p - base
            n += 1
            p = q
    return n, p - base, why, fields


def gather_into(const uint8_t[::1] buffer, const int64_t[::1] starts, const uint8_t[::1] kinds, Py_ssize_t skip,
                int width, uint8_t[:, ::1] out):
    """Copy big-endian numbers of ``width`` bytes (1, 2, 4, 8), ``skip`` bytes into each span, as little-endian numbers.

    ``out``: (rows, k * width) uint8; null rows become zeros. Raises ValueError for spans outside the buffer.
    Python twin: tests/support/oracles/pgcopy_read.py (gathered)
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
        if kinds[i] != VM_SPAN_NULL and not 0 <= starts[i] <= buffer.shape[0] - skip - size:
            raise ValueError(f"span {i} lies outside the buffer")
    if rows == 0 or size == 0:
        return
    with nogil:
        for i in range(rows):
            o = &out[i, 0]
            if kinds[i] == VM_SPAN_NULL:
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
