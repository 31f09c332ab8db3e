# What json_read.pyx takes from C.

from libc.stdint cimport uint8_t

cdef extern from "json_read.h" nogil:
    enum: VM_JSON_OK, VM_JSON_SYNTAX, VM_JSON_SHORT, VM_JSON_DEEP, VM_JSON_TWICE, VM_JSON_UNKNOWN
    const uint8_t *vm_white(const uint8_t *p, const uint8_t *end) noexcept
    const uint8_t *vm_string_end(const uint8_t *p, const uint8_t *end, int *escaped, int *why) noexcept
    const uint8_t *vm_value_end(const uint8_t *p, const uint8_t *end, int *kind, int *why) noexcept
    Py_ssize_t vm_count_lines(const uint8_t *p, Py_ssize_t n) noexcept
    Py_ssize_t vm_json_unescape(const uint8_t *p, Py_ssize_t n, uint8_t *out) noexcept
