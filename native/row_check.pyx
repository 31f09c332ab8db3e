"""Pass over rows of JSON and CSV that are certainly valid. The GIL is released.

The checks in Python (``vecmill.validate.text``) look at every row that is not passed here, and word what is wrong; of a
row that is passed they find nothing. Values of kinds that only Python checks are noted with their places.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memchr, memcmp, memset

from keys cimport keys_of, vm_find_key, vm_key
from kinds cimport (
    VM_KIND_ARRAY, VM_KIND_GEOMETRY, VM_KIND_META, VM_KIND_SPARSE, VM_KIND_STRUCT, VM_KIND_TEXT, VM_KIND_TIMESTAMPTZ,
    kind_of, vm_is_number, vm_is_vector, vm_kinds,
)
from row_check_c cimport (
    VM_CHECK_DIGITS, VM_CHECK_SCRATCH, VM_CSV_OK, vm_check_cell, vm_check_json, vm_check_json_text, vm_check_sparse,
    vm_check_value,
    vm_dialect, vm_field, vm_field_check, vm_has_crlf, vm_meta_fits, vm_next_field, vm_string_end, vm_unquote,
    vm_utf8_valid, vm_white,
)
from spans cimport VM_SPAN_ESCAPED

cdef enum:
    MAX_KEYS = 256  # of a row
    MAX_ROW_BYTES = 8388608


cdef class RowChecker:
    """The fields of one file.

    Parameters:
        fields: for each (name in UTF-8, kind, item, optional, nullable, digits, low, top, count, max_bytes), see
            native/row_check.h. ``kind``, and ``item`` of an array, as ``ColumnPlan.kind``; None: anything is valid.
        forbidden: names that no key of a row may have.
        other_keys: JSON rows may have more keys than there are fields.
        later: (k, 5) int64, room for values that Python has to check: row (0: the first of the call), field, first
            byte, byte behind the value, 1 if quotes in it are doubled.

    Raises KeyError for an unknown kind, ValueError if ``later`` has no room for one row.
    Python twin: src/vecmill/validate/text/json.py (RowCheck)
    """

    cdef readonly tuple names
    cdef readonly tuple forbidden
    cdef bint other_keys
    cdef vm_field_check *fields
    cdef vm_key *keys
    cdef vm_key *banned
    cdef uint8_t *seen
    cdef uint8_t *scratch
    cdef Py_ssize_t n, n_banned, n_later
    cdef int64_t[:, ::1] later

    def __cinit__(self, fields, forbidden, bint other_keys, int64_t[:, ::1] later not None):
        cdef Py_ssize_t i
        self.names, self.forbidden = tuple(field[0] for field in fields), tuple(forbidden)
        self.n, self.n_banned, self.other_keys, self.later = len(self.names), len(self.forbidden), other_keys, later
        if later.shape[1] != 5 or later.shape[0] < self.n:
            raise ValueError("later must be (k, 5), with room for a row")
        self.fields = <vm_field_check *>calloc(self.n + 1, sizeof(vm_field_check))
        self.keys, self.banned = keys_of(self.names), keys_of(self.forbidden)
        self.seen = <uint8_t *>malloc(self.n + 1)
        self.scratch = <uint8_t *>malloc(2 * VM_CHECK_SCRATCH)
        if not (self.fields and self.seen and self.scratch):
            raise MemoryError
        for i, field in enumerate(fields):
            f = &self.fields[i]
            f.scratch = self.scratch + VM_CHECK_SCRATCH
            _, kind, item, f.optional, f.nullable, f.digits, f.low, f.top, f.count, f.max_bytes = field
            f.is_any = kind is None
            f.kind = 0 if kind is None else kind_of(kind)
            if vm_is_vector(f.kind):
                f.item = vm_kinds[f.kind].element
            elif f.kind == VM_KIND_ARRAY:
                f.item = kind_of(item)
                f.is_later = not (vm_is_number(f.item) or f.item == VM_KIND_TEXT)
            else:
                f.is_later = f.kind in (VM_KIND_GEOMETRY, VM_KIND_TIMESTAMPTZ, VM_KIND_STRUCT)

    def __dealloc__(self):
        free(self.fields)
        free(self.keys)
        free(self.banned)
        free(self.seen)
        free(self.scratch)

    cdef bint note(self, Py_ssize_t row, Py_ssize_t field, Py_ssize_t start, Py_ssize_t stop,
                   bint doubled) noexcept nogil:
        if self.n_later == self.later.shape[0]:
            return False
        self.later[self.n_later, 0], self.later[self.n_later, 1] = row, field
        self.later[self.n_later, 2], self.later[self.n_later, 3] = start, stop
        self.later[self.n_later, 4] = doubled
        self.n_later += 1
        return True

    cdef const uint8_t *object_at(self, const uint8_t *base, const uint8_t *p, const uint8_t *end,
                                  Py_ssize_t row) noexcept nogil:
        """Return the byte behind a row that is certainly valid, or NULL."""
        cdef vm_key[MAX_KEYS] keys
        cdef vm_key *key
        cdef Py_ssize_t n_keys = 0, field, guess = 0
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
            field = vm_find_key(self.keys, self.n, key, guess)
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
                if q != NULL and self.fields[field].kind == VM_KIND_META and p[0] == c"{":
                    meta, meta_end = p, q
            else:
                if not self.other_keys or not vm_utf8_valid(key.start, key.size):
                    return NULL
                if vm_find_key(keys, n_keys - 1, key, n_keys) >= 0:
                    return NULL
                if vm_find_key(self.banned, self.n_banned, key, self.n_banned) >= 0:
                    return NULL
                q = vm_check_json(p, end, VM_CHECK_DIGITS, 0)
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
        if p - first > MAX_ROW_BYTES or (meta != NULL and not vm_meta_fits(meta, meta_end, keys, n_keys)):
            return NULL
        return p

    cdef const uint8_t *value(self, const uint8_t *base, const uint8_t *p, const uint8_t *end, Py_ssize_t row,
                              Py_ssize_t field) noexcept nogil:
        cdef const vm_field_check *f = &self.fields[field]
        cdef const uint8_t *q = NULL
        if f.kind == VM_KIND_SPARSE:
            q = vm_check_sparse(p, end)
        if q == NULL:
            q = vm_check_value(f, p, end)
            if q != NULL and (f.is_later or f.kind == VM_KIND_SPARSE) and p[0] != c"n":
                if not self.note(row, field, p - base, q - base, False):
                    return NULL
        return q

    def json_rows(self, const uint8_t[::1] data not None, Py_ssize_t start, Py_ssize_t limit, bint comma):
        """Pass over rows of JSON in ``data`` (bytes or uint8) from ``start`` on, at most ``limit``.

        ``comma``: pass a row only with a comma behind it, and the comma too. Blanks behind a row are passed. Return
        (rows, where to go on, values in ``later``).
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
                q = self.object_at(base, p, end, rows)
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
        cdef const vm_field_check *f = &self.fields[column]
        cdef const uint8_t *p = cell.start
        cdef Py_ssize_t n = cell.end - p
        cdef bint doubled = cell.kind == VM_SPAN_ESCAPED
        if f.is_any:
            return True
        if vm_has_crlf(p, n):
            return False
        if n == d.null_size and memcmp(p, d.null, n) == 0 and not doubled:
            if f.nullable:
                return True
            if not f.is_later and (vm_is_number(f.kind) or vm_is_vector(f.kind) or f.kind == VM_KIND_ARRAY):
                return False
        if f.is_later:
            return self.note(row, column, p - base, cell.end - base, doubled)
        if doubled and f.kind != VM_KIND_TEXT:
            if n >= VM_CHECK_SCRATCH:
                return False
            n = vm_unquote(p, n, d.quote, self.scratch)
            p = self.scratch
        if vm_check_cell(f, p, p + n):
            return True
        return f.kind == VM_KIND_SPARSE and self.note(row, column, cell.start - base, cell.end - base, doubled)

    def csv_rows(self, const uint8_t[::1] data not None, Py_ssize_t start, Py_ssize_t limit, uint8_t separator,
                 const uint8_t[::1] null not None):
        """Pass over lines of CSV that have as many cells as there are fields, at most ``limit``; as ``json_rows``.

        ``null``: the text that stands for a null. A blank line is not passed.
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
        d.separator, d.quote, d.null_size = separator, c'"', null.shape[0]
        d.null = &null[0] if null.shape[0] else &nothing
        base, end = &data[0], &data[0] + size
        with nogil:
            p = base + start
            while rows < limit and p < end and p[0] != c"\n" and p[0] != c"\r":
                before = self.n_later
                q = p
                for column in range(self.n):
                    if vm_next_field(&d, q, end, False, &f) != VM_CSV_OK or f.last != (column == self.n - 1):
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


def json_passed(const int32_t[::1] offsets not None, const uint8_t[::1] data not None, const uint8_t[::1] validity,
                names, bint only_objects, int digits, Py_ssize_t max_bytes):
    """Return the number of values, from the first on, that are certainly valid JSON text; nulls are passed over.

    ``offsets``: (n + 1,) int32, absolute positions in ``data``, as in Arrow. ``validity``: (n,), 0 for a null; None:
    there are none. ``names``: what no key of an object may be called, in UTF-8. ``digits``: most digits of a number
    before its point. ``max_bytes``: of a value. Raises ValueError for arrays of another length.
    Python twin: tests/support/oracles/row_check.py (is_plain_json)
    """
    cdef Py_ssize_t i = 0, n = offsets.shape[0] - 1, n_names, start, stop, size = data.shape[0]
    cdef const uint8_t *base
    cdef const uint8_t *p
    cdef const uint8_t *end
    cdef vm_key *keys
    cdef bint fine
    if n < 0 or (validity is not None and validity.shape[0] != n):
        raise ValueError("offsets must hold n + 1 entries, validity n")
    if n == 0 or size == 0:
        return 0
    names = tuple(names)
    n_names = len(names)
    keys = keys_of(names)
    base = &data[0]
    with nogil:
        while i < n:
            start, stop = offsets[i], offsets[i + 1]
            if validity is None or validity[i]:
                if start < 0 or stop <= start or stop > size or stop - start > max_bytes:
                    break
                p, end = vm_white(base + start, base + stop), base + stop
                fine = p < end and (not only_objects or p[0] == c"{") and vm_check_json_text(p, end, digits)
                if not fine or (n_names and p[0] == c"{" and not vm_meta_fits(p, end, keys, n_names)):
                    break
            i += 1
    free(keys)
    return i
