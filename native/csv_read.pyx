"""Rows of CSV, TSV and PostgreSQL's COPY text as spans of a buffer, and spans of text as an Arrow string column.

Kinds are those of ``jsonrows``: NULL for the null text where it stands unquoted, STRING for plain text, ESCAPED for
text that has to be unquoted first. Oracles: Python's csv module, and ``tests/oracles_text.py`` (``copy_unescaped``).
All release the GIL.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcpy

cdef extern from "text.h" nogil:
    bint vm_is_ascii(const uint8_t *s, Py_ssize_t n) noexcept
    bint vm_utf8_valid(const uint8_t *s, Py_ssize_t n) noexcept

cdef extern from "json_read.h" nogil:
    enum: VM_STRING, VM_ESCAPED
    Py_ssize_t vm_json_unescape(const uint8_t *p, Py_ssize_t n, uint8_t *out) noexcept

cdef extern from "csv_read.h" nogil:
    enum: VM_D_OK, VM_D_SHORT, VM_D_QUOTE, VM_D_FEW, VM_D_MANY, VM_D_END
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

OK = VM_D_OK
QUOTE = VM_D_QUOTE      # a quote is not closed, or something stands behind the closing one
FEW = VM_D_FEW          # fewer fields than columns
MANY = VM_D_MANY        # more
END = VM_D_END          # the line "\." of COPY: nothing follows it

FINE = 0
NOT_UTF8 = 1
SURROGATE = 2

# How the text of an ESCAPED value is to be read.
JSON = 0
BACKSLASH = 1           # COPY; any other number is the quote that is doubled


def split_fields(const uint8_t[::1] buffer, Py_ssize_t start, bint final, int separator, int quote,
                 const uint8_t[::1] null, const int32_t[::1] slots, Py_ssize_t max_rows, int64_t[::1] row_starts,
                 int64_t[:, ::1] starts, int64_t[:, ::1] ends, uint8_t[:, ::1] kinds):
    """Split rows from ``start`` on, at most ``max_rows``, into spans (columns kept, rows).

    ``slots[i]`` is the place of field ``i`` among the spans, -1 for a field that nobody wants. ``quote`` 0: none, and
    backslashes escape. ``null``: the text that stands for null. Blank lines are passed over. Return (rows, where to go
    on, why, fields of the row that is wrong): FEW and MANY are rows of another number of fields.
    """
    cdef Py_ssize_t n = 0, room = min(max_rows, starts.shape[1]), width = slots.shape[0], field = 0, i
    cdef int why = VM_D_OK
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
        return 0, start, VM_D_OK, 0
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
                why = VM_D_END
                break
            q = p
            field = 0
            while True:
                why = vm_next_field(&dialect, q, end, final, &f)
                if why != VM_D_OK:
                    break
                if field < width and slots[field] >= 0:
                    starts[slots[field], n] = f.start - base
                    ends[slots[field], n] = f.end - base
                    kinds[slots[field], n] = f.kind
                field += 1
                q = f.next
                if f.last:
                    break
            if why == VM_D_OK and field != width:
                why = VM_D_FEW if field < width else VM_D_MANY
            if why != VM_D_OK:
                break
            row_starts[n] = p - base
            n += 1
            p = q
    return n, p - base, (VM_D_OK if why == VM_D_SHORT else why), field


def strings_into(const uint8_t[::1] buffer, const int64_t[::1] starts, const int64_t[::1] ends,
                 const uint8_t[::1] kinds, int style, int32_t[::1] offsets, uint8_t[::1] out):
    """Gather text as UTF-8: ``offsets`` (n + 1) and bytes, for which ``out`` needs the sum of all span lengths.

    Spans of kind STRING are the text, those of kind ESCAPED are read by ``style`` (JSON, BACKSLASH, or the quote); JSON
    strings are given with their quotes. All other kinds become empty. Return (row, reason) of the first that is no
    text, (-1, FINE) when all are.
    """
    cdef Py_ssize_t i, size, rows = starts.shape[0], used = 0, total = 0
    cdef int reason = 0
    cdef const uint8_t *p
    cdef uint8_t *o
    if not (ends.shape[0] == kinds.shape[0] == rows and offsets.shape[0] == rows + 1):
        raise ValueError("starts, ends and kinds must be of one length, offsets one longer")
    for i in range(rows):
        if kinds[i] == VM_STRING or kinds[i] == VM_ESCAPED:
            if not 0 <= starts[i] <= ends[i] <= buffer.shape[0] or (style == 0 and ends[i] - starts[i] < 2):
                raise ValueError(f"span {i} lies outside the buffer")
            total += ends[i] - starts[i]
    if total > out.shape[0] or total > 0x7FFFFFFF:
        raise ValueError("the text does not fit")
    offsets[0] = 0
    with nogil:
        for i in range(rows):
            if (kinds[i] == VM_STRING or kinds[i] == VM_ESCAPED) and ends[i] > starts[i]:
                p = &buffer[0] + starts[i]
                size = ends[i] - starts[i]
                o = &out[0] + used
                if style == 0:
                    p += 1
                    size -= 2
                if kinds[i] == VM_STRING:
                    memcpy(o, p, size)
                elif style == 0:
                    size = vm_json_unescape(p, size, o)
                elif style == 1:
                    size = vm_copy_unescape(p, size, o)
                else:
                    size = vm_unquote(p, size, style, o)
                if size < 0:
                    reason = 2
                    break
                if not vm_is_ascii(o, size) and not vm_utf8_valid(o, size):
                    reason = 1
                    break
                used += size
            offsets[i + 1] = used
    return (i if reason else -1), reason
