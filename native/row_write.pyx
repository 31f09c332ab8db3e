"""Rows of JSON or CSV text from columns.

A column is as ``vecmill.encode.blocks`` has it: fixed width values (n, width) uint8, or int32 offsets and bytes.
Numbers are written with their shortest digits (native/number_write.h). The rows release the GIL.
"""

from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.stdlib cimport calloc, free, malloc

from kinds cimport (
    VM_KIND_ARRAY, VM_KIND_BINARY_VECTOR, VM_KIND_STRUCT, kind_of, vm_is_number, vm_is_text, vm_is_vector, vm_kinds,
)
from number_write cimport fill_float32_powers, fill_float64_powers

cdef extern from "row_write.h" nogil:
    enum: VM_MAX_ITEMS, VM_ROW_SLACK
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
    void vm_prepare_rows(const double *powers) noexcept
    Py_ssize_t vm_cell_room(const vm_cell *c, const vm_style *style) noexcept
    uint8_t *vm_put_rows(uint8_t *p, const uint8_t *end, const vm_cell *cells, const vm_values *columns, int n_cells,
                         const vm_style *style, Py_ssize_t room, Py_ssize_t *row, Py_ssize_t stop,
                         int64_t *ends) noexcept


cdef int _fill_tables() except -1:
    cdef int k
    cdef double[13] powers
    fill_float32_powers()
    fill_float64_powers()
    for k in range(13):
        powers[k] = float("1e%d" % k)
    vm_prepare_rows(powers)
    return 0


_fill_tables()


cdef int _fill_cell(vm_cell *cell, object column, list keep, bint nested) except -1:
    """Fill a cell from (kind, dim, lead, items). ``keep`` holds the bytes objects whose memory the cell points to."""
    cdef int k
    cdef bytes lead
    name, dim, lead, items = column
    cell.kind = kind_of(name)
    keep.append(lead)
    cell.lead = lead
    cell.n_lead = len(lead)
    cell.n_items = len(items)
    cell.width = vm_kinds[cell.kind].bits // 8
    if vm_is_vector(cell.kind):
        cell.dim = dim // 8 if cell.kind == VM_KIND_BINARY_VECTOR else dim
        cell.width = cell.dim * (vm_kinds[vm_kinds[cell.kind].element].bits // 8)
        if cell.dim < 1:
            raise ValueError("a vector has at least one dimension")
    if nested and not (vm_is_number(cell.kind) or vm_is_text(cell.kind) or vm_is_vector(cell.kind)):
        raise ValueError(f"no {name} inside of another value")
    if cell.kind == VM_KIND_ARRAY and cell.n_items != 1 or cell.kind == VM_KIND_STRUCT and cell.n_items == 0:
        raise ValueError("an array has one kind of element, a struct at least one member")
    if cell.n_items > VM_MAX_ITEMS:
        raise ValueError(f"more than {VM_MAX_ITEMS} members")
    if cell.n_items:
        cell.items = <vm_cell *>calloc(cell.n_items, sizeof(vm_cell))
        if cell.items == NULL:
            raise MemoryError()
    for k in range(cell.n_items):
        _fill_cell(cell.items + k, items[k], keep, True)
    if cell.kind == VM_KIND_ARRAY and vm_is_vector(cell.items.kind):
        raise ValueError("no vector inside of an array")
    return 0


cdef class RowText:
    """How rows of some columns are written. Several threads may use one object at once.

    Parameters:
        columns: for each (kind, dim, lead, items): ``kind``, ``dim`` and ``items`` as in ``ColumnPlan``, ``lead`` the
            bytes before the value; in CSV the lead of a struct's member has its quotes twice.
        tail: bytes that end a row.
        null: bytes that stand for a null.
        separator: the byte between the cells of CSV. None: JSON.

    Raises KeyError for an unknown kind, ValueError for items that the kind cannot have.
    Python twin: tests/support/oracles/row_write.py (row_text)
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
        """Most bytes of a row, without the bytes of its values of variable width."""
        return self.room

    def render_into(self, columns, Py_ssize_t start, Py_ssize_t stop, uint8_t[::1] out not None,
                    int64_t[::1] ends=None):
        """Write rows ``start`` to ``stop`` into ``out``; stop before a row that might not fit.

        ``columns``: for each (values, offsets, validity): values (n, width) uint8 and offsets None, or bytes and int32
        offsets (n + 1,); validity (n,) uint8 0 or 1, None: no nulls. ``ends`` (stop,) int64 gets for each row that is
        written the bytes up to its end. Return (first row that is not written, bytes written). A row needs
        ``row_room``, 8 times the bytes of its values of variable width, and for each element of a struct the names of
        its members. Raises ValueError for columns that are too short, or offsets outside their bytes.
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
