"""Scatter Python rows and lists into column buffers.

A column buffer is memory that Python owns (a stage, see ``vecmill.encode.stage``): fixed width values, or int32 offsets
and bytes, and one validity byte a row if the field is nullable. A call takes as many rows as it can and returns why it
stopped, one of the statuses below; it never raises for data: ``vecmill.writer.rows`` words the error. The GIL is held,
since Python objects are walked.
"""

from cpython.dict cimport PyDict_Check
from cpython.list cimport PyList_CheckExact
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int32_t, uint8_t, uint32_t
from libc.string cimport memcpy

cimport status
from columns_c cimport (
    PyDict_GET_SIZE, PyDict_GetItemWithError, PyList_GET_ITEM, PyList_GET_SIZE, PyTuple_GET_ITEM, vm_col_put_array,
    vm_col_put_null, vm_col_put_scalar, vm_col_put_text, vm_col_put_vector, vm_col_room, vm_column,
)
from kinds cimport (
    VM_KIND_ARRAY, VM_KIND_META, VM_KIND_STRUCT, VM_KIND_TEXT, kind_of, vm_is_number, vm_is_text, vm_is_variable,
    vm_is_vector, vm_kinds,
)

OK = status.OK
FULL = status.FULL
REFUSED = status.REFUSED
MISSING = status.MISSING

# CPython keeps one object each for 0 and 1; vectors.h compares pointers with them.
cdef object _ZERO = 0
cdef object _ONE = 1
cdef object _EMPTY_META = "{}"


cdef class ColumnBuffer:
    """One column of a stage: where its values go, and what a value must be.

    Parameters:
        kind: name of a kind, as ``ColumnPlan.kind``.
        capacity: rows that the buffer can hold.
        values: writable uint8 memory: capacity * width bytes, or the room for values of variable width (below 2 GiB).
        width: bytes of a fixed width value; 0 for variable width.
        dim: dimensions of a vector; largest number of elements of an array or struct array.
        offsets: int32 (capacity + 1,), for variable width only; offsets[0] must be 0.
        validity: uint8 (capacity,). None: the field is not nullable.
        max_bytes: longest text in UTF-8 bytes; -1: no limit.
        text_rules: text that is refused, a ``TextRules`` of encode/plan.py. None: nothing is refused.
        room: bytes of ``values`` that rows behind the first may fill. None: all.
        refuse_empty: refuse a list without elements.
        default: value of an absent or None item. None: there is none.
        encode: for JSON and its like, ``encode(value) -> str``; for ``$meta`` it gets the whole row.
        items: for arrays one buffer of capacity 1, for structs one a sub-field, in which single elements are encoded.

    Raises KeyError for an unknown kind, ValueError for memory that is too small. The memory stays exported as long as
    the buffer lives.
    Python twin: tests/support/oracles/columns.py (Column, put)
    """

    cdef vm_column c
    cdef readonly object name
    cdef readonly Py_ssize_t capacity
    cdef object default
    cdef object encode
    cdef bytes null_text
    cdef tuple items
    cdef uint8_t[::1] values_view
    cdef int32_t[::1] offsets_view
    cdef uint8_t[::1] validity_view

    def __init__(self, *, str name, str kind, Py_ssize_t capacity, uint8_t[::1] values not None, Py_ssize_t width=0,
                 Py_ssize_t dim=0, int32_t[::1] offsets=None, uint8_t[::1] validity=None, Py_ssize_t max_bytes=-1,
                 text_rules=None, room=None, bint refuse_empty=False, default=None, encode=None, items=()):
        cdef int element
        self.c.kind = kind_of(kind)
        if vm_is_variable(self.c.kind):
            if offsets is None or offsets.shape[0] < capacity + 1 or values.shape[0] > 0x7fffffff:
                raise ValueError("values of variable width need capacity + 1 offsets and less than 2 GiB of room")
            self.c.offsets = &offsets[0]
            self.c.full_room = values.shape[0]
            self.c.room = self.c.full_room if room is None else min(room, self.c.full_room)
        elif values.shape[0] < capacity * width or width < 1:
            raise ValueError(f"{capacity} values of {width} bytes do not fit in {values.shape[0]} bytes")
        elif width * 8 != vm_kinds[self.c.kind].bits * (dim if vm_is_vector(self.c.kind) else 1):
            raise ValueError(f"a {kind} of {dim} dims does not take {width} bytes")
        if validity is not None:
            if validity.shape[0] < capacity:
                raise ValueError("validity is shorter than capacity")
            self.c.validity = &validity[0]
        self.c.values = &values[0]
        self.c.width, self.c.dim, self.c.max_bytes = width, dim, max_bytes
        self.c.refuse_empty = refuse_empty
        if text_rules is not None:
            self.c.refuse_nul, self.c.refuse_crlf = text_rules.refuse_nul, text_rules.refuse_crlf
            self.null_text = text_rules.null_text  # keeps the bytes alive
            if self.null_text is not None:
                self.c.null_text, self.c.n_null_text = self.null_text, len(self.null_text)
        self.name, self.capacity, self.default, self.encode = name, capacity, default, encode
        self.items = tuple(items)
        if not self.items and self.c.kind in (VM_KIND_ARRAY, VM_KIND_STRUCT):
            raise ValueError("an array needs its items")
        for item in self.items:
            if not isinstance(item, ColumnBuffer):
                raise TypeError("items must be ColumnBuffers")
            element = (<ColumnBuffer>item).c.kind
            if self.c.kind == VM_KIND_ARRAY and not (vm_is_number(element) or vm_is_text(element)):
                raise ValueError("elements of an array are numbers or text")
        self.values_view, self.offsets_view, self.validity_view = values, offsets, validity

    cdef int put(self, Py_ssize_t row, PyObject *o) except -1:
        cdef int code
        cdef object text
        if o == NULL or o == <PyObject *>None:
            if self.default is None:
                return vm_col_put_null(&self.c, row)
            o = <PyObject *>self.default
        if vm_is_vector(self.c.kind):
            code = vm_col_put_vector(&self.c, o, self.c.values + row * self.c.width, <PyObject *>_ZERO,
                                     <PyObject *>_ONE)
        elif vm_is_number(self.c.kind):
            code = vm_col_put_scalar(&self.c, o, self.c.values + row * self.c.width)
        elif self.c.kind == VM_KIND_TEXT:
            code = vm_col_put_text(&self.c, o, row)
        elif self.c.kind == VM_KIND_ARRAY:
            code = vm_col_put_array(&self.c, &(<ColumnBuffer>PyTuple_GET_ITEM(self.items, 0)).c, o, row)
        elif self.c.kind == VM_KIND_STRUCT:
            code = self.put_structs(row, <object>o)
        else:
            try:
                text = self.encode(<object>o)
            except MemoryError:
                raise
            except Exception:
                return status.REFUSED  # the slow path meets the same exception again, and words it
            code = vm_col_put_text(&self.c, <PyObject *>text, row)
        if code == status.OK and self.c.validity != NULL:
            self.c.validity[row] = 1
        elif code == status.FULL and row == 0:
            code = status.REFUSED  # an empty column has room for the longest legal value
        return code

    cdef int put_structs(self, Py_ssize_t row, object value) except -1:
        """Pack a list of dicts, each with exactly the sub-fields: the count, then one sub-field after another."""
        cdef Py_ssize_t i, n, used = 4, need, room = vm_col_room(&self.c, row)
        cdef uint8_t *out = self.c.values + self.c.offsets[row]
        cdef uint32_t count
        cdef int code
        cdef ColumnBuffer item
        cdef object one
        cdef PyObject *part
        if not PyList_CheckExact(value):
            return status.REFUSED
        n = PyList_GET_SIZE(value)
        if n > self.c.dim or (n == 0 and self.c.refuse_empty):
            return status.REFUSED
        if room < 4:
            return status.FULL
        count = <uint32_t>n
        memcpy(out, &count, 4)
        for item in self.items:
            for i in range(n):
                if i >= PyList_GET_SIZE(value):
                    return status.REFUSED
                one = <object>PyList_GET_ITEM(value, i)
                if not PyDict_Check(one) or PyDict_GET_SIZE(one) != len(self.items):
                    return status.REFUSED
                part = PyDict_GetItemWithError(one, item.name)
                if part == NULL:
                    return status.REFUSED
                Py_INCREF(<object>part)
                try:
                    code = item.put(0, part)
                finally:
                    Py_DECREF(<object>part)
                if code != status.OK:
                    return status.REFUSED
                need = item.c.width if item.c.width else item.c.offsets[1] + 4
                if used + need > room:
                    return status.FULL
                if not item.c.width:
                    need -= 4
                    count = <uint32_t>need
                    memcpy(out + used, &count, 4)
                    used += 4
                memcpy(out + used, item.c.values, need)
                used += need
        self.c.offsets[row + 1] = self.c.offsets[row] + <int32_t>used
        return status.OK

    def fill(self, list values not None, Py_ssize_t start, Py_ssize_t stop, Py_ssize_t row):
        """Put ``values[start:stop]`` at ``row`` and after. Return (values taken, status of the next value or OK)."""
        cdef Py_ssize_t i
        cdef int code = status.OK
        cdef object value
        stop = min(stop, PyList_GET_SIZE(values))
        if row < 0 or start < 0:
            raise ValueError("negative row")
        for i in range(start, stop):
            if row + i - start >= self.capacity:
                return i - start, status.FULL
            value = values[i]
            code = self.put(row + i - start, <PyObject *>value)
            if code != status.OK:
                return i - start, code
        return max(stop - start, 0), status.OK


cdef class RowScatter:
    """Scatter row dicts over the column buffers of one stage.

    ``columns``: the fields of the file in order. ``has_meta``: the last column is ``$meta``, which takes unknown keys.
    ``n_rows``: rows in the stage; set it to a smaller number to forget rows. Raises ValueError without a column.
    Python twin: tests/support/oracles/columns.py (put_row)
    """

    cdef readonly tuple columns
    cdef readonly Py_ssize_t capacity
    cdef readonly bint has_meta
    cdef Py_ssize_t rows

    def __init__(self, columns, bint has_meta):
        self.columns = tuple(columns)
        for column in self.columns:
            if not isinstance(column, ColumnBuffer):
                raise TypeError("columns must be ColumnBuffers")
        if not self.columns:
            raise ValueError("a file without a field cannot be written")
        self.capacity = min([(<ColumnBuffer>column).capacity for column in self.columns])
        self.has_meta = has_meta
        self.rows = 0

    @property
    def n_rows(self):
        """Rows in the stage."""
        return self.rows

    @n_rows.setter
    def n_rows(self, Py_ssize_t value):
        if not 0 <= value <= self.capacity:
            raise ValueError("n_rows is out of range")
        self.rows = value

    cdef int put_row(self, object row) except -1:
        cdef Py_ssize_t i, found = 0, n_fields = len(self.columns)
        cdef int code
        cdef PyObject *value
        cdef ColumnBuffer column
        if self.rows >= self.capacity:
            return status.FULL
        if not PyDict_Check(row):
            return status.REFUSED | (n_fields << 8)
        for i in range(n_fields):
            column = <ColumnBuffer>PyTuple_GET_ITEM(self.columns, i)
            value = PyDict_GetItemWithError(row, column.name)
            found += value != NULL
            if column.c.kind == VM_KIND_META:
                if found == PyDict_GET_SIZE(row) and value == NULL:
                    code = vm_col_put_text(&column.c, <PyObject *>_EMPTY_META, self.rows)
                else:
                    found = PyDict_GET_SIZE(row)
                    code = column.put(self.rows, <PyObject *>row)
            elif value == NULL:
                code = column.put(self.rows, NULL)
            else:
                Py_INCREF(<object>value)
                try:
                    code = column.put(self.rows, value)
                finally:
                    Py_DECREF(<object>value)
            if code != status.OK:
                return code | (i << 8)
        if found != PyDict_GET_SIZE(row):
            return status.UNKNOWN_KEY | (n_fields << 8)
        self.rows += 1
        return status.OK

    def put(self, row):
        """Take one row dict. Return 0, or status | column index << 8; index = number of columns: the row itself."""
        return self.put_row(row)

    def put_many(self, list rows not None, Py_ssize_t start):
        """Take ``rows[start:]`` up to the first row that is not taken. Return (index of that row, its code or 0)."""
        cdef Py_ssize_t i
        cdef int code
        if start < 0:
            raise ValueError("negative start")
        for i in range(start, PyList_GET_SIZE(rows)):
            code = self.put_row(rows[i])
            if code != status.OK:
                return i, code
        return max(start, PyList_GET_SIZE(rows)), status.OK
