"""Scatter Python rows and lists into column buffers.

A column buffer is memory that Python owns (a stage, see ``vecmill.encode.stage``): fixed width values, or int32 offsets and
UTF-8 bytes, and one validity byte a row where the field is nullable. A kernel call takes as many rows as it can and
says why it stopped; it never raises for data: ``vecmill.writer.rows`` words the error.

Oracle: ``tests/oracles.py`` (``put_row``). Everything here runs with the GIL held: it walks Python objects.
"""

from cpython.dict cimport PyDict_Check
from cpython.list cimport PyList_CheckExact
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_DECREF
from cpython.tuple cimport PyTuple_CheckExact
from libc.stdint cimport int32_t, uint8_t, uint32_t
from libc.string cimport memcpy, memset

cimport status

cdef extern from "Python.h":
    Py_ssize_t PyDict_GET_SIZE(object mapping) noexcept
    PyObject *PyDict_GetItemWithError(object mapping, object key) except? NULL
    PyObject *PyList_GET_ITEM(object sequence, Py_ssize_t i) noexcept
    Py_ssize_t PyList_GET_SIZE(object sequence) noexcept
    PyObject *PyTuple_GET_ITEM(object sequence, Py_ssize_t i) noexcept

cdef extern from "columns.h":
    enum:
        VM_BOOL, VM_INT8, VM_INT16, VM_INT32, VM_INT64, VM_FLOAT, VM_DOUBLE
        VM_TEXT, VM_ENCODED, VM_META, VM_ARRAY, VM_STRUCT
        VM_FLOAT_VECTOR, VM_FLOAT16_VECTOR, VM_BFLOAT16_VECTOR, VM_INT8_VECTOR, VM_BINARY_VECTOR
    ctypedef struct vm_column:
        int kind
        int refuse_nul
        int refuse_crlf
        const uint8_t *null_text
        Py_ssize_t n_null_text
        Py_ssize_t dim
        Py_ssize_t width
        Py_ssize_t max_bytes
        Py_ssize_t room
        Py_ssize_t full_room
        uint8_t *values
        int32_t *offsets
        uint8_t *validity
    int vm_put_vector(const vm_column *c, PyObject *o, uint8_t *out, PyObject *zero, PyObject *one) noexcept
    int vm_put_scalar(const vm_column *c, PyObject *o, uint8_t *out) noexcept
    int vm_put_text(const vm_column *c, PyObject *o, Py_ssize_t row) noexcept
    Py_ssize_t vm_room(const vm_column *c, Py_ssize_t row) noexcept

cdef extern from "arrays.h":
    Py_ssize_t vm_pack_scalars(const vm_column *item, PyObject *o, Py_ssize_t most, uint8_t *out,
                               Py_ssize_t room) noexcept
    Py_ssize_t vm_pack_buffer(const vm_column *item, PyObject *o, Py_ssize_t most, uint8_t *out,
                              Py_ssize_t room) noexcept

KINDS = {
    "bool": VM_BOOL, "int8": VM_INT8, "int16": VM_INT16, "int32": VM_INT32, "int64": VM_INT64, "float": VM_FLOAT,
    "double": VM_DOUBLE, "text": VM_TEXT, "json": VM_ENCODED, "geometry": VM_ENCODED, "timestamptz": VM_ENCODED,
    "sparse": VM_ENCODED, "meta": VM_META, "array": VM_ARRAY, "struct": VM_STRUCT, "float_vector": VM_FLOAT_VECTOR,
    "float16_vector": VM_FLOAT16_VECTOR, "bfloat16_vector": VM_BFLOAT16_VECTOR, "int8_vector": VM_INT8_VECTOR,
    "binary_vector": VM_BINARY_VECTOR,
}

OK = status.OK
FULL = status.FULL
REFUSED = status.REFUSED
MISSING = status.MISSING
UNKNOWN_KEY = status.UNKNOWN_KEY

# CPython keeps one object each for small ints; identity with them decides a bit (see columns.h).
cdef object _ZERO = 0
cdef object _ONE = 1


cdef class ColumnBuffer:
    """One column of a stage: where its values go, and what a value must be.

    Parameters: ``kind`` (a key of ``KINDS``), ``capacity`` rows, ``values`` (writable uint8 memory: capacity * width
    bytes, or the room for values of variable width), ``width`` bytes of a fixed width value, ``dim`` elements of a
    vector, most elements of an array, ``offsets`` (int32, capacity + 1, variable width only; offsets[0] must be 0),
    ``validity`` (uint8, capacity; None for a field that is not nullable), ``max_bytes`` (-1: no limit), ``refuse_nul``,
    ``refuse_crlf`` and ``null_text`` (what would be read as a null; None if nothing is) for text, ``room`` (bytes of
    ``values`` that rows behind the first may use; None: all),
    ``refuse_empty`` for arrays, ``default`` for an absent value, ``encode(value) -> str`` for JSON and its like, and
    ``items``: for arrays one ColumnBuffer of capacity 1 for an element, for structs one a sub-field. The buffer keeps
    the memory exported while it lives.
    """

    cdef vm_column c
    cdef readonly object name
    cdef readonly Py_ssize_t capacity
    cdef object default
    cdef object encode
    cdef bytes null_text
    cdef tuple items
    cdef bint refuse_empty
    cdef uint8_t[::1] values_view
    cdef int32_t[::1] offsets_view
    cdef uint8_t[::1] validity_view

    def __init__(self, *, str name, str kind, Py_ssize_t capacity, uint8_t[::1] values not None, Py_ssize_t width=0,
                 Py_ssize_t dim=0, int32_t[::1] offsets=None, uint8_t[::1] validity=None, Py_ssize_t max_bytes=-1,
                 bint refuse_nul=False, bint refuse_crlf=False, bytes null_text=None, room=None,
                 bint refuse_empty=False, default=None, encode=None, items=()):
        self.c.kind = KINDS[kind]
        if self.is_variable():
            if offsets is None or offsets.shape[0] < capacity + 1 or values.shape[0] > 0x7fffffff:
                raise ValueError("values of variable width need capacity + 1 offsets and less than 2 GiB of room")
            self.c.offsets = &offsets[0]
            self.c.full_room = values.shape[0]
            self.c.room = self.c.full_room if room is None else min(room, self.c.full_room)
        elif values.shape[0] < capacity * width or width < 1:
            raise ValueError(f"{capacity} values of {width} bytes do not fit in {values.shape[0]} bytes")
        if self.c.kind >= VM_FLOAT_VECTOR:
            bits = {VM_FLOAT_VECTOR: 32, VM_INT8_VECTOR: 8, VM_BINARY_VECTOR: 1}.get(self.c.kind, 16)
            if dim * bits != width * 8:
                raise ValueError(f"a {kind} of {dim} dims does not take {width} bytes")
        if validity is not None:
            if validity.shape[0] < capacity:
                raise ValueError("validity is shorter than capacity")
            self.c.validity = &validity[0]
        self.c.values = &values[0]
        self.c.width = width
        self.c.dim = dim
        self.c.max_bytes = max_bytes
        self.c.refuse_nul = refuse_nul
        self.c.refuse_crlf = refuse_crlf
        self.null_text = null_text
        if null_text is not None:
            self.c.null_text = null_text
            self.c.n_null_text = len(null_text)
        self.name = name
        self.capacity = capacity
        self.default = default
        self.encode = encode
        self.items = tuple(items)
        if not self.items and self.c.kind in (VM_ARRAY, VM_STRUCT):
            raise ValueError("an array needs its items")
        for item in self.items:
            if not isinstance(item, ColumnBuffer):
                raise TypeError("items must be ColumnBuffers")
        self.refuse_empty = refuse_empty
        self.values_view, self.offsets_view, self.validity_view = values, offsets, validity

    cdef inline bint is_variable(self) noexcept:
        return VM_TEXT <= self.c.kind <= VM_STRUCT

    cdef int put_null(self, Py_ssize_t row) noexcept:
        if self.c.validity == NULL:
            return status.MISSING
        self.c.validity[row] = 0
        if self.is_variable():
            self.c.offsets[row + 1] = self.c.offsets[row]
        else:
            memset(self.c.values + row * self.c.width, 0, self.c.width)
        return status.OK

    cdef int put(self, Py_ssize_t row, PyObject *o) except -1:
        cdef int code
        cdef object text
        if o == NULL or o == <PyObject *>None:
            if self.default is None:
                return self.put_null(row)
            o = <PyObject *>self.default
        if self.c.kind >= VM_FLOAT_VECTOR:
            code = vm_put_vector(&self.c, o, self.c.values + row * self.c.width, <PyObject *>_ZERO, <PyObject *>_ONE)
        elif self.c.kind < VM_TEXT:
            code = vm_put_scalar(&self.c, o, self.c.values + row * self.c.width)
        elif self.c.kind == VM_TEXT:
            code = vm_put_text(&self.c, o, row)
        elif self.c.kind == VM_ARRAY:
            code = self.put_array(row, <object>o)
        elif self.c.kind == VM_STRUCT:
            code = self.put_structs(row, <object>o)
        else:
            try:
                text = self.encode(<object>o)
            except MemoryError:
                raise
            except Exception:
                return status.REFUSED  # the slow path meets the same exception again, and words it
            code = vm_put_text(&self.c, <PyObject *>text, row)
        if code == status.OK and self.c.validity != NULL:
            self.c.validity[row] = 1
        elif code == status.FULL and row == 0:
            code = status.REFUSED  # an empty column has room for the longest legal value
        return code

    cdef int put_array(self, Py_ssize_t row, object value) except -1:
        """Pack a list, tuple or one-dimensional buffer of elements."""
        cdef const vm_column *item = &(<ColumnBuffer>PyTuple_GET_ITEM(self.items, 0)).c
        cdef uint8_t *out = self.c.values + self.c.offsets[row]
        cdef Py_ssize_t packed
        if PyList_CheckExact(value) or PyTuple_CheckExact(value):
            packed = vm_pack_scalars(item, <PyObject *>value, self.c.dim, out, vm_room(&self.c, row))
        else:
            packed = vm_pack_buffer(item, <PyObject *>value, self.c.dim, out, vm_room(&self.c, row))
        if packed < 0:
            return <int>-packed
        if packed == 0 and self.refuse_empty:
            return status.REFUSED
        self.c.offsets[row + 1] = self.c.offsets[row] + <int32_t>packed
        return status.OK

    cdef int put_structs(self, Py_ssize_t row, object value) except -1:
        """Pack a list of dicts, each with exactly the sub-fields: the count, then one sub-field after another."""
        cdef Py_ssize_t i, n, used = 4, need, room = vm_room(&self.c, row)
        cdef uint8_t *out = self.c.values + self.c.offsets[row]
        cdef uint32_t count
        cdef int code
        cdef ColumnBuffer item
        cdef object one
        cdef PyObject *part
        if not PyList_CheckExact(value):
            return status.REFUSED
        n = PyList_GET_SIZE(value)
        if n > self.c.dim or (n == 0 and self.refuse_empty):
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
                if item.c.width:
                    memcpy(out + used, item.c.values, need)
                else:
                    count = <uint32_t>item.c.offsets[1]
                    memcpy(out + used, &count, 4)
                    memcpy(out + used + 4, item.c.values, count)
                used += need
        self.c.offsets[row + 1] = self.c.offsets[row] + <int32_t>used
        return status.OK

    def fill(self, list values not None, Py_ssize_t start, Py_ssize_t stop, Py_ssize_t row):
        """Put ``values[start:stop]`` at ``row`` and after. Return (values taken, status of the first not taken)."""
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

    ``columns``: the fields of the file in order. ``has_meta``: the last one is ``$meta``, to which unknown keys go.
    ``n_rows`` is the number of rows in the stage; set it back to forget rows.
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
            if column.c.kind == VM_META:
                if found == PyDict_GET_SIZE(row) and value == NULL:
                    code = vm_put_text(&column.c, <PyObject *>_EMPTY_META, self.rows)
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
        """Take one row dict. Return 0, or status | column index << 8 (index = number of columns: the row itself)."""
        return self.put_row(row)

    def put_many(self, list rows not None, Py_ssize_t start):
        """Take ``rows[start:]`` up to the first that does not go in. Return (index of that row, its code or 0)."""
        cdef Py_ssize_t i
        cdef int code
        if start < 0:
            raise ValueError("negative start")
        for i in range(start, PyList_GET_SIZE(rows)):
            code = self.put_row(rows[i])
            if code != status.OK:
                return i, code
        return max(start, PyList_GET_SIZE(rows)), status.OK


cdef object _EMPTY_META = "{}"
