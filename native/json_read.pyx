"""Rows of JSON text: where each row, and each wanted value in it, begins and ends in a buffer.

A value becomes a span of the buffer and a kind (``NULL_VALUE`` also for an absent key); nothing is decoded here. A walk
returns why it stopped and where: ``SYNTAX``, ``SHORT`` (the text ends too early), ``DEEP`` (more than 512 open
brackets), ``TWICE`` (a wanted key comes again in the same object), ``UNKNOWN`` (a key is not wanted); Python words the
error. Buffers are uint8, starts and ends int64. All walks release the GIL.
"""

from libc.stdint cimport INT32_MAX, int32_t, int64_t, uint8_t
from libc.stdlib cimport free
from libc.string cimport memchr, memcpy

from json_read_c cimport (
    VM_JSON_DEEP, VM_JSON_OK, VM_JSON_SHORT, VM_JSON_SYNTAX, VM_JSON_TWICE, VM_JSON_UNKNOWN, vm_count_lines,
    vm_json_unescape, vm_string_end, vm_value_end, vm_white,
)
from keys cimport keys_of, vm_find_key, vm_key
from spans cimport (
    VM_SPAN_ARRAY, VM_SPAN_ESCAPED, VM_SPAN_FALSE, VM_SPAN_FLOAT, VM_SPAN_INT, VM_SPAN_NULL, VM_SPAN_OBJECT,
    VM_SPAN_STRING, VM_SPAN_TRUE,
)

NULL_VALUE = VM_SPAN_NULL
FALSE = VM_SPAN_FALSE
TRUE = VM_SPAN_TRUE
INT = VM_SPAN_INT
FLOAT = VM_SPAN_FLOAT
STRING = VM_SPAN_STRING
ESCAPED = VM_SPAN_ESCAPED
ARRAY = VM_SPAN_ARRAY
OBJECT = VM_SPAN_OBJECT

OK = VM_JSON_OK
SYNTAX = VM_JSON_SYNTAX
SHORT = VM_JSON_SHORT
DEEP = VM_JSON_DEEP
TWICE = VM_JSON_TWICE
UNKNOWN = VM_JSON_UNKNOWN

# What may come next among the elements of an array.
cdef enum State:
    STATE_FIRST = 0      # a value, or the end of the array
    STATE_VALUE = 1      # a value
    STATE_SEPARATOR = 2  # a comma, or the end of the array
    STATE_CLOSED = 3     # nothing: the array has ended
    STATE_SEQUENCE = 4   # there is no array: values follow one another, with blanks between them

FIRST = STATE_FIRST
VALUE = STATE_VALUE
SEPARATOR = STATE_SEPARATOR
CLOSED = STATE_CLOSED
SEQUENCE = STATE_SEQUENCE


def count_lines(const uint8_t[::1] buffer):
    """Return the number of line feeds. Python twin: tests/support/oracles/json_read.py (count_lines)"""
    cdef Py_ssize_t n = buffer.shape[0]
    if n == 0:
        return 0
    with nogil:
        n = vm_count_lines(&buffer[0], n)
    return n


def value_end(const uint8_t[::1] buffer, Py_ssize_t start):
    """Return (end, kind, why) of the value that begins at ``start``; end is ``start`` if why is not OK.

    Python twin: tests/support/oracles/json_read.py (value_end)
    """
    cdef int kind = VM_SPAN_NULL, why = VM_JSON_OK
    cdef const uint8_t *p
    if not 0 <= start < buffer.shape[0]:
        return start, VM_SPAN_NULL, VM_JSON_SHORT
    p = vm_value_end(&buffer[start], &buffer[0] + buffer.shape[0], &kind, &why)
    if p == NULL:
        return start, kind, why
    return <Py_ssize_t>(p - &buffer[0]), kind, VM_JSON_OK


def split_lines(const uint8_t[::1] buffer, Py_ssize_t start, bint final, int64_t[::1] starts, int64_t[::1] ends):
    """Find lines that hold more than blanks, from ``start`` on. Return (rows, where to go on).

    Fills ``starts`` and ``ends`` (k,), at most k rows. A last line without a line feed counts only if ``final``; if
    not, the caller goes on there with more of the file in the buffer.
    Python twin: tests/support/oracles/json_read.py (split_lines)
    """
    cdef Py_ssize_t n = 0, room = min(starts.shape[0], ends.shape[0])
    cdef const uint8_t *base
    cdef const uint8_t *p
    cdef const uint8_t *q
    cdef const uint8_t *end
    if not 0 <= start < buffer.shape[0]:
        return 0, start
    base = &buffer[0]
    with nogil:
        p = base + start
        end = base + buffer.shape[0]
        while p < end and n < room:
            q = <const uint8_t *>memchr(p, c"\n", end - p)
            if q == NULL:
                if not final:
                    break
                q = end
            if vm_white(p, q) != q:
                starts[n] = p - base
                ends[n] = q - base
                n += 1
            p = q + 1
        if p > end:
            p = end
    return n, p - base


def split_elements(const uint8_t[::1] buffer, Py_ssize_t start, bint final, int state, int64_t[::1] starts,
                   int64_t[::1] ends):
    """Find the elements of an array from ``start`` on. Return (rows, where to go on, state, why).

    Fills ``starts`` and ``ends`` (k,), at most k rows. ``state``: what may come next (FIRST to SEQUENCE). ``final``:
    the file ends with the buffer. ``why``: OK, or what is wrong at the place to go on.
    Python twin: tests/support/oracles/json_read.py (split_elements)
    """
    cdef Py_ssize_t n = 0, room = min(starts.shape[0], ends.shape[0])
    cdef int why = VM_JSON_OK, kind = VM_SPAN_NULL
    cdef const uint8_t *base
    cdef const uint8_t *p
    cdef const uint8_t *q
    cdef const uint8_t *end
    if not 0 <= start < buffer.shape[0]:
        return 0, start, state, VM_JSON_SHORT if final and state < STATE_CLOSED else VM_JSON_OK
    base = &buffer[0]
    with nogil:
        p = base + start
        end = base + buffer.shape[0]
        while n < room and state != STATE_CLOSED:
            p = vm_white(p, end)
            if p == end:
                why = VM_JSON_SHORT if state != STATE_SEQUENCE else VM_JSON_OK
                break
            if state == STATE_SEPARATOR and p[0] == c",":
                state = STATE_VALUE
                p += 1
                continue
            if (state == STATE_FIRST or state == STATE_SEPARATOR) and p[0] == c"]":
                state = STATE_CLOSED
                p += 1
                break
            if state == STATE_SEPARATOR:
                why = VM_JSON_SYNTAX
                break
            q = vm_value_end(p, end, &kind, &why)
            if q == NULL:
                break
            if q == end and not final and kind <= VM_SPAN_FLOAT:
                why = VM_JSON_SHORT
                break
            why = VM_JSON_OK
            starts[n] = p - base
            ends[n] = q - base
            n += 1
            p = q
            if state != STATE_SEQUENCE:
                state = STATE_SEPARATOR
    if why == VM_JSON_SHORT and not final:
        why = VM_JSON_OK
    return n, p - base, state, why


cdef struct Rest:  # where the members of a row go that are not wanted
    uint8_t *out
    Py_ssize_t size


cdef inline void _member(Rest *rest, Py_ssize_t row_start, const uint8_t *p, const uint8_t *q) noexcept nogil:
    """Append the member that is p..q to the object that begins at ``row_start``."""
    rest.out[rest.size] = c"{" if rest.size == row_start else c","
    memcpy(rest.out + rest.size + 1, p, q - p)
    rest.size += 1 + q - p


cdef class ObjectWalker:
    """Walk objects and keep the spans of wanted keys.

    ``names``: the wanted keys in UTF-8. ``refuse_unknown``: stop at other keys; else they are passed over.
    Python twin: tests/support/oracles/json_read.py (json_row)
    """

    cdef readonly tuple names
    cdef readonly bint refuse_unknown
    cdef vm_key *keys
    cdef Py_ssize_t n

    def __cinit__(self, names, bint refuse_unknown):
        self.names = tuple(names)
        self.n = len(self.names)
        self.refuse_unknown = refuse_unknown
        self.keys = keys_of(self.names)

    def __dealloc__(self):
        free(self.keys)

    cdef Py_ssize_t find_escaped(self, const vm_key *key) noexcept nogil:
        cdef uint8_t[1024] plain
        cdef vm_key unescaped
        if key.size > 1024:
            return -1
        unescaped.start, unescaped.size = plain, vm_json_unescape(key.start, key.size, plain)
        return -1 if unescaped.size < 0 else vm_find_key(self.keys, self.n, &unescaped, 0)

    cdef const uint8_t *object_at(self, const uint8_t *base, const uint8_t *p, const uint8_t *end, Py_ssize_t row,
                                  int64_t[:, ::1] starts, int64_t[:, ::1] ends, uint8_t[:, ::1] kinds,
                                  Rest *rest, int *why) noexcept nogil:
        """Walk one object. Return NULL, or where and, by ``why``, what is wrong."""
        cdef Py_ssize_t rest_start = rest.size
        cdef vm_key key
        cdef const uint8_t *q
        cdef Py_ssize_t column, guess = 0
        cdef int escaped, kind = VM_SPAN_NULL
        why[0] = VM_JSON_SYNTAX
        p = vm_white(p, end)
        if p == end or p[0] != c"{":
            return p
        p = vm_white(p + 1, end)
        if p < end and p[0] == c"}":
            return self.behind(p + 1, end)
        while True:
            if p == end or p[0] != c'"':
                return p
            escaped = 0
            key.start = p + 1
            q = vm_string_end(key.start, end, &escaped, why)
            if q == NULL:
                return p
            key.size = q - key.start
            column = self.find_escaped(&key) if escaped else vm_find_key(self.keys, self.n, &key, guess)
            guess = column + 1
            if column < 0 and self.refuse_unknown:
                why[0] = VM_JSON_UNKNOWN
                return key.start - 1
            why[0] = VM_JSON_SYNTAX
            p = vm_white(q + 1, end)
            if p == end or p[0] != c":":
                return p
            p = vm_white(p + 1, end)
            q = vm_value_end(p, end, &kind, why)
            if q == NULL:
                return p
            if column < 0:
                if rest.out != NULL:
                    _member(rest, rest_start, key.start - 1, q)
            else:
                if starts[column, row] >= 0:
                    why[0] = VM_JSON_TWICE
                    return key.start - 1
                starts[column, row] = p - base
                ends[column, row] = q - base
                kinds[column, row] = kind
            why[0] = VM_JSON_SYNTAX
            p = vm_white(q, end)
            if p == end:
                return p
            if p[0] == c"}":
                return self.behind(p + 1, end)
            if p[0] != c",":
                return p
            p = vm_white(p + 1, end)

    cdef const uint8_t *behind(self, const uint8_t *p, const uint8_t *end) noexcept nogil:
        """Return the first byte that is not blank, or NULL if there is none."""
        p = vm_white(p, end)
        if p == end:
            return NULL
        return p

    def walk(self, const uint8_t[::1] buffer, const int64_t[::1] row_starts, const int64_t[::1] row_ends,
             int64_t[:, ::1] starts, int64_t[:, ::1] ends, uint8_t[:, ::1] kinds, int32_t[::1] rest_offsets=None,
             uint8_t[::1] rest_out=None):
        """Fill spans (columns, rows). Return (good rows, why the next row is not, where).

        ``row_starts`` and ``row_ends``: (rows,). The span of an absent key begins at -1; its kind is NULL_VALUE.
        ``rest_offsets`` (rows + 1,) and ``rest_out`` (as long as all rows together) take the members that are not
        wanted, as they stand in the row: an object a row. Raises ValueError for arrays of another shape, and for rows
        outside the buffer.
        """
        cdef Py_ssize_t row, column, rows = row_starts.shape[0], n = self.n, total = 0
        cdef Rest rest
        cdef bint keeps_rest = rest_out is not None
        cdef int why = VM_JSON_OK
        cdef const uint8_t *base
        cdef const uint8_t *wrong = NULL
        if not (starts.shape[0] == ends.shape[0] == kinds.shape[0] == n and row_ends.shape[0] == rows
                and starts.shape[1] == ends.shape[1] == kinds.shape[1] >= rows):
            raise ValueError("spans must be (columns, rows)")
        if rows == 0:
            return 0, VM_JSON_OK, 0
        for row in range(rows):
            if not 0 <= row_starts[row] <= row_ends[row] <= buffer.shape[0]:
                raise ValueError(f"row {row} lies outside the buffer")
            total += row_ends[row] - row_starts[row]
        if buffer.shape[0] == 0:
            return 0, VM_JSON_SHORT, 0
        rest.out, rest.size = NULL, 0
        if keeps_rest:
            if rest_offsets is None or rest_offsets.shape[0] < rows + 1 or rest_out.shape[0] < max(total, 1):
                raise ValueError("the rest must have room for all rows")
            if total > INT32_MAX:
                raise ValueError("the rest of more rows than an int32 can count")
            rest.out = &rest_out[0]
            rest_offsets[0] = 0
        base = &buffer[0]
        with nogil:
            for row in range(rows):
                for column in range(n):
                    starts[column, row] = -1
                    ends[column, row] = -1
                    kinds[column, row] = VM_SPAN_NULL
                wrong = self.object_at(base, base + row_starts[row], base + row_ends[row], row, starts, ends, kinds,
                                       &rest, &why)
                if wrong != NULL:
                    break
                if keeps_rest:
                    if rest.size == rest_offsets[row]:  # the row has no other members
                        rest.out[rest.size] = c"{"
                        rest.size += 1
                    rest.out[rest.size] = c"}"
                    rest.size += 1
                    rest_offsets[row + 1] = <int32_t>rest.size
        if wrong != NULL:
            return row, why, wrong - base
        return rows, VM_JSON_OK, 0


def elements_at(const uint8_t[::1] buffer, int64_t[::1] starts, int64_t[::1] ends, uint8_t[::1] kinds,
                Py_ssize_t index):
    """Replace the spans of arrays (rows,) by those of their element ``index``. Return the first other row, or -1.

    A null, and an array that ends before, become NULL_VALUE. Another value is not touched: the rows behind it are not
    looked at. Raises ValueError for spans outside the buffer.
    Python twin: tests/support/oracles/json_read.py (element_at)
    """
    cdef Py_ssize_t row, rows = starts.shape[0], i, wrong = -1
    cdef int kind, why = VM_JSON_OK
    cdef const uint8_t *base
    cdef const uint8_t *p
    cdef const uint8_t *q
    cdef const uint8_t *end
    if not (ends.shape[0] == kinds.shape[0] == rows) or index < 0:
        raise ValueError("spans must be (rows,), and the index not negative")
    for row in range(rows):
        if kinds[row] != VM_SPAN_NULL and not 0 <= starts[row] < ends[row] <= buffer.shape[0]:
            raise ValueError(f"row {row} lies outside the buffer")
    if rows == 0 or buffer.shape[0] == 0:
        return -1
    base = &buffer[0]
    with nogil:
        for row in range(rows):
            if kinds[row] == VM_SPAN_NULL:
                continue
            if kinds[row] != VM_SPAN_ARRAY:
                wrong = row
                break
            end = base + ends[row]
            p = vm_white(base + starts[row] + 1, end)
            kinds[row] = VM_SPAN_NULL
            starts[row] = -1
            i = 0
            while p < end and p[0] != c"]":
                kind = VM_SPAN_NULL
                q = vm_value_end(p, end, &kind, &why)
                if q == NULL:
                    break
                if i == index:
                    starts[row] = p - base
                    ends[row] = q - base
                    kinds[row] = kind
                    break
                i += 1
                p = vm_white(q, end)
                if p < end and p[0] == c",":
                    p = vm_white(p + 1, end)
            if starts[row] < 0:
                ends[row] = -1
    return wrong
