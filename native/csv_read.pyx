"""Rows of CSV, TSV and PostgreSQL's COPY text as spans of a buffer, and spans of text as an Arrow string column.

Kinds of values are those of ``json_read``: NULL_VALUE for the null text without quotes, STRING for plain text, ESCAPED
for text whose quotes or backslashes are still to be undone. Buffers and kinds are uint8, starts and ends int64. All
functions release the GIL.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcpy

from spans cimport VM_SPAN_ESCAPED, VM_SPAN_STRING

cdef extern from "text.h" nogil:
    bint vm_is_ascii(const uint8_t *s, Py_ssize_t n) noexcept
    bint vm_utf8_valid(const uint8_t *s, Py_ssize_t n) noexcept

cdef extern from "json_read.h" nogil:
    Py_ssize_t vm_json_unescape(const uint8_t *p, Py_ssize_t n, uint8_t *out) noexcept

cdef extern from "csv_read.h" nogil:
    enum: VM_CSV_OK, VM_CSV_SHORT, VM_CSV_QUOTE, VM_CSV_FEW, VM_CSV_MANY, VM_CSV_END
    ctypedef struct vm_dialect:
        uint8_t separator
        uint8_t quote
        const uint8_t *null
        Py_ssize_t null_size
    ctypedef struct vm_field:
        const uint8_t *start
        const uint8_t *end
        const uint8_t *next
        int kind
        int last
    int vm_next_field(const vm_dialect *d, const uint8_t *p, const uint8_t *end, int final, vm_field *f) noexcept
    Py_ssize_t vm_unquote(const uint8_t *p, Py_ssize_t n, uint8_t quote, uint8_t *out) noexcept
    Py_ssize_t vm_copy_unescape(const uint8_t *p, Py_ssize_t n, uint8_t *out) noexcept

OK = VM_CSV_OK
QUOTE = VM_CSV_QUOTE
FEW = VM_CSV_FEW
MANY = VM_CSV_MANY
END = VM_CSV_END

# What strings_into found.
cdef enum Reason:
    REASON_FINE = 0
    REASON_NOT_UTF8 = 1
    REASON_SURROGATE = 2

FINE = REASON_FINE
NOT_UTF8 = REASON_NOT_UTF8
SURROGATE = REASON_SURROGATE

# How the text of an ESCAPED value is read. Any other number is the quote that is doubled in it.
cdef enum Style:
    STYLE_JSON = 0
    STYLE_BACKSLASH = 1

JSON = STYLE_JSON
BACKSLASH = STYLE_BACKSLASH


def split_fields(const uint8_t[::1] buffer, Py_ssize_t start, bint final, int separator, int quote,
                 const uint8_t[::1] null, const int32_t[::1] slots, Py_ssize_t max_rows, int64_t[::1] row_starts,
                 int64_t[:, ::1] starts, int64_t[:, ::1] ends, uint8_t[:, ::1] kinds):
    r"""Split rows from ``start`` on, at most ``max_rows``, into spans (columns kept, rows).

    ``slots[i]``: row of the spans that takes field ``i``; -1: the field is not kept. ``quote`` 0: none, and backslashes
    escape. ``null``: the text that stands for a null. ``final``: the file ends with the buffer. Blank lines are passed
    over. Return (rows, where to go on, why, fields of the row that is wrong); why is OK, QUOTE, FEW, MANY (fewer or
    more fields than ``slots``) or END (the line ``\.`` of COPY). Raises ValueError for spans of another shape.
    Python twin: tests/support/oracles/csv_read.py (csv_rows)
    """
    cdef Py_ssize_t n = 0, room = min(max_rows, starts.shape[1]), width = slots.shape[0], field = 0, i
    cdef int why = VM_CSV_OK
    cdef vm_dialect dialect
    cdef vm_field f
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
        return 0, start, VM_CSV_OK, 0
    dialect.separator = separator
    dialect.quote = quote
    dialect.null_size = null.shape[0]
    base = &buffer[0]
    dialect.null = &null[0] if null.shape[0] else base
    with nogil:
        p = base + start
        end = base + buffer.shape[0]
        while p < end and n < room:
            if p[0] == c"\n" or (p[0] == c"\r" and p + 1 < end and p[1] == c"\n"):
                if width > 1 or quote:
                    p += 1 if p[0] == c"\n" else 2
                    continue
            if quote == 0 and end - p >= 3 and p[0] == c"\\" and p[1] == c"." and (p[2] == c"\n" or p[2] == c"\r"):
                why = VM_CSV_END
                break
            q = p
            field = 0
            while True:
                why = vm_next_field(&dialect, q, end, final, &f)
                if why != VM_CSV_OK:
                    break
                if field < width and slots[field] >= 0:
                    starts[slots[field], n] = f.start - base
                    ends[slots[field], n] = f.end - base
                    kinds[slots[field], n] = f.kind
                field += 1
                q = f.next
                if f.last:
                    break
            if why == VM_CSV_OK and field != width:
                why = VM_CSV_FEW if field < width else VM_CSV_MANY
            if why != VM_CSV_OK:
                break
            row_starts[n] = p - base
            n += 1
            p = q
    return n, p - base, (VM_CSV_OK if why == VM_CSV_SHORT else why), field


def strings_into(const uint8_t[::1] buffer, const int64_t[::1] starts, const int64_t[::1] ends,
                 const uint8_t[::1] kinds, int style, int32_t[::1] offsets, uint8_t[::1] out):
    """Gather text as UTF-8: ``offsets`` (n + 1,) int32 and bytes; ``out`` needs the sum of all span lengths.

    Spans of kind STRING are copied, those of kind ESCAPED are read by ``style``: JSON, BACKSLASH, or the quote. With
    JSON the quotes are part of each span. Other kinds become empty text. Return (-1, FINE), or (row, NOT_UTF8 or
    SURROGATE) of the first value that is not text. Raises ValueError for spans outside the buffer or too little room.
    Python twin: tests/support/oracles/csv_read.py (unquoted, copy_unescaped)
    """
    cdef Py_ssize_t i, size, rows = starts.shape[0], used = 0, total = 0
    cdef int reason = REASON_FINE
    cdef const uint8_t *p
    cdef uint8_t *o
    if not (ends.shape[0] == kinds.shape[0] == rows and offsets.shape[0] == rows + 1):
        raise ValueError("starts, ends and kinds must be of one length, offsets one longer")
    for i in range(rows):
        if kinds[i] == VM_SPAN_STRING or kinds[i] == VM_SPAN_ESCAPED:
            if not 0 <= starts[i] <= ends[i] <= buffer.shape[0] or (style == STYLE_JSON and ends[i] - starts[i] < 2):
                raise ValueError(f"span {i} lies outside the buffer")
            total += ends[i] - starts[i]
    if total > out.shape[0] or total > 0x7FFFFFFF:
        raise ValueError("the text does not fit")
    offsets[0] = 0
    with nogil:
        for i in range(rows):
            if (kinds[i] == VM_SPAN_STRING or kinds[i] == VM_SPAN_ESCAPED) and ends[i] > starts[i]:
                p = &buffer[0] + starts[i]
                size = ends[i] - starts[i]
                o = &out[0] + used
                if style == STYLE_JSON:
                    p += 1
                    size -= 2
                if kinds[i] == VM_SPAN_STRING:
                    memcpy(o, p, size)
                elif style == STYLE_JSON:
                    size = vm_json_unescape(p, size, o)
                elif style == STYLE_BACKSLASH:
                    size = vm_copy_unescape(p, size, o)
                else:
                    size = vm_unquote(p, size, style, o)
                if size < 0:
                    reason = REASON_SURROGATE
                    break
                if not vm_is_ascii(o, size) and not vm_utf8_valid(o, size):
                    reason = REASON_NOT_UTF8
                    break
                used += size
            offsets[i + 1] = used
    return (i if reason else -1), reason
