"""Rows in JSON text: where every row and every wanted value of it begins and ends, in one buffer.

A value becomes a span of the buffer and a kind (``NULL`` for an absent key, too); nothing is decoded here. Walks return
why they stopped and where: ``SYNTAX``, ``SHORT`` (the text ends too early), ``DEEP`` (more than 512 brackets in one
another), ``TWICE`` (a wanted key again in one object), ``UNKNOWN`` (a key that nobody wants); Python words the error.
Oracles: ``tests/oracles_text.py`` (``json_row``). All walks release the GIL.
"""

from cpython.bytes cimport PyBytes_AsString
from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport free, malloc
from libc.string cimport memchr, memcmp

cdef extern from "json_read.h" nogil:
    enum: VM_NULL, VM_FALSE, VM_TRUE, VM_INT, VM_FLOAT, VM_STRING, VM_ESCAPED, VM_ARRAY, VM_OBJECT
    enum: VM_J_OK, VM_J_SYNTAX, VM_J_SHORT, VM_J_DEEP, VM_J_TWICE, VM_J_UNKNOWN
    const uint8_t *vm_white(const uint8_t *p, const uint8_t *end) noexcept
    const uint8_t *vm_string_end(const uint8_t *p, const uint8_t *end, int *escaped, int *why) noexcept
    const uint8_t *vm_value_end(const uint8_t *p, const uint8_t *end, int *kind, int *why) noexcept
    Py_ssize_t vm_count_lines(const uint8_t *p, Py_ssize_t n) noexcept
    Py_ssize_t vm_json_unescape(const uint8_t *p, Py_ssize_t n, uint8_t *out) noexcept

NULL_VALUE = VM_NULL
FALSE = VM_FALSE
TRUE = VM_TRUE
INT = VM_INT
FLOAT = VM_FLOAT
STRING = VM_STRING
ESCAPED = VM_ESCAPED
ARRAY = VM_ARRAY
OBJECT = VM_OBJECT

OK = VM_J_OK
SYNTAX = VM_J_SYNTAX
SHORT = VM_J_SHORT
DEEP = VM_J_DEEP
TWICE = VM_J_TWICE
UNKNOWN = VM_J_UNKNOWN

# What may come next among the elements of an array.
FIRST = 0       # a value, or the end of the array
VALUE = 1       # a value
SEPARATOR = 2   # a comma, or the end
CLOSED = 3      # nothing: the array has ended
SEQUENCE = 4    # no array at all: values one after another, blanks between them


def count_lines(const uint8_t[::1] buffer):
    """Return how many line feeds there are."""
    cdef Py_ssize_t n = buffer.shape[0]
    if n == 0:
        return 0
    with nogil:
        n = vm_count_lines(&buffer[0], n)
    return n


def value_end(const uint8_t[::1] buffer, Py_ssize_t start):
    """Return (end, kind, why) of the value that begins at ``start``."""
    cdef int kind = VM_NULL, why = VM_J_OK
    cdef const uint8_t *p
    if not 0 <= start < buffer.shape[0]:
        return start, VM_NULL, VM_J_SHORT
    p = vm_value_end(&buffer[start], &buffer[0] + buffer.shape[0], &kind, &why)
    if p == NULL:
        return start, kind, why
    return <Py_ssize_t>(p - &buffer[0]), kind, VM_J_OK


def split_lines(const uint8_t[::1] buffer, Py_ssize_t start, bint final, int64_t[::1] starts, int64_t[::1] ends):
    """Find lines that hold more than blanks, from ``start`` on, as many as fit. Return (rows, where to go on).

    A line without an end counts if ``final``; else the search goes on there when more of the file is in the buffer.
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
    """Find the elements of an array from ``start`` on, as many as fit. Return (rows, where to go on, state, why).

    ``state`` says what may come next; ``why`` other than OK says what is wrong at the place to go on.
    """
    cdef Py_ssize_t n = 0, room = min(starts.shape[0], ends.shape[0])
    cdef int why = VM_J_OK, kind = VM_NULL
    cdef const uint8_t *base
    cdef const uint8_t *p
    cdef const uint8_t *q
    cdef const uint8_t *end
    if not 0 <= start < buffer.shape[0]:
        return 0, start, state, VM_J_SHORT if final and state < 3 else VM_J_OK
    base = &buffer[0]
    with nogil:
        p = base + start
        end = base + buffer.shape[0]
        while n < room and state != 3:
            p = vm_white(p, end)
            if p == end:
                why = VM_J_SHORT if state != 4 else VM_J_OK
                break
            if state == 2 and p[0] == c",":
                state = 1
                p += 1
                continue
            if (state == 0 or state == 2) and p[0] == c"]":
                state = 3
                p += 1
                break
            if state == 2:
                why = VM_J_SYNTAX
                break
            q = vm_value_end(p, end, &kind, &why)
            if q == NULL:
                break
            if q == end and not final and kind <= VM_FLOAT:
                why = VM_J_SHORT
                break
            why = VM_J_OK
            starts[n] = p - base
            ends[n] = q - base
            n += 1
            p = q
            if state != 4:
                state = 2
    if why == VM_J_SHORT and not final:
        why = VM_J_OK
    return n, p - base, state, why


cdef class ObjectWalker:
    """Walk objects and keep the spans of wanted keys.

    ``names``: the keys, as UTF-8. ``refuse_unknown``: other keys stop the walk; else they are passed over.
    """

    cdef readonly tuple names
    cdef readonly bint refuse_unknown
    cdef const char **keys
    cdef Py_ssize_t *sizes
    cdef Py_ssize_t n

    def __cinit__(self, names, bint refuse_unknown):
        cdef Py_ssize_t i
        self.names = tuple(names)
        self.n = len(self.names)
        self.refuse_unknown = refuse_unknown
        self.keys = <const char **>malloc((len(self.names) + 1) * sizeof(char *))
        self.sizes = <Py_ssize_t *>malloc((len(self.names) + 1) * sizeof(Py_ssize_t))
        if self.keys == NULL or self.sizes == NULL:
            raise MemoryError
        for i, name in enumerate(self.names):
            self.keys[i] = PyBytes_AsString(name)  # self.names keeps it alive
            self.sizes[i] = len(name)

    def __dealloc__(self):
        free(self.keys)
        free(self.sizes)

    cdef Py_ssize_t find(self, const uint8_t *key, Py_ssize_t size, Py_ssize_t guess) noexcept nogil:
        cdef Py_ssize_t i
        if guess < self.n and self.sizes[guess] == size and memcmp(self.keys[guess], key, size) == 0:
            return guess
        for i in range(self.n):
            if self.sizes[i] == size and memcmp(self.keys[i], key, size) == 0:
                return i
        return -1

    cdef Py_ssize_t find_escaped(self, const uint8_t *key, Py_ssize_t size) noexcept nogil:
        cdef uint8_t plain[1024]
        if size > 1024:
            return -1
        size = vm_json_unescape(key, size, plain)
        return -1 if size < 0 else self.find(plain, size, 0)

    cdef const uint8_t *one(self, const uint8_t *base, const uint8_t *p, const uint8_t *end, Py_ssize_t row,
                            int64_t[:, ::1] starts, int64_t[:, ::1] ends, uint8_t[:, ::1] kinds,
                            int *why) noexcept nogil:
        """Walk one object. Return NULL when all is well, else where it is not."""
        cdef const uint8_t *key
        cdef const uint8_t *q
        cdef Py_ssize_t column, guess = 0
        cdef int escaped, kind = VM_NULL
        why[0] = VM_J_SYNTAX
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
            key = p + 1
            q = vm_string_end(key, end, &escaped, why)
            if q == NULL:
                return p
            column = self.find_escaped(key, q - key) if escaped else self.find(key, q - key, guess)
            guess = column + 1
            if column < 0 and self.refuse_unknown:
                why[0] = VM_J_UNKNOWN
                return key - 1
            why[0] = VM_J_SYNTAX
            p = vm_white(q + 1, end)
            if p == end or p[0] != c":":
                return p
            p = vm_white(p + 1, end)
            q = vm_value_end(p, end, &kind, why)
            if q == NULL:
                return p
            if column >= 0:
                if starts[column, row] >= 0:
                    why[0] = VM_J_TWICE
                    return key - 1
                starts[column, row] = p - base
                ends[column, row] = q - base
                kinds[column, row] = kind
            why[0] = VM_J_SYNTAX
            p = vm_white(q, end)
            if p == end:
                return p
            if p[0] == c"}":
                return self.behind(p + 1, end)
            if p[0] != c",":
                return p
            p = vm_white(p + 1, end)

    cdef const uint8_t *behind(self, const uint8_t *p, const uint8_t *end) noexcept nogil:
        p = vm_white(p, end)
        if p == end:
            return NULL
        return p

    def walk(self, const uint8_t[::1] buffer, const int64_t[::1] row_starts, const int64_t[::1] row_ends,
             int64_t[:, ::1] starts, int64_t[:, ::1] ends, uint8_t[:, ::1] kinds):
        """Fill spans (columns, rows). Return (rows that are well, why the next one is not, where that is).

        The span of an absent key begins at -1, and its kind is NULL.
        """
        cdef Py_ssize_t row, column, rows = row_starts.shape[0], n = self.n
        cdef int why = VM_J_OK
        cdef const uint8_t *base
        cdef const uint8_t *wrong = NULL
        if not (starts.shape[0] == ends.shape[0] == kinds.shape[0] == n and row_ends.shape[0] == rows
                and starts.shape[1] == ends.shape[1] == kinds.shape[1] >= rows):
            raise ValueError("spans must be (columns, rows)")
        if rows == 0:
            return 0, VM_J_OK, 0
        for row in range(rows):
            if not 0 <= row_starts[row] <= row_ends[row] <= buffer.shape[0]:
                raise ValueError(f"row {row} lies outside the buffer")
        if buffer.shape[0] == 0:
            return 0, VM_J_SHORT, 0
        base = &buffer[0]
        with nogil:
            for row in range(rows):
                for column in range(n):
                    starts[column, row] = -1
                    ends[column, row] = -1
                    kinds[column, row] = VM_NULL
                wrong = self.one(base, base + row_starts[row], base + row_ends[row], row, starts, ends, kinds, &why)
                if wrong != NULL:
                    break
        if wrong != NULL:
            return row, why, wrong - base
        return rows, VM_J_OK, 0
