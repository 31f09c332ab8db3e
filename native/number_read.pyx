"""Numbers in text: spans of a buffer -> int64, float64, and matrices of float32 or int64.

Value ``i`` of a column is ``buffer[starts[i]:ends[i]]``, or null if ``kinds[i]`` is NULL_VALUE of ``json_read``; null
rows become zeros. Buffers and kinds are uint8, starts and ends int64. Every function returns (-1, OK), or (row, reason)
of the first value that is not a number; lists add the number of values found. ``lenient`` also takes what NumPy and
PostgreSQL print: ``+1``, ``.5``, ``1.``, ``nan``, ``inf``, lists in braces or separated by blanks alone. Every function
raises ValueError for spans outside the buffer or of another length, and releases the GIL.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memset

from spans cimport VM_SPAN_NULL

cdef extern from "number_read_quick.h" nogil:
    enum: VM_NUM_OK, VM_NUM_BAD, VM_NUM_LENGTH, VM_NUM_RANGE
    enum: VM_POWER_MIN, VM_POWER_MAX
    ctypedef double (*vm_hard_t)(const char *text, Py_ssize_t n) noexcept
    uint64_t vm_powers[VM_POWER_MAX - VM_POWER_MIN + 1][2]
    const uint8_t *vm_double(const uint8_t *p, const uint8_t *end, int lenient, vm_hard_t hard, double *out) noexcept
    int vm_int64(const uint8_t *p, const uint8_t *end, int lenient, int64_t *out) noexcept
    int vm_list(const uint8_t *p, const uint8_t *end, int lenient, int as_int, vm_hard_t hard, void *out,
                Py_ssize_t dim, Py_ssize_t *found) noexcept
    int vm_list_quick(const uint8_t *low, const uint8_t *p, const uint8_t *end, int lenient, vm_hard_t hard, float *out,
                      Py_ssize_t dim) noexcept

OK = VM_NUM_OK
BAD = VM_NUM_BAD
LENGTH = VM_NUM_LENGTH
RANGE = VM_NUM_RANGE


def _fill_powers():
    # 128 bits of 5^q, rounded down; for q < 0 of its reciprocal, rounded up, as the method requires.
    for q in range(VM_POWER_MIN, VM_POWER_MAX + 1):
        if q >= 0:
            value = 5 ** q << 128 >> (5 ** q).bit_length()
        else:
            bits = (5 ** -q).bit_length()
            value = (1 << (bits + 127)) // 5 ** -q + 1
        vm_powers[q - VM_POWER_MIN][0] = value >> 64
        vm_powers[q - VM_POWER_MIN][1] = value & 0xFFFFFFFFFFFFFFFF


_fill_powers()

cdef const uint8_t *_NOTHING = b""  # stands for the memory of an empty buffer


cdef double _hard(const char *text, Py_ssize_t n) noexcept with gil:
    return float(text[:n])


cdef const uint8_t *_checked(const uint8_t[::1] buffer, const int64_t[::1] starts, const int64_t[::1] ends,
                             const uint8_t[::1] kinds, Py_ssize_t rows) except NULL:
    """Return the memory of the buffer. Raises ValueError for spans that lie outside of it."""
    cdef Py_ssize_t i
    if not rows == starts.shape[0] == ends.shape[0] == kinds.shape[0]:
        raise ValueError("starts, ends, kinds and out must be of one length")
    for i in range(rows):
        if kinds[i] != VM_SPAN_NULL and not 0 <= starts[i] <= ends[i] <= buffer.shape[0]:
            raise ValueError(f"span {i} lies outside the buffer")
    return &buffer[0] if buffer.shape[0] else _NOTHING


def int64s_into(const uint8_t[::1] buffer, const int64_t[::1] starts, const int64_t[::1] ends,
                const uint8_t[::1] kinds, int64_t[::1] out, bint lenient):
    """Parse integers exactly into ``out`` (rows,). RANGE: the integer does not fit in int64.

    Python twin: tests/support/oracles/number_read.py (integer_of)
    """
    cdef Py_ssize_t i, rows = out.shape[0]
    cdef int reason = VM_NUM_OK
    cdef const uint8_t *p = _checked(buffer, starts, ends, kinds, rows)
    with nogil:
        for i in range(rows):
            out[i] = 0
            if kinds[i] != VM_SPAN_NULL:
                reason = vm_int64(p + starts[i], p + ends[i], lenient, &out[i])
                if reason != VM_NUM_OK:
                    break
    return (-1 if reason == VM_NUM_OK else i), reason


def float64s_into(const uint8_t[::1] buffer, const int64_t[::1] starts, const int64_t[::1] ends,
                  const uint8_t[::1] kinds, double[::1] out, bint lenient):
    """Parse numbers into ``out`` (rows,), as ``float(text)`` does.

    Python twin: tests/support/oracles/number_read.py (number_of)
    """
    cdef Py_ssize_t i, rows = out.shape[0]
    cdef int reason = VM_NUM_OK
    cdef const uint8_t *p = _checked(buffer, starts, ends, kinds, rows)
    with nogil:
        for i in range(rows):
            out[i] = 0
            if kinds[i] == VM_SPAN_NULL:
                continue
            if vm_double(p + starts[i], p + ends[i], lenient, _hard, &out[i]) != p + ends[i]:
                reason = VM_NUM_BAD
                break
    return (-1 if reason == VM_NUM_OK else i), reason


cdef tuple _lists(const uint8_t[::1] buffer, const int64_t[::1] starts, const int64_t[::1] ends,
                  const uint8_t[::1] kinds, uint8_t *out, Py_ssize_t rows, Py_ssize_t dim, bint lenient, bint as_int):
    cdef Py_ssize_t i, found = 0, width = dim * (8 if as_int else 4)
    cdef int reason = VM_NUM_OK
    cdef const uint8_t *p = _checked(buffer, starts, ends, kinds, rows)
    with nogil:
        for i in range(rows):
            if kinds[i] != VM_SPAN_NULL:
                if not as_int and vm_list_quick(p, p + starts[i], p + ends[i], lenient, _hard,
                                                <float *>(out + i * width), dim):
                    continue
                reason = vm_list(p + starts[i], p + ends[i], lenient, as_int, _hard, out + i * width, dim, &found)
                if reason != VM_NUM_OK:
                    break
            else:
                memset(out + i * width, 0, width)
    return (-1 if reason == VM_NUM_OK else i), reason, found


def float32_lists_into(const uint8_t[::1] buffer, const int64_t[::1] starts, const int64_t[::1] ends,
                       const uint8_t[::1] kinds, float[:, ::1] out, bint lenient):
    """Parse lists of dim numbers into ``out`` (rows, dim), as ``np.float32(float(text))`` does.

    Return (row, reason, values found); reason LENGTH: the list has another number of values than dim.
    Python twin: tests/support/oracles/number_read.py (list_of)
    """
    cdef uint8_t *first = <uint8_t *>&out[0, 0] if out.shape[0] and out.shape[1] else NULL
    return _lists(buffer, starts, ends, kinds, first, out.shape[0], out.shape[1], lenient, False)


def int64_lists_into(const uint8_t[::1] buffer, const int64_t[::1] starts, const int64_t[::1] ends,
                     const uint8_t[::1] kinds, int64_t[:, ::1] out, bint lenient):
    """Parse lists of dim integers into ``out`` (rows, dim). Return (row, reason, values found).

    Python twin: tests/support/oracles/number_read.py (list_of)
    """
    cdef uint8_t *first = <uint8_t *>&out[0, 0] if out.shape[0] and out.shape[1] else NULL
    return _lists(buffer, starts, ends, kinds, first, out.shape[0], out.shape[1], lenient, True)
