# The tables of number_write.h. Every module that includes the header has tables of its own and fills them when it is
# loaded; Python's integers make them exact.

from libc.stdint cimport uint64_t

cdef extern from "number_write.h" nogil:
    enum: VM_F32_K_MIN, VM_F32_K_MAX, VM_F64_K_MIN, VM_F64_K_MAX
    uint64_t *vm_pow10_64
    uint64_t vm_pow10_128[617][2]


cdef inline object power_of_ten(int k, int n_bits):
    """Return 10^k, times the power of two that gives it ``n_bits`` bits, rounded up."""
    if k < 0:
        divisor = 10 ** -<object>k
        return -((-1 << (n_bits - 1 + divisor.bit_length())) // divisor)
    power = 10 ** <object>k
    shift = power.bit_length() - n_bits
    return power << -shift if shift < 0 else -(-power >> shift)


cdef inline int fill_float32_powers() except -1:
    cdef int k
    for k in range(VM_F32_K_MIN, VM_F32_K_MAX + 1):
        vm_pow10_64[k - VM_F32_K_MIN] = power_of_ten(k, 64)
    return 0


cdef inline int fill_float64_powers() except -1:
    cdef int k
    for k in range(VM_F64_K_MIN, VM_F64_K_MAX + 1):
        power = power_of_ten(k, 128)
        vm_pow10_128[k - VM_F64_K_MIN][0] = power & 0xffffffffffffffff
        vm_pow10_128[k - VM_F64_K_MIN][1] = power >> 64
    return 0
