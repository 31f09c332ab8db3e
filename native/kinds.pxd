# The kinds of native/kinds.h, and the one look-up of a kind by its name.

from libc.stdint cimport int64_t
from libc.string cimport strcmp

cdef extern from "kinds.h" nogil:
    enum:
        VM_KIND_BOOL, VM_KIND_INT8, VM_KIND_INT16, VM_KIND_INT32, VM_KIND_INT64, VM_KIND_FLOAT, VM_KIND_DOUBLE
        VM_KIND_FLOAT16, VM_KIND_BFLOAT16, VM_KIND_BYTE
        VM_KIND_TEXT, VM_KIND_GEOMETRY, VM_KIND_TIMESTAMPTZ, VM_KIND_JSON, VM_KIND_META, VM_KIND_SPARSE
        VM_KIND_ARRAY, VM_KIND_STRUCT
        VM_KIND_FLOAT_VECTOR, VM_KIND_FLOAT16_VECTOR, VM_KIND_BFLOAT16_VECTOR, VM_KIND_INT8_VECTOR
        VM_KIND_BINARY_VECTOR, VM_N_KINDS
    ctypedef struct vm_kind:
        const char *name
        int bits
        int element
    const vm_kind *vm_kinds
    bint vm_is_number(int kind) noexcept
    bint vm_is_integer(int kind) noexcept
    bint vm_is_text(int kind) noexcept
    bint vm_is_json(int kind) noexcept
    bint vm_is_variable(int kind) noexcept
    bint vm_is_vector(int kind) noexcept
    int64_t vm_int_low(int kind) noexcept
    int64_t vm_int_high(int kind) noexcept
    int vm_number_bytes(int kind) noexcept


cdef inline int kind_of(str name) except -1:
    """Return the kind of a column by its name. Raises KeyError for any other name."""
    cdef int kind
    cdef bytes wanted = name.encode()
    for kind in range(VM_N_KINDS):
        if wanted and strcmp(vm_kinds[kind].name, wanted) == 0:
            return kind
    raise KeyError(name)
