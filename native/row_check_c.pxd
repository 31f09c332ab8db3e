# What row_check.pyx takes from C.

from libc.stdint cimport int64_t, uint8_t

from keys cimport vm_key

cdef extern from "row_check.h" nogil:
    enum: VM_CHECK_DIGITS, VM_CHECK_SCRATCH
    ctypedef struct vm_field_check:
        int kind, item, is_any, is_later, optional, nullable, digits
        int64_t low, top
        Py_ssize_t count, max_bytes
        uint8_t *scratch
    const uint8_t *vm_white(const uint8_t *p, const uint8_t *end) noexcept
    const uint8_t *vm_string_end(const uint8_t *p, const uint8_t *end, int *escaped, int *why) noexcept
    bint vm_has_crlf(const uint8_t *s, Py_ssize_t n) noexcept
    bint vm_utf8_valid(const uint8_t *s, Py_ssize_t n) noexcept
    const uint8_t *vm_check_json(const uint8_t *p, const uint8_t *end, int digits, int depth) noexcept
    bint vm_check_json_text(const uint8_t *p, const uint8_t *end, int digits) noexcept
    const uint8_t *vm_check_sparse(const uint8_t *p, const uint8_t *end) noexcept
    bint vm_meta_fits(const uint8_t *p, const uint8_t *end, const vm_key *row, Py_ssize_t n_row) noexcept
    const uint8_t *vm_check_value(const vm_field_check *f, const uint8_t *p, const uint8_t *end) noexcept
    bint vm_check_cell(const vm_field_check *f, const uint8_t *p, const uint8_t *end) noexcept

cdef extern from "csv_read.h" nogil:
    enum: VM_CSV_OK
    ctypedef struct vm_dialect:
        uint8_t separator, quote
        const uint8_t *null
        Py_ssize_t null_size
    ctypedef struct vm_field:
        const uint8_t *start
        const uint8_t *end
        const uint8_t *next
        int kind, last
    int vm_next_field(const vm_dialect *d, const uint8_t *p, const uint8_t *end, int final, vm_field *f) noexcept
    Py_ssize_t vm_unquote(const uint8_t *p, Py_ssize_t n, uint8_t quote, uint8_t *out) noexcept
