"""Narrow floats to float16, bfloat16 and float32, and find NaN and infinity.

Every function takes 1-D C-contiguous arrays of any length and alignment (a source may be read-only), releases the GIL
once, and raises ValueError for a wrong dtype, shape or layout. float16 and bfloat16 are passed as their bits, uint16:
``array.view(np.uint16)``.

The ``*_into`` functions round once, to nearest, ties to even, subnormals exact. They return -1, or the index of the
first element whose result is NaN or infinite, because it was or because it overflows (float16: from 65520 on). From
that element on ``out`` is unspecified. ``src`` and ``out`` must not overlap. The ``*_finite`` functions return the
index of the first NaN or infinity, or -1.
"""

from libc.stdint cimport uint16_t

cdef extern from "half.h" nogil:
    Py_ssize_t vm_f32_to_f16_array(const float *src, uint16_t *dst, Py_ssize_t n) noexcept
    Py_ssize_t vm_f32_to_bf16_array(const float *src, uint16_t *dst, Py_ssize_t n) noexcept
    Py_ssize_t vm_f64_to_f16_array(const double *src, uint16_t *dst, Py_ssize_t n) noexcept
    Py_ssize_t vm_f64_to_bf16_array(const double *src, uint16_t *dst, Py_ssize_t n) noexcept
    Py_ssize_t vm_f64_to_f32_array(const double *src, float *dst, Py_ssize_t n) noexcept
    Py_ssize_t vm_f16_finite(const uint16_t *values, Py_ssize_t n) noexcept
    Py_ssize_t vm_bf16_finite(const uint16_t *values, Py_ssize_t n) noexcept
    Py_ssize_t vm_f32_finite(const float *values, Py_ssize_t n) noexcept
    Py_ssize_t vm_f64_finite(const double *values, Py_ssize_t n) noexcept


cdef int _check_lengths(Py_ssize_t n_src, Py_ssize_t n_out) except -1:
    if n_src != n_out:
        raise ValueError(f"src and out must have the same length, got {n_src} and {n_out}")
    return 0


def float32_to_float16_into(const float[::1] src not None, uint16_t[::1] out not None):
    """Narrow float32 ``src`` (n,) to float16 bits ``out`` (n,) uint16; -1 or the first index not finite.

    Python twin: tests/support/oracles/half.py (float32_to_float16_into)
    """
    cdef Py_ssize_t bad = -1
    _check_lengths(src.shape[0], out.shape[0])
    if src.shape[0]:
        with nogil:
            bad = vm_f32_to_f16_array(&src[0], &out[0], src.shape[0])
    return bad


def float32_to_bfloat16_into(const float[::1] src not None, uint16_t[::1] out not None):
    """Narrow float32 ``src`` (n,) to bfloat16 bits ``out`` (n,) uint16; -1 or the first index not finite.

    Python twin: tests/support/oracles/half.py (float32_to_bfloat16_into)
    """
    cdef Py_ssize_t bad = -1
    _check_lengths(src.shape[0], out.shape[0])
    if src.shape[0]:
        with nogil:
            bad = vm_f32_to_bf16_array(&src[0], &out[0], src.shape[0])
    return bad


def float64_to_float16_into(const double[::1] src not None, uint16_t[::1] out not None):
    """Narrow float64 ``src`` (n,) to float16 bits ``out`` (n,) uint16; -1 or the first index not finite.

    Python twin: tests/support/oracles/half.py (float64_to_float16_into)
    """
    cdef Py_ssize_t bad = -1
    _check_lengths(src.shape[0], out.shape[0])
    if src.shape[0]:
        with nogil:
            bad = vm_f64_to_f16_array(&src[0], &out[0], src.shape[0])
    return bad


def float64_to_bfloat16_into(const double[::1] src not None, uint16_t[::1] out not None):
    """Narrow float64 ``src`` (n,) to bfloat16 bits ``out`` (n,) uint16; -1 or the first index not finite.

    Rounds once; ``ml_dtypes`` goes by way of float32 and is one unit off for some values next to a tie.
    Python twin: tests/support/oracles/half.py (float64_to_bfloat16_into)
    """
    cdef Py_ssize_t bad = -1
    _check_lengths(src.shape[0], out.shape[0])
    if src.shape[0]:
        with nogil:
            bad = vm_f64_to_bf16_array(&src[0], &out[0], src.shape[0])
    return bad


def float64_to_float32_into(const double[::1] src not None, float[::1] out not None):
    """Narrow float64 ``src`` (n,) to float32 ``out`` (n,); -1 or the first index not finite.

    Python twin: tests/support/oracles/half.py (float64_to_float32_into)
    """
    cdef Py_ssize_t bad = -1
    _check_lengths(src.shape[0], out.shape[0])
    if src.shape[0]:
        with nogil:
            bad = vm_f64_to_f32_array(&src[0], &out[0], src.shape[0])
    return bad


def float16_finite(const uint16_t[::1] values not None):
    """Return the index of the first NaN or infinity among float16 bits ``values`` (n,) uint16, or -1.

    Python twin: tests/support/oracles/half.py (float16_finite)
    """
    cdef Py_ssize_t bad = -1
    if values.shape[0]:
        with nogil:
            bad = vm_f16_finite(&values[0], values.shape[0])
    return bad


def bfloat16_finite(const uint16_t[::1] values not None):
    """Return the index of the first NaN or infinity among bfloat16 bits ``values`` (n,) uint16, or -1.

    Python twin: tests/support/oracles/half.py (bfloat16_finite)
    """
    cdef Py_ssize_t bad = -1
    if values.shape[0]:
        with nogil:
            bad = vm_bf16_finite(&values[0], values.shape[0])
    return bad


def float32_finite(const float[::1] values not None):
    """Return the index of the first NaN or infinity in float32 ``values`` (n,), or -1.

    Python twin: tests/support/oracles/half.py (float32_finite)
    """
    cdef Py_ssize_t bad = -1
    if values.shape[0]:
        with nogil:
            bad = vm_f32_finite(&values[0], values.shape[0])
    return bad


def float64_finite(const double[::1] values not None):
    """Return the index of the first NaN or infinity in float64 ``values`` (n,), or -1.

    Python twin: tests/support/oracles/half.py (float64_finite)
    """
    cdef Py_ssize_t bad = -1
    if values.shape[0]:
        with nogil:
            bad = vm_f64_finite(&values[0], values.shape[0])
    return bad
