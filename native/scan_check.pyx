"""Check text in files that others wrote: UCS-4 and JSON. Nothing is converted. All functions release the GIL."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.string cimport memset

cdef extern from "scan_check.h" nogil:
    enum: VM_UCS4_NUL, VM_UCS4_INVALID
    enum: VM_SCAN_BAD, VM_SCAN_MORE, VM_SCAN_DEEP, VM_SCAN_DEPTH
    uint8_t vm_scan_ucs4_row(const uint32_t *row, Py_ssize_t width, int64_t *n_bytes) noexcept
    Py_ssize_t vm_json_blank(const uint8_t *s, Py_ssize_t i, Py_ssize_t n) noexcept
    Py_ssize_t vm_json_end(const uint8_t *s, Py_ssize_t i, Py_ssize_t n, int as_float, uint8_t *open,
                           Py_ssize_t *bad) noexcept

HAS_NUL = VM_UCS4_NUL
NOT_TEXT = VM_UCS4_INVALID

BAD = VM_SCAN_BAD
MORE = VM_SCAN_MORE
DEEP = VM_SCAN_DEEP

# Bytes for the open brackets of the deepest JSON, a bit each.
cdef enum:
    OPEN_BYTES = 1256


def scan_ucs4(const uint32_t[:, ::1] values not None, int64_t[::1] n_bytes not None, uint8_t[::1] flags not None):
    """Measure rows of UCS-4 (n, width) uint32, padded with zeros: the bytes of their UTF-8, and what is wrong.

    Writes ``n_bytes`` (n,) int64 and ``flags`` (n,) uint8: HAS_NUL for a U+0000 before a later character, NOT_TEXT for
    a surrogate or a value above U+10FFFF; ``n_bytes`` of such a row means nothing. Return True if any flag is set.
    Raises ValueError for too little room.
    Python twin: tests/support/oracles/scan_check.py (scan_ucs4)
    """
    cdef Py_ssize_t i, n = values.shape[0], width = values.shape[1]
    cdef uint8_t found = 0
    if n_bytes.shape[0] < n or flags.shape[0] < n:
        raise ValueError("n_bytes and flags must have a place for every row")
    if n == 0 or width == 0:
        for i in range(n):
            n_bytes[i] = 0
            flags[i] = 0
        return False
    with nogil:
        for i in range(n):
            flags[i] = vm_scan_ucs4_row(&values[i, 0], width, &n_bytes[i])
            found |= flags[i]
    return found != 0


def json_end(const uint8_t[::1] text not None, Py_ssize_t start, bint as_float=False):
    """Find the end of the JSON value at ``start``, or behind blanks there, in ``text`` (bytes or uint8).

    Return (end, -1), ``end`` the place behind the value; (BAD, place of the first wrong byte); (DEEP, place) for more
    than 10,000 levels; (MORE, -1) if the bytes end too soon. A number may end with the bytes. Strings may hold bytes
    that are not UTF-8, as the server's reader allows. ``as_float``: a number that has no float64 is wrong. Raises
    ValueError for a start outside ``text``.
    Python twin: tests/support/oracles/scan_check.py (json_end)
    """
    cdef uint8_t[OPEN_BYTES] open_
    cdef Py_ssize_t bad = -1, end, n = text.shape[0]
    if start < 0 or start > n:
        raise ValueError("start is outside text")
    if n == 0:
        return VM_SCAN_MORE, -1
    memset(&open_[0], 0, OPEN_BYTES)
    with nogil:
        end = vm_json_end(&text[0], start, n, as_float, &open_[0], &bad)
    return end, bad


def check_json(const int32_t[::1] offsets not None, const uint8_t[::1] data not None, Py_ssize_t first,
               bint only_objects):
    """Find the first value, from row ``first`` on, that is not JSON text, or with ``only_objects`` not an object.

    ``offsets``: (n + 1,) int32, absolute positions in ``data``, as in Arrow. A number that has no float64 is wrong.
    Return (row, place of the first wrong byte in the value; its length if it ends too soon; -1 if it is not an object),
    or (-1, -1). Raises ValueError for a negative ``first``.
    Python twin: tests/support/oracles/scan_check.py (is_json)
    """
    cdef uint8_t[OPEN_BYTES] open_
    cdef Py_ssize_t i, n = offsets.shape[0] - 1, start, stop, end, bad = -1, size = data.shape[0], place = -1
    cdef const uint8_t *base
    if first < 0 or n < 0:
        raise ValueError("offsets must hold n + 1 entries, and first must not be negative")
    if size == 0:
        i = first if first < n else -1
        return i, 0 if first < n else -1
    base = &data[0]
    memset(&open_[0], 0, OPEN_BYTES)
    i = first
    with nogil:
        while i < n:
            start = offsets[i]
            stop = offsets[i + 1]
            place = 0
            if start < 0 or stop < start or stop > size:
                break
            bad = -1
            end = vm_json_end(base + start, 0, stop - start, 1, &open_[0], &bad)
            if end < 0:
                place = bad if bad >= 0 else stop - start
                break
            end = vm_json_blank(base + start, end, stop - start)
            if end < stop - start:
                place = end
                break
            if only_objects:
                end = vm_json_blank(base + start, 0, stop - start)
                if base[start + end] != b"{":
                    place = -1
                    break
            i += 1
    if i >= n:
        return -1, -1
    return i, place
