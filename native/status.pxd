# The status codes of native/status.h.

cdef extern from "status.h":
    enum:
        OK "VM_OK"
        FULL "VM_FULL"
        REFUSED "VM_REFUSED"
        MISSING "VM_MISSING"
        UNKNOWN_KEY "VM_UNKNOWN_KEY"
