# The keys of native/keys.h.

from cpython.bytes cimport PyBytes_AsString
from libc.stdint cimport uint8_t
from libc.stdlib cimport malloc

cdef extern from "keys.h" nogil:
    ctypedef struct vm_key:
        const uint8_t *start
        Py_ssize_t size
    Py_ssize_t vm_find_key(const vm_key *keys, Py_ssize_t n, const vm_key *key, Py_ssize_t guess) noexcept


cdef inline vm_key *keys_of(tuple names) except NULL:
    """Return keys whose bytes belong to ``names``; the caller frees them, and keeps ``names``. Raises MemoryError."""
    cdef Py_ssize_t i
    cdef vm_key *keys = <vm_key *>malloc((len(names) + 1) * sizeof(vm_key))
    if keys == NULL:
        raise MemoryError()
    for i in range(len(names)):
        keys[i].start = <const uint8_t *>PyBytes_AsString(names[i])
        keys[i].size = len(names[i])
    return keys
