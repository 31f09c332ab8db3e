# Fills the tables of number_write.h, which every module that includes it has for itself. Python's integers make them exact.

from libc.stdint cimport uint64_t

cdef extern from "number_write.h":
    enum:
        VM_F32_K_MIN
        VM_F32_K_MAX
    uint64_t *vm_pow10_64


def _power(object k, object n_bits):
    """Return 10^k, times the power of two that gives it ``n_bits`` bits, rounded up."""
    if k < 0:
        divisor = 10**-k
        return -((-1 << (n_bits - 1 + divisor.bit_length())) // divisor)
    power = 10**k
    shift = power.bit_length() - n_bits
    return power << -shift if shift < 0 else -(-power >> shift)


cdef int fill_float32_powers() except -1:
    cdef int k
    for k in range(VM_F32_K_MIN, VM_F32_K_MAX + 1):
        vm_pow10_64[k - VM_F32_K_MIN] = _power(k, 64)
    return 0
