"""Rows of JSON or CSV text from columns, and numbers as their shortest decimal text.

A column is what ``vecmill.encode.blocks`` says: fixed width values (n, width) uint8, or int32 offsets and bytes. Everything
releases the GIL. Oracles: ``tests/oracles.py`` (``row_text``, ``float_text``).
"""

from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free, malloc

include "number_write.pxi"

cdef extern from "row_write.h" nogil:
    enum:
        VM_CELL_BOOL, VM_CELL_INT8, VM_CELL_INT16, VM_CELL_INT32, VM_CELL_INT64, VM_CELL_FLOAT, VM_CELL_DOUBLE
        VM_CELL_FLOAT16, VM_CELL_BFLOAT16, VM_CELL_BYTE, VM_CELL_TEXT, VM_CELL_JSON, VM_CELL_VECTOR, VM_CELL_ARRAY
        VM_CELL_STRUCT, VM_MAX_ITEMS, VM_ROW_SLACK
        VM_F64_K_MIN, VM_F64_K_MAX
    ctypedef struct vm_cell:
        int kind
        int n_items
        Py_ssize_t dim
        Py_ssize_t width
        const uint8_t *lead
        Py_ssize_t n_lead
        vm_cell *items
    ctypedef struct vm_values:
        const uint8_t *values
        const int32_t *offsets
        const uint8_t *validity
    ctypedef struct vm_style:
        int is_csv
        uint8_t separator
        const uint8_t *null
        Py_ssize_t n_null
        const uint8_t *tail
        Py_ssize_t n_tail
    uint64_t vm_pow10_128[617][2]
    void vm_prepare_rows(const double *powers) noexcept
    Py_ssize_t vm_number_room(int kind) noexcept
    Py_ssize_t vm_cell_room(const vm_cell *c, const vm_style *style) noexcept
    uint8_t *vm_put_numbers(uint8_t *p, int kind, Py_ssize_t size, const uint8_t *v, Py_ssize_t n) noexcept
    uint8_t *vm_put_floats_plain(uint8_t *p, const uint8_t *values, Py_ssize_t n) noexcept
    uint8_t *vm_put_rows(uint8_t *p, const uint8_t *end, const vm_cell *cells, const vm_values *columns, int n_cells,
                         const vm_style *style, Py_ssize_t room, Py_ssize_t *row, Py_ssize_t stop,
                         int64_t *ends) noexcept

# Kind of a column: cell, the kind of its elements if it is a vector, bytes of an element.
_KINDS = {
    "bool": (VM_CELL_BOOL, 0, 1), "int8": (VM_CELL_INT8, 0, 1), "int16": (VM_CELL_INT16, 0, 2),
    "int32": (VM_CELL_INT32, 0, 4), "int64": (VM_CELL_INT64, 0, 8), "float": (VM_CELL_FLOAT, 0, 4),
    "double": (VM_CELL_DOUBLE, 0, 8), "text": (VM_CELL_TEXT, 0, 0), "json": (VM_CELL_JSON, 0, 0),
    "meta": (VM_CELL_JSON, 0, 0), "sparse": (VM_CELL_JSON, 0, 0),
    "float_vector": (VM_CELL_VECTOR, VM_CELL_FLOAT, 4), "float16_vector": (VM_CELL_VECTOR, VM_CELL_FLOAT16, 2),
    "bfloat16_vector": (VM_CELL_VECTOR, VM_CELL_BFLOAT16, 2), "int8_vector": (VM_CELL_VECTOR, VM_CELL_INT8, 1),
    "binary_vector": (VM_CELL_VECTOR, VM_CELL_BYTE, 1), "array": (VM_CELL_ARRAY, 0, 0),
    "struct": (VM_CELL_STRUCT, 0, 0),
}


cdef int _fill_tables() except -1:
    cdef int k
    cdef double[13] powers
    fill_float32_powers()
    for k in range(VM_F64_K_MIN, VM_F64_K_MAX + 1):
        power = _power(k, 128)
        vm_pow10_128[k - VM_F64_K_MIN][0] = power & 0xffffffffffffffff
        vm_pow10_128[k - VM_F64_K_MIN][1] = power >> 64
    for k in range(13):
        powers[k] = float("1e%d" % k)
    vm_prepare_rows(powers)
    return 0


_fill_tables()


cdef int _fill_cell(vm_cell *cell, object column, list keep, bint nested) except -1:
    cdef int element, k
    cdef Py_ssize_t size
    cdef bytes lead
    kind, dim, lead, items = column
    cell.kind, element, size = _KINDS[kind]
    keep.append(lead)
    cell.lead = lead
    cell.n_lead = len(lead)
    if cell.kind == VM_CELL_VECTOR:
        cell.dim = dim // 8 if kind == "binary_vector" else dim
        cell.width = cell.dim * size
        if cell.dim < 1:
            raise ValueError("a vector has at least one dimension")
        items = ()
        cell.n_items = 1
    else:
        cell.width = size
        cell.n_items = len(items)
    if nested and cell.kind in (VM_CELL_JSON, VM_CELL_ARRAY, VM_CELL_STRUCT):
        raise ValueError(f"no {kind} inside of another value")
    if cell.kind == VM_CELL_ARRAY and cell.n_items != 1 or cell.kind == VM_CELL_STRUCT and cell.n_items == 0:
        raise ValueError("an array has one kind of element, a struct at least one member")
    if cell.n_items > VM_MAX_ITEMS:
        raise ValueError(f"more than {VM_MAX_ITEMS} members")
    if cell.n_items:
        cell.items = <vm_cell *>calloc(cell.n_items, sizeof(vm_cell))
        if cell.items == NULL:
            raise MemoryError()
    if cell.kind == VM_CELL_VECTOR:
        cell.items.kind = element
        cell.items.width = size
    for k in range(len(items)):
        _fill_cell(cell.items + k, items[k], keep, True)
    if cell.kind == VM_CELL_ARRAY and cell.items.kind == VM_CELL_VECTOR:
        raise ValueError("no vector inside of an array")
    return 0


cdef class RowText:
    """How rows of some columns are written.

    Parameters: ``columns``, for each (kind, dim, lead, items): ``kind`` and ``items`` as in ``plan.ColumnPlan``,
    ``lead`` the bytes before the value; ``tail`` ends a row; ``null`` stands for a null; ``separator`` is that of CSV,
    or None for JSON. Inside of CSV, ``lead`` of a struct's members has its quotes twice. An object may be used by
    several threads at once.
    """

    cdef vm_cell *cells
    cdef int n_cells
    cdef vm_style style
    cdef Py_ssize_t room
    cdef list keep

    def __init__(self, *, columns, bytes tail, bytes null, bytes separator=None):
        cdef int k
        if self.cells != NULL:
            raise RuntimeError("RowText is made once")
        self.keep = [tail, null]
        self.cells = <vm_cell *>calloc(max(1, len(columns)), sizeof(vm_cell))
        if self.cells == NULL:
            raise MemoryError()
        self.n_cells = len(columns)
        self.style.is_csv = separator is not None
        self.style.separator = separator[0] if separator else 0
        self.style.null = null
        self.style.n_null = len(null)
        self.style.tail = tail
        self.style.n_tail = len(tail)
        self.room = len(tail) + VM_ROW_SLACK
        for k in range(self.n_cells):
            _fill_cell(self.cells + k, columns[k], self.keep, False)
            self.room += vm_cell_room(self.cells + k, &self.style)

    def __dealloc__(self):
        cdef int k
        if self.cells != NULL:
            for k in range(self.n_cells):
                if self.cells[k].items != NULL:
                    for j in range(self.cells[k].n_items):
                        free(self.cells[k].items[j].items)
                free(self.cells[k].items)
        free(self.cells)

    @property
    def row_room(self):
        """Most bytes of a row, what lies in values of variable width left out."""
        return self.room

    def render_into(self, columns, Py_ssize_t start, Py_ssize_t stop, uint8_t[::1] out not None,
                    int64_t[::1] ends=None):
        """Write rows ``start`` to ``stop`` into ``out``, as many as have room for the most that they can take.

        ``columns``: for each (values, offsets, validity): (n, width) uint8 with None, or bytes with int32 offsets
        (n + 1); validity (n,) uint8 or None. Return (the first row not written, bytes written): a row of variable width
        values takes at most 8 times their bytes beyond ``row_room``, a struct also the names of its members.
        ``ends`` (stop,) gets for each row written the bytes up to its end. Oracle: ``oracles.row_text``.
        """
        cdef int64_t *row_ends = NULL
        cdef vm_values *sources = NULL
        cdef Py_buffer *buffers = NULL
        cdef int n_buffers = 0, k
        cdef Py_ssize_t row = start
        cdef uint8_t *end
        cdef uint8_t *p
        if len(columns) != self.n_cells:
            raise ValueError(f"expected {self.n_cells} columns, got {len(columns)}")
        if start < 0 or stop < start:
            raise ValueError("rows must not be negative")
        if ends is not None and ends.shape[0] < stop:
            raise ValueError(f"ends must hold {stop} entries")
        if start == stop or out.shape[0] == 0:
            return start, 0
        if ends is not None:
            row_ends = &ends[0]
        try:
            sources = <vm_values *>calloc(self.n_cells, sizeof(vm_values))
            buffers = <Py_buffer *>malloc(3 * self.n_cells * sizeof(Py_buffer))
            if sources == NULL or buffers == NULL:
                raise MemoryError()
            for k in range(self.n_cells):
                values, offsets, validity = columns[k]
                PyObject_GetBuffer(values, buffers + n_buffers, PyBUF_C_CONTIGUOUS)
                n_buffers += 1
                sources[k].values = <const uint8_t *>buffers[n_buffers - 1].buf
                if self.cells[k].width:
                    if buffers[n_buffers - 1].len < stop * self.cells[k].width:
                        raise ValueError(f"column {k} has fewer than {stop} rows of {self.cells[k].width} bytes")
                else:
                    PyObject_GetBuffer(offsets, buffers + n_buffers, PyBUF_SIMPLE)
                    n_buffers += 1
                    sources[k].offsets = <const int32_t *>buffers[n_buffers - 1].buf
                    _check_offsets(&buffers[n_buffers - 1], buffers[n_buffers - 2].len, stop, k)
                if validity is not None:
                    PyObject_GetBuffer(validity, buffers + n_buffers, PyBUF_SIMPLE)
                    n_buffers += 1
                    sources[k].validity = <const uint8_t *>buffers[n_buffers - 1].buf
                    if buffers[n_buffers - 1].len < stop:
                        raise ValueError(f"validity of column {k} has fewer than {stop} rows")
            with nogil:
                p = &out[0]
                end = p + out.shape[0]
                p = vm_put_rows(p, end, self.cells, sources, self.n_cells, &self.style, self.room, &row, stop,
                                row_ends)
            return row, p - &out[0]
        finally:
            for k in range(n_buffers):
                PyBuffer_Release(buffers + k)
            free(buffers)
            free(sources)


cdef int _check_offsets(Py_buffer *buffer, Py_ssize_t n_bytes, Py_ssize_t stop, int k) except -1:
    cdef const int32_t *offsets = <const int32_t *>buffer.buf
    cdef Py_ssize_t i
    cdef bint bad = buffer.len < 4 * (stop + 1) or offsets[0] < 0 or offsets[stop] > n_bytes
    if not bad:
        for i in range(stop):
            bad |= offsets[i + 1] < offsets[i]
    if bad:
        raise ValueError(f"offsets of column {k} do not fit {stop} rows of its {n_bytes} bytes")
    return 0


def number_list(str kind, const uint8_t[::1] values not None, *, bint portable=False):
    """Return numbers as text with commas between: ``kind`` as in ``plan.ColumnPlan`` (of a vector: its elements).

    ``portable`` takes the path of CPUs without AVX2 for float32. Oracle: ``oracles.number_list``.
    """
    cdef int cell, element
    cdef Py_ssize_t size, n
    cdef uint8_t *out
    cdef uint8_t *end
    cell, element, size = _KINDS[kind]
    if cell == VM_CELL_VECTOR:
        cell = element
    if size == 0:
        raise ValueError(f"{kind} is no kind of number")
    n = values.shape[0] // size
    if n == 0:
        return b""
    out = <uint8_t *>malloc(n * vm_number_room(cell) + VM_ROW_SLACK)
    if out == NULL:
        raise MemoryError()
    try:
        with nogil:
            if portable and cell == VM_CELL_FLOAT:
                end = vm_put_floats_plain(out, &values[0], n)
            else:
                end = vm_put_numbers(out, cell, size, &values[0], n)
        return out[: end - out - 1]
    finally:
        free(out)
