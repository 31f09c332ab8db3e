"""Pass over rows of JSON and CSV that are surely fine: nothing is decoded, and nothing is said about the others.

Their twins are the checks in Python (``vecmill.validate.text.json``, ``csv_file``), which look at every row that is not
passed here, and word what is wrong: a row that is passed is one of which they say nothing. Values of a kind that is
only looked at in Python are noted with their places. All walks release the GIL.
"""

from cpython.bytes cimport PyBytes_AsString
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memchr, memcmp, memset

cdef extern from "row_check.h" nogil:
    enum: VM_F_ANY, VM_F_BOOL, VM_F_INT, VM_F_FLOAT, VM_F_TEXT, VM_F_JSON, VM_F_META, VM_F_SPARSE, VM_F_LIST, VM_F_LATER
    enum: VM_F_SCRATCH
    ctypedef struct vm_fine:
        int kind, item, exact, optional, nullable, digits
        int64_t low, top
        Py_ssize_t count, max_bytes
        uint8_t *scratch
    const uint8_t *vm_white(const uint8_t *p, const uint8_t *end) noexcept
    const uint8_t *vm_string_end(const uint8_t *p, const uint8_t *end, int *escaped, int *why) noexcept
    bint vm_has_crlf(const uint8_t *s, Py_ssize_t n) noexcept
    bint vm_utf8_valid(const uint8_t *s, Py_ssize_t n) noexcept
    const uint8_t *vm_fine_json(const uint8_t *p, const uint8_t *end, int digits, int depth) noexcept
    const uint8_t *vm_fine_sparse(const uint8_t *p, const uint8_t *end) noexcept
    const uint8_t *vm_fine_value(const vm_fine *f, const uint8_t *p, const uint8_t *end) noexcept
    bint vm_fine_cell(const vm_fine *f, const uint8_t *p, const uint8_t *end) noexcept

cdef extern from "csv_read.h" nogil:
    enum: VM_D_OK, VM_D_ESCAPED
    ctypedef struct vm_dialect:
        uint8_t separator, quote
        const uint8_t *null
        Py_ssize_t null_size
    ctypedef struct vm_field:
        const uint8_t *start
        const uint8_t *end
        const uint8_t *next
        int kind, last
    int vm_next_field(const vm_dialect *d, const uint8_t *p, const uint8_t *end, int final, vm_field *f) noexcept
    Py_ssize_t vm_unquote(const uint8_t *p, Py_ssize_t n, uint8_t quote, uint8_t *out) noexcept

ANY = VM_F_ANY
BOOL = VM_F_BOOL
INT = VM_F_INT
FLOAT = VM_F_FLOAT
TEXT = VM_F_TEXT
JSON = VM_F_JSON
META = VM_F_META
SPARSE = VM_F_SPARSE
LIST = VM_F_LIST
LATER = VM_F_LATER

cdef enum:
    MAX_KEYS = 256              # of a row, and of its $meta
    MAX_ROW_BYTES = 8388608
    MAX_DIGITS = 300            # before the point: of numbers that are looked at no closer

cdef struct Key:
    const uint8_t *start
    Py_ssize_t size


cdef inline bint same(const Key *a, const Key *b) noexcept nogil:
    return a.size == b.size and memcmp(a.start, b.start, a.size) == 0


def fine_sparse(const int32_t[::1] offsets not None, const uint8_t[::1] data not None, Py_ssize_t first):
    """Return the first value, from ``first`` on, that is not surely the JSON text of a sparse vector, or -1.

    The column is as in Arrow: ``offsets`` (n + 1), absolute positions in ``data``. Surely fine are decimal indices in
    ascending order with numbers that are not negative.
    """
    cdef Py_ssize_t i, n = offsets.shape[0] - 1, size = data.shape[0]
    cdef const uint8_t *base
    cdef const uint8_t *p
    cdef const uint8_t *end
    if first < 0 or n < 0:
        raise ValueError("offsets must hold n + 1 entries, and first must not be negative")
    if size == 0:
        return first if first < n else -1
    base = &data[0]
    i = first
    with nogil:
        while i < n:
            if offsets[i] < 0 or offsets[i + 1] < offsets[i] or offsets[i + 1] > size:
                break
            end = base + offsets[i + 1]
            p = vm_fine_sparse(vm_white(base + offsets[i], end), end)
            if p == NULL or vm_white(p, end) != end:
                break
            i += 1
    return i if i < n else -1


cdef class FineRows:
    """The fields of one file.

    ``fields``: (name, kind, item, exact, optional, nullable, digits, low, top, count, max_bytes), as in ``row_check.h``;
    of CSV one a column. ``other_keys``: JSON rows may have more keys, none of which is in ``forbidden``. ``later``
    (k, 5) has room for values that Python looks at: row from the first one on, field, first byte, byte behind it,
    whether quotes in it are doubled. Names are UTF-8.
    """

    cdef readonly tuple names
    cdef readonly tuple forbidden
    cdef bint other_keys
    cdef vm_fine *fields
    cdef Key *keys
    cdef Key *banned
    cdef uint8_t *seen
    cdef uint8_t *scratch
    cdef Py_ssize_t n, n_banned, n_later
    cdef int64_t[:, ::1] later

    def __cinit__(self, fields, forbidden, bint other_keys, int64_t[:, ::1] later not None):
        cdef Py_ssize_t i
        self.names = tuple(field[0] for field in fields)
        self.forbidden = tuple(forbidden)
        self.n, self.n_banned = len(self.names), len(self.forbidden)
        self.other_keys, self.later = other_keys, later
        if later.shape[1] != 5 or later.shape[0] < self.n:
            raise ValueError("later must be (k, 5), with room for a row")
        self.fields = <vm_fine *>calloc(self.n + 1, sizeof(vm_fine))
        self.keys = <Key *>calloc(self.n + 1, sizeof(Key))
        self.banned = <Key *>calloc(len(self.forbidden) + 1, sizeof(Key))
        self.seen = <uint8_t *>malloc(self.n + 1)
        self.scratch = <uint8_t *>malloc(2 * VM_F_SCRATCH)
        if not (self.fields and self.keys and self.banned and self.seen and self.scratch):
            raise MemoryError
        for i, field in enumerate(fields):
            f = &self.fields[i]
            f.scratch = self.scratch + VM_F_SCRATCH
            (_, f.kind, f.item, f.exact, f.optional, f.nullable, f.digits) = field[:7]
            (f.low, f.top, f.count, f.max_bytes) = field[7:]
        for i, name in enumerate(self.names):
            self.keys[i] = Key(<const uint8_t *>PyBytes_AsString(name), len(name))  # self.names keeps it alive
        for i, name in enumerate(self.forbidden):
            self.banned[i] = Key(<const uint8_t *>PyBytes_AsString(name), len(name))

    def __dealloc__(self):
        free(self.fields)
        free(self.keys)
        free(self.banned)
        free(self.seen)
        free(self.scratch)

    cdef Py_ssize_t find(self, const Key *key, Py_ssize_t guess) noexcept nogil:
        cdef Py_ssize_t i
        if guess < self.n and same(key, &self.keys[guess]):
            return guess
        for i in range(self.n):
            if same(key, &self.keys[i]):
                return i
        return -1

    cdef bint note(self, Py_ssize_t row, Py_ssize_t field, Py_ssize_t start, Py_ssize_t stop,
                   bint doubled) noexcept nogil:
        if self.n_later == self.later.shape[0]:
            return False
        self.later[self.n_later, 0] = row
        self.later[self.n_later, 1] = field
        self.later[self.n_later, 2] = start
        self.later[self.n_later, 3] = stop
        self.later[self.n_later, 4] = doubled
        self.n_later += 1
        return True

    cdef bint meta_fits(self, const uint8_t *p, const uint8_t *end, const Key *row, Py_ssize_t n_row) noexcept nogil:
        """Whether no key of ``$meta``, which is an object, is in the row too. ``row`` has ``$meta`` itself."""
        cdef Key key
        cdef Py_ssize_t i
        cdef int escaped = 0, why = 0
        p = vm_white(p + 1, end)
        while p[0] != c"}":
            key.start = p + 1
            p = vm_string_end(p + 1, end, &escaped, &why)
            if p == NULL or escaped:
                return False
            key.size = p - key.start
            for i in range(n_row):
                if same(&key, &row[i]):
                    return False
            p = vm_fine_json(vm_white(vm_white(p + 1, end) + 1, end), end, MAX_DIGITS, 0)
            p = vm_white(p, end)
            if p[0] == c",":
                p = vm_white(p + 1, end)
        return True

    cdef const uint8_t *object(self, const uint8_t *base, const uint8_t *p, const uint8_t *end,
                               Py_ssize_t row) noexcept nogil:
        """Return the byte behind an object that is fine, or NULL."""
        cdef Key[MAX_KEYS] keys
        cdef Key *key
        cdef Py_ssize_t n_keys = 0, field, i, guess = 0
        cdef int escaped = 0, why = 0
        cdef const uint8_t *first = p
        cdef const uint8_t *q
        cdef const uint8_t *meta = NULL
        cdef const uint8_t *meta_end = NULL
        if p == end or p[0] != c"{":
            return NULL
        memset(self.seen, 0, self.n)
        p = vm_white(p + 1, end)
        if p < end and p[0] == c"}":
            return NULL
        while True:
            if p == end or p[0] != c'"' or n_keys == MAX_KEYS:
                return NULL
            key = &keys[n_keys]
            n_keys += 1
            key.start = p + 1
            p = vm_string_end(p + 1, end, &escaped, &why)
            if p == NULL or escaped:
                return NULL
            key.size = p - key.start
            field = self.find(key, guess)
            guess = field + 1
            p = vm_white(p + 1, end)
            if p == end or p[0] != c":":
                return NULL
            p = vm_white(p + 1, end)
            if field >= 0:
                if self.seen[field]:
                    return NULL
                self.seen[field] = 1
                q = self.value(base, p, end, row, field)
                if q != NULL and self.fields[field].kind == VM_F_META and p[0] == c"{":
                    meta, meta_end = p, q
            else:
                if not self.other_keys or not vm_utf8_valid(key.start, key.size):
                    return NULL
                for i in range(n_keys - 1):
                    if same(key, &keys[i]):
                        return NULL
                for i in range(self.n_banned):
                    if same(key, &self.banned[i]):
                        return NULL
                q = vm_fine_json(p, end, MAX_DIGITS, 0)
            if q == NULL:
                return NULL
            p = vm_white(q, end)
            if p == end:
                return NULL
            if p[0] == c"}":
                break
            if p[0] != c",":
                return NULL
            p = vm_white(p + 1, end)
        p += 1
        for field in range(self.n):
            if not self.seen[field] and not self.fields[field].optional:
                return NULL
        if p - first > MAX_ROW_BYTES or (meta != NULL and not self.meta_fits(meta, meta_end, keys, n_keys)):
            return NULL
        return p

    cdef const uint8_t *value(self, const uint8_t *base, const uint8_t *p, const uint8_t *end, Py_ssize_t row,
                              Py_ssize_t field) noexcept nogil:
        cdef const vm_fine *f = &self.fields[field]
        cdef const uint8_t *q = NULL
        if f.kind == VM_F_SPARSE:
            q = vm_fine_sparse(p, end)
        if q == NULL:
            q = vm_fine_value(f, p, end)
            if q != NULL and f.kind >= VM_F_SPARSE and f.kind != VM_F_LIST and p[0] != c"n":
                if not self.note(row, field, p - base, q - base, False):
                    return NULL
        return q

    def json_rows(self, const uint8_t[::1] data not None, Py_ssize_t start, Py_ssize_t limit, bint comma):
        """Pass over rows from ``start`` on, at most ``limit``; with ``comma`` a row needs one behind it, and it too.

        Return (rows, where to go on, values in ``later``). Blanks behind what is passed are, too.
        """
        cdef Py_ssize_t rows = 0, before, size = data.shape[0]
        cdef const uint8_t *base
        cdef const uint8_t *p
        cdef const uint8_t *q
        cdef const uint8_t *end
        self.n_later = 0
        if not 0 <= start < size:
            return 0, start, 0
        base = &data[0]
        end = base + size
        with nogil:
            p = vm_white(base + start, end)
            while rows < limit:
                before = self.n_later
                q = self.object(base, p, end, rows)
                if q != NULL:
                    q = vm_white(q, end)
                    if comma:
                        q = vm_white(q + 1, end) if q < end and q[0] == c"," else NULL
                if q == NULL:
                    self.n_later = before
                    break
                rows += 1
                p = q
        return rows, p - base, self.n_later

    cdef bint cell(self, const uint8_t *base, const vm_field *cell, Py_ssize_t row, Py_ssize_t column,
                   const vm_dialect *d) noexcept nogil:
        cdef const vm_fine *f = &self.fields[column]
        cdef const uint8_t *p = cell.start
        cdef Py_ssize_t n = cell.end - p
        cdef bint doubled = cell.kind == VM_D_ESCAPED
        if f.kind == VM_F_ANY:
            return True
        if vm_has_crlf(p, n):
            return False
        if n == d.null_size and memcmp(p, d.null, n) == 0 and not doubled:
            if f.nullable:
                return True
            if f.kind < VM_F_TEXT or f.kind == VM_F_LIST:
                return False
        if f.kind == VM_F_LATER:
            return self.note(row, column, p - base, cell.end - base, doubled)
        if doubled and f.kind != VM_F_TEXT:
            if n >= VM_F_SCRATCH:
                return False
            n = vm_unquote(p, n, d.quote, self.scratch)
            p = self.scratch
        if vm_fine_cell(f, p, p + n):
            return True
        return f.kind == VM_F_SPARSE and self.note(row, column, cell.start - base, cell.end - base, doubled)

    def csv_rows(self, const uint8_t[::1] data not None, Py_ssize_t start, Py_ssize_t limit, uint8_t separator,
                 const uint8_t[::1] null not None):
        """Pass over lines of as many cells as there are fields, at most ``limit``; as `json_rows`.

        ``null``: what stands for a null. A blank line is not passed.
        """
        cdef Py_ssize_t rows = 0, column, before, size = data.shape[0]
        cdef vm_dialect d
        cdef vm_field f
        cdef const uint8_t *base
        cdef const uint8_t *p
        cdef const uint8_t *q
        cdef const uint8_t *end
        cdef uint8_t nothing = 0
        self.n_later = 0
        if not 0 <= start < size or self.n == 0:
            return 0, start, 0
        d.separator, d.quote = separator, c'"'
        d.null = &null[0] if null.shape[0] else &nothing
        d.null_size = null.shape[0]
        base = &data[0]
        end = base + size
        with nogil:
            p = base + start
            while rows < limit and p < end and p[0] != c"\n" and p[0] != c"\r":
                before = self.n_later
                q = p
                for column in range(self.n):
                    if vm_next_field(&d, q, end, False, &f) != VM_D_OK or f.last != (column == self.n - 1):
                        q = NULL
                    elif q[0] != c'"' and memchr(f.start, c'"', f.end - f.start) != NULL:
                        q = NULL
                    elif not self.cell(base, &f, rows, column, &d):
                        q = NULL
                    else:
                        q = f.next
                    if q == NULL:
                        break
                if q == NULL:
                    self.n_later = before
                    break
                rows += 1
                p = q
        return rows, p - base, self.n_later
