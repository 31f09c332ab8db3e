"""Sparse vectors as JSON text. Oracle: ``vecmill.types.sparse`` (sparse_arrays), which also words errors."""

from cpython.dict cimport PyDict_CheckExact
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_DecodeASCII
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

include "number_write.pxi"

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
    """Return the JSON object of a dict of int to float, or None for anything else, right or wrong."""
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
    """Write rows of a compressed sparse row matrix as JSON objects, with the offset behind each.

    ``indptr`` (n + 1,) into ``indices`` and ``values``; ``offsets`` (n + 1,); ``out`` has room for ENTRY_BYTES an entry
    and SLACK_BYTES a row. Returns -1, or the first row with a wrong index, a wrong value or an index twice.
    GIL released.
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
