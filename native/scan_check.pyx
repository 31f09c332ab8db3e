"""Look at values as they lie in files of others: UCS-4 text, and JSON text. Nothing is converted.

All kernels release the GIL. Oracles under the same names: ``tests/oracles.py``.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.string cimport memset

cdef extern from "scan_check.h" nogil:
    enum: VM_JSON_BAD, VM_JSON_MORE, VM_JSON_DEEP, VM_JSON_DEPTH
    uint8_t vm_scan_ucs4_row(const uint32_t *row, Py_ssize_t width, int64_t *n_bytes) noexcept
    Py_ssize_t vm_json_blank(const uint8_t *s, Py_ssize_t i, Py_ssize_t n) noexcept
    Py_ssize_t vm_json_end(const uint8_t *s, Py_ssize_t i, Py_ssize_t n, int as_float, uint8_t *open,
                           Py_ssize_t *bad) noexcept

HAS_NUL = 1
NOT_TEXT = 2

BAD = -1
MORE = -2
DEEP = -3

# Room for the open brackets of the deepest JSON, a bit each.
cdef enum:
    OPEN_BYTES = 1256


def scan_ucs4(const uint32_t[:, ::1] values not None, int64_t[::1] n_bytes not None, uint8_t[::1] flags not None):
    """Measure rows of UCS-4 (n, width), padded with zeros: the bytes of their UTF-8, and what is wrong with them.

    Writes ``n_bytes`` (n,) and ``flags`` (n,): ``HAS_NUL`` for a U+0000 before a later character, ``NOT_TEXT`` for a
    surrogate or a value above U+10FFFF (``n_bytes`` means little then). Return whether any flag is set.
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
    """Find the end of the JSON value that begins at ``start``, or behind blanks there.

    Return (end, -1), ``end`` the place behind the value; (``BAD``, place) for the first byte that no JSON has there;
    (``DEEP``, place) for more than 10,000 levels; (``MORE``, -1) when the bytes end too soon. A number that runs to the
    end of ``text`` ends there. Strings may hold bytes that are not UTF-8, as the server's reader lets them. With
    ``as_float`` a number that has no float64 is wrong.
    """
    cdef uint8_t[OPEN_BYTES] open_
    cdef Py_ssize_t bad = -1, end, n = text.shape[0]
    if start < 0 or start > n:
        raise ValueError("start is outside text")
    if n == 0:
        return VM_JSON_MORE, -1
    memset(&open_[0], 0, OPEN_BYTES)
    with nogil:
        end = vm_json_end(&text[0], start, n, as_float, &open_[0], &bad)
    return end, bad


def check_json(const int32_t[::1] offsets not None, const uint8_t[::1] data not None, Py_ssize_t first,
               bint only_objects):
    """Find the first value, from ``first`` on, that is no JSON text, or with ``only_objects`` no object.

    A number that has no float64 makes it none.

    The column is as in Arrow: ``offsets`` (n + 1), absolute positions in ``data``. Return (row, place): ``place`` is
    that of the first wrong byte in the value (its length when it ends too soon; -1 when it is no object); (-1, -1) if
    all are fine.
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
