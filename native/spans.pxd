# The kinds of native/spans.h.

cdef extern from "spans.h":
    enum:
        VM_SPAN_NULL, VM_SPAN_FALSE, VM_SPAN_TRUE, VM_SPAN_INT, VM_SPAN_FLOAT, VM_SPAN_STRING, VM_SPAN_ESCAPED
        VM_SPAN_ARRAY, VM_SPAN_OBJECT
