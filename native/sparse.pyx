"""Sparse vectors as JSON text: written, and checked in files of others. ``vecmill.types.sparse`` words the errors."""

from cpython.dict cimport PyDict_CheckExact
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_DecodeASCII
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

from number_write cimport fill_float32_powers

cdef extern from "json_check.h" nogil:
    const uint8_t *vm_white(const uint8_t *p, const uint8_t *end) noexcept
    const uint8_t *vm_check_sparse(const uint8_t *p, const uint8_t *end) noexcept

cdef extern from "sparse.h":
    ctypedef struct vm_entry:
        uint32_t index
        float value
    Py_ssize_t VM_ENTRY_TEXT
    int64_t VM_MAX_INDEX
    Py_ssize_t VM_SPARSE_SLACK
    int vm_sort_entries(vm_entry *entries, Py_ssize_t n) noexcept nogil
    int vm_is_sparse_value(float value) noexcept nogil
    Py_ssize_t vm_put_entries(const vm_entry *entries, Py_ssize_t n, uint8_t *out) noexcept nogil
    int vm_entries_of_dict(PyObject *dict, vm_entry *entries, Py_ssize_t n) noexcept

fill_float32_powers()

ENTRY_BYTES = VM_ENTRY_TEXT
SLACK_BYTES = VM_SPARSE_SLACK


def dict_text(value):
    """Return the JSON object of a dict of int to float. None: Python has to look at the value.

    Python twin: src/vecmill/types/sparse.py (sparse_arrays)
    """
    cdef Py_ssize_t n
    cdef uint8_t *memory
    cdef vm_entry *entries
    cdef uint8_t *out
    if not PyDict_CheckExact(value):
        return None
    n = len(<dict>value)
    memory = <uint8_t *>PyMem_Malloc(n * (sizeof(vm_entry) + VM_ENTRY_TEXT) + VM_SPARSE_SLACK)
    if memory == NULL:
        raise MemoryError
    try:
        entries = <vm_entry *>memory
        out = memory + n * sizeof(vm_entry)
        if vm_entries_of_dict(<PyObject *>value, entries, n) != 0:
            return None
        return PyUnicode_DecodeASCII(<char *>out, vm_put_entries(entries, n, out), NULL)
    finally:
        PyMem_Free(memory)


def rows_text_into(const int64_t[::1] indptr, const int64_t[::1] indices, const float[::1] values,
                   int32_t[::1] offsets, uint8_t[::1] out):
    """Write rows of a compressed sparse row matrix as JSON objects. The GIL is released.

    ``indptr``: (n + 1,) int64 positions in ``indices`` (int64) and ``values`` (float32). ``offsets``: (n + 1,) int32,
    written. ``out``: ENTRY_BYTES an entry and SLACK_BYTES a row. Return -1, or the first row with a wrong index, a
    wrong value or an index twice. Raises ValueError for arrays of other lengths.
    Python twin: src/vecmill/types/sparse.py (sparse_arrays)
    """
    cdef Py_ssize_t i, k, start, size, n = indptr.shape[0] - 1, longest = 0, bad = -1, at = 0
    cdef int64_t index
    cdef vm_entry *entries
    if n < 0 or offsets.shape[0] < n + 1 or indices.shape[0] != values.shape[0]:
        raise ValueError("offsets must have one entry more than there are rows, indices as many as values")
    for i in range(n):
        if not 0 <= indptr[i] <= indptr[i + 1] <= indices.shape[0]:
            raise ValueError("indptr must grow, within indices")
        longest = max(longest, indptr[i + 1] - indptr[i])
    if out.shape[0] < (indptr[n] - indptr[0]) * VM_ENTRY_TEXT + n * VM_SPARSE_SLACK or out.shape[0] > 0x7fffffff:
        raise ValueError("out is too small, or larger than offsets can tell")
    entries = <vm_entry *>PyMem_Malloc(max(longest, 1) * sizeof(vm_entry))
    if entries == NULL:
        raise MemoryError
    with nogil:
        offsets[0] = 0
        for i in range(n):
            start, size = indptr[i], indptr[i + 1] - indptr[i]
            for k in range(size):
                index = indices[start + k]
                if index < 0 or index > VM_MAX_INDEX or not vm_is_sparse_value(values[start + k]):
                    bad = i
                    break
                entries[k].index = <uint32_t>index
                entries[k].value = values[start + k]
            if bad < 0 and not vm_sort_entries(entries, size):
                bad = i
            if bad >= 0:
                break
            at += vm_put_entries(entries, size, &out[at])
            offsets[i + 1] = <int32_t>at
    PyMem_Free(entries)
    return bad


def check_sparse(const int32_t[::1] offsets not None, const uint8_t[::1] data not None, Py_ssize_t first):
    """Return the first value, from row ``first`` on, that is not certainly JSON of a sparse vector, or -1.

    ``offsets``: (n + 1,) int32 positions in ``data`` uint8, as in Arrow. Valid are decimal indices in ascending order
    with numbers that are not negative. Raises ValueError for a negative ``first``.
    Python twin: src/vecmill/validate/text/columns.py (form_problem)
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
            p = vm_check_sparse(vm_white(base + offsets[i], end), end)
            if p == NULL or vm_white(p, end) != end:
                break
            i += 1
    return i if i < n else -1
