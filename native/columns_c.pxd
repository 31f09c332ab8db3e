# What columns.pyx takes from C.

from cpython.object cimport PyObject
from libc.stdint cimport int32_t, uint8_t

cdef extern from "Python.h":
    Py_ssize_t PyDict_GET_SIZE(object mapping) noexcept
    PyObject *PyDict_GetItemWithError(object mapping, object key) except? NULL
    PyObject *PyList_GET_ITEM(object sequence, Py_ssize_t i) noexcept
    Py_ssize_t PyList_GET_SIZE(object sequence) noexcept
    PyObject *PyTuple_GET_ITEM(object sequence, Py_ssize_t i) noexcept

cdef extern from "columns.h":
    ctypedef struct vm_column:
        int kind
        int refuse_nul
        int refuse_crlf
        int refuse_empty
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
    int vm_col_put_scalar(const vm_column *c, PyObject *o, uint8_t *out) noexcept
    int vm_col_put_text(const vm_column *c, PyObject *o, Py_ssize_t row) noexcept
    int vm_col_put_null(const vm_column *c, Py_ssize_t row) noexcept
    Py_ssize_t vm_col_room(const vm_column *c, Py_ssize_t row) noexcept

cdef extern from "vectors.h":
    int vm_col_put_vector(const vm_column *c, PyObject *o, uint8_t *out, PyObject *zero, PyObject *one) noexcept

cdef extern from "arrays.h":
    int vm_col_put_array(const vm_column *c, const vm_column *item, PyObject *o, Py_ssize_t row) noexcept
