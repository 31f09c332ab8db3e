"""UTF-8 and UCS-4 text columns: check them, expand them to NumPy's ``<U``, narrow them from it.

A text column is ``offsets`` (n + 1,) int32, absolute positions in ``data``, and ``data`` uint8 (UTF-8), as in Arrow.
``plain`` bytes are Parquet's PLAIN BYTE_ARRAY encoding: for each value a little-endian uint32 length, then the bytes.
``validity``: (n,) uint8, 0 for a null; None: no nulls. Every function releases the GIL, and raises ValueError for
offsets outside ``data``, or too little room.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t
from libc.string cimport memchr, memcmp, memcpy

cdef extern from "text.h" nogil:
    enum: VM_TEXT_SURROGATE, VM_TEXT_NUL, VM_TEXT_NO_ROOM, VM_TEXT_INVALID
    bint vm_is_ascii(const uint8_t *s, Py_ssize_t n) noexcept
    bint vm_has_crlf(const uint8_t *s, Py_ssize_t n) noexcept
    bint vm_utf8_valid(const uint8_t *s, Py_ssize_t n) noexcept
    Py_ssize_t vm_utf8_codepoints(const uint8_t *s, Py_ssize_t n) noexcept
    Py_ssize_t vm_utf8_encode(const void *data, int kind, Py_ssize_t n, uint8_t *out, Py_ssize_t room,
                              int refuse_nul) noexcept
    Py_ssize_t vm_ucs4_from_utf8(const uint8_t *s, Py_ssize_t n, uint32_t *out, Py_ssize_t width) noexcept

# What is wrong with a value.
cdef enum Reason:
    REASON_FINE = 0
    REASON_TOO_LONG = 1
    REASON_HAS_NUL = 2
    REASON_NOT_UTF8 = 3
    REASON_SURROGATE = 4
    REASON_NO_ROOM = 5
    REASON_HAS_CRLF = 6
    REASON_IS_NULL_TEXT = 7

FINE = REASON_FINE
TOO_LONG = REASON_TOO_LONG
HAS_NUL = REASON_HAS_NUL
NOT_UTF8 = REASON_NOT_UTF8
SURROGATE = REASON_SURROGATE
NO_ROOM = REASON_NO_ROOM
HAS_CRLF = REASON_HAS_CRLF
IS_NULL_TEXT = REASON_IS_NULL_TEXT


cdef int _check_offsets(const int32_t[::1] offsets, const uint8_t[::1] data) except -1:
    if offsets.shape[0] < 1:
        raise ValueError("offsets must hold n + 1 entries")
    if offsets[0] < 0 or offsets[offsets.shape[0] - 1] > data.shape[0]:
        raise ValueError("offsets point outside data")
    return 0


cdef Py_ssize_t _scan(const int32_t *offsets, Py_ssize_t n, const uint8_t *data, Py_ssize_t size, Py_ssize_t max_bytes,
                      bint refuse_nul, int *reason) noexcept nogil:
    cdef Py_ssize_t i, length
    cdef bint ascii = vm_is_ascii(data + offsets[0], offsets[n] - offsets[0])
    cdef bint nul = refuse_nul and memchr(data + offsets[0], 0, offsets[n] - offsets[0]) != NULL
    for i in range(n):
        length = offsets[i + 1] - offsets[i]
        if length < 0 or offsets[i + 1] > size or offsets[i] < 0:
            reason[0] = REASON_NOT_UTF8
            return i
        if max_bytes >= 0 and length > max_bytes:
            reason[0] = REASON_TOO_LONG
            return i
        if nul and memchr(data + offsets[i], 0, length) != NULL:
            reason[0] = REASON_HAS_NUL
            return i
        if not ascii and not vm_utf8_valid(data + offsets[i], length):
            reason[0] = REASON_NOT_UTF8
            return i
    return -1


cdef Py_ssize_t _scan_csv(const int32_t *offsets, Py_ssize_t n, const uint8_t *data, bint refuse_crlf,
                          const uint8_t *null_text, Py_ssize_t n_null_text, const uint8_t *validity,
                          int *reason) noexcept nogil:
    cdef Py_ssize_t i, length
    cdef const uint8_t *value
    cdef bint crlf = refuse_crlf and vm_has_crlf(data + offsets[0], offsets[n] - offsets[0])
    for i in range(n):
        value, length = data + offsets[i], offsets[i + 1] - offsets[i]
        if crlf and vm_has_crlf(value, length):
            reason[0] = REASON_HAS_CRLF
            return i
        if (null_text != NULL and length == n_null_text and memcmp(value, null_text, length) == 0
                and (validity == NULL or validity[i])):
            reason[0] = REASON_IS_NULL_TEXT
            return i
    return -1


def check_text(const int32_t[::1] offsets, const uint8_t[::1] data, Py_ssize_t max_bytes, rules=None,
               const uint8_t[::1] validity=None):
    """Find the first value that is not UTF-8, longer than ``max_bytes`` (-1: no limit), or holds U+0000.

    Without such a value, find the first that holds CR LF or is the null text and not null. ``rules`` (a ``TextRules``
    of encode/plan.py) says whether U+0000, CR LF and the null text are looked for. None: they are not. Return
    (row, reason): TOO_LONG, HAS_NUL, NOT_UTF8, HAS_CRLF or IS_NULL_TEXT; (-1, FINE) if there is none.
    Python twin: tests/support/oracles/text.py (check_text)
    """
    cdef int reason = REASON_FINE
    cdef Py_ssize_t row, n = offsets.shape[0] - 1
    cdef bint refuse_nul = False, refuse_crlf = False
    cdef bytes null_text = None
    cdef const uint8_t *null_bytes = NULL
    cdef Py_ssize_t n_null_bytes = 0
    cdef const uint8_t *valid = NULL
    cdef const uint8_t *bytes_of_data = b""
    if rules is not None:
        refuse_nul, refuse_crlf, null_text = rules.refuse_nul, rules.refuse_crlf, rules.null_text
        if null_text is not None:
            null_bytes, n_null_bytes = null_text, len(null_text)
    if validity is not None:
        if validity.shape[0] < n:
            raise ValueError("validity is shorter than the column")
        if n > 0:
            valid = &validity[0]
    _check_offsets(offsets, data)
    if n == 0:
        return -1, FINE
    if data.shape[0] == 0:
        for row in range(n + 1):
            if offsets[row] != 0:
                raise ValueError("offsets point outside data")
    else:
        bytes_of_data = &data[0]
    if offsets[n] < offsets[0]:
        raise ValueError("offsets must not decrease")
    with nogil:
        row = _scan(&offsets[0], n, bytes_of_data, data.shape[0], max_bytes, refuse_nul, &reason)
        if row < 0 and (refuse_crlf or null_bytes != NULL):
            row = _scan_csv(&offsets[0], n, bytes_of_data, refuse_crlf, null_bytes, n_null_bytes, valid, &reason)
    return row, reason


def longest_codepoints(const int32_t[::1] offsets, const uint8_t[::1] data):
    """Return the code points of the longest value: the width of the ``<U`` column that holds it.

    Python twin: tests/support/oracles/text.py (longest_codepoints)
    """
    cdef Py_ssize_t i, count, length, longest = 0, n = offsets.shape[0] - 1
    _check_offsets(offsets, data)
    if data.shape[0] == 0:
        return 0
    with nogil:
        for i in range(n):
            length = offsets[i + 1] - offsets[i]
            if length > longest:  # never more code points than bytes
                count = vm_utf8_codepoints(&data[0] + offsets[i], length)
                if count > longest:
                    longest = count
    return longest


def plain_byte_array_into(const int32_t[::1] offsets, const uint8_t[::1] data, const uint8_t[::1] validity,
                          uint8_t[::1] out not None):
    """Write a text column as PLAIN BYTE_ARRAY values into ``out``, without the nulls. Return the bytes written.

    ``out`` needs 4 * n bytes and the bytes of the values.
    Python twin: tests/support/oracles/text.py (plain_byte_array)
    """
    cdef Py_ssize_t i, n = offsets.shape[0] - 1, used = 0
    cdef uint32_t length
    _check_offsets(offsets, data)
    if validity is not None and validity.shape[0] < n:
        raise ValueError("validity is shorter than the column")
    if out.shape[0] < 4 * n + offsets[n] - offsets[0]:
        raise ValueError("out is too small")
    if n == 0:
        return 0
    with nogil:
        for i in range(n):
            if validity is not None and not validity[i]:
                continue
            length = offsets[i + 1] - offsets[i]
            memcpy(&out[0] + used, &length, 4)
            if length:
                memcpy(&out[0] + used + 4, &data[0] + offsets[i], length)
            used += 4 + length
    return used


def fixed_byte_array_into(const uint8_t[:, ::1] values, const uint8_t[::1] validity, uint8_t[::1] out not None):
    """Write (n, width) uint8 as PLAIN BYTE_ARRAY values into ``out``, without the nulls. Return the bytes written.

    ``out`` needs n * (4 + width) bytes.
    Python twin: tests/support/oracles/text.py (plain_byte_array)
    """
    cdef Py_ssize_t i, n = values.shape[0], used = 0
    cdef uint32_t width = values.shape[1]
    if validity is not None and validity.shape[0] < n:
        raise ValueError("validity is shorter than the column")
    if out.shape[0] < n * (4 + values.shape[1]):
        raise ValueError("out is too small")
    if n == 0:
        return 0
    with nogil:
        for i in range(n):
            if validity is not None and not validity[i]:
                continue
            memcpy(&out[0] + used, &width, 4)
            memcpy(&out[0] + used + 4, &values[i, 0], width)
            used += 4 + width
    return used


def ucs4_from_plain_into(const uint8_t[::1] plain, uint32_t[:, ::1] out not None):
    """Expand n PLAIN BYTE_ARRAY values to ``out`` (n, width) uint32: UCS-4, zero-padded, as NumPy's ``<U``.

    Return the bytes of ``plain`` that were read. Raises ValueError for a value that is not UTF-8, is longer than width,
    or is cut off.
    Python twin: tests/support/oracles/text.py (ucs4_from_plain)
    """
    cdef Py_ssize_t i = 0, n = out.shape[0], at = 0, size = plain.shape[0], got = 0
    cdef uint32_t length
    if n == 0:
        return 0
    if size == 0 or out.shape[1] == 0:
        raise ValueError("empty input or zero width")
    with nogil:
        while i < n and got >= 0:
            if at + 4 > size:
                break
            memcpy(&length, &plain[0] + at, 4)
            if at + 4 + <Py_ssize_t>length > size:
                break
            got = vm_ucs4_from_utf8(&plain[0] + at + 4, length, &out[i, 0], out.shape[1])
            at += 4 + length
            i += 1
    if got < 0 or i < n:
        raise ValueError(f"value {i}: not UTF-8, wider than {out.shape[1]} code points, or cut off")
    return at


def utf8_from_ucs4_into(const uint32_t[:, ::1] values, int32_t[::1] offsets not None, uint8_t[::1] out not None,
                        bint refuse_nul):
    """Narrow ``values`` (n, width) uint32, zero-padded UCS-4 as NumPy's ``<U``, to UTF-8. Zeros at the end are padding.

    Writes ``offsets[0]`` = 0 to ``offsets[taken]``. Return (rows taken, reason of the next row): FINE, NO_ROOM,
    SURROGATE (also above U+10FFFF) or HAS_NUL.
    Python twin: tests/support/oracles/text.py (utf8_from_ucs4)
    """
    cdef Py_ssize_t i = 0, n = values.shape[0], width = values.shape[1], length, used = 0, got = 0
    if offsets.shape[0] < n + 1:
        raise ValueError("offsets must hold n + 1 entries")
    offsets[0] = 0
    if out.shape[0] == 0:
        raise ValueError("out is empty")
    with nogil:
        for i in range(n):
            length = width
            while length and values[i, length - 1] == 0:
                length -= 1
            got = 0
            if length:
                got = vm_utf8_encode(&values[i, 0], 4, length, &out[0] + used, out.shape[0] - used, refuse_nul)
            if got < 0:
                break
            used += got
            offsets[i + 1] = <int32_t>used
    if got < 0:
        return i, {VM_TEXT_SURROGATE: SURROGATE, VM_TEXT_NUL: HAS_NUL, VM_TEXT_NO_ROOM: NO_ROOM}[got]
    return n, FINE
