"""CRC-64/NVME, the checksum that S3 takes as x-amz-checksum-crc64nvme."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint8_t, uint64_t

cdef extern from "crc64.h" nogil:
    void vm_crc64_init() noexcept
    uint64_t vm_crc64(uint64_t crc, const uint8_t *p, Py_ssize_t n) noexcept
    uint64_t vm_crc64_combine(uint64_t crc_a, uint64_t crc_b, uint64_t len_b) noexcept

vm_crc64_init()


def crc64nvme(data, uint64_t crc=0):
    """Return the checksum of the bytes of ``data``, continued from ``crc``.

    ``crc64nvme(b, crc64nvme(a)) == crc64nvme(a + b)``.

    ``data``: any C-contiguous buffer of any dtype and shape, taken as its bytes. The GIL is released once.

    Raises TypeError if ``data`` is not a buffer, ValueError if it is not contiguous, OverflowError if ``crc`` is not a
    64-bit number.
    Python twin: tests/support/oracles/crc64.py (crc64nvme)

    >>> hex(crc64nvme(b"123456789"))
    '0xae8b14860a799888'
    """
    cdef Py_buffer view
    try:
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    except BufferError as error:  # numpy raises ValueError for the same fault
        raise ValueError(f"data must be C-contiguous: {error}") from None
    with nogil:
        crc = vm_crc64(crc, <const uint8_t *> view.buf, view.len)
    PyBuffer_Release(&view)
    return crc


def crc64nvme_combine(uint64_t crc_a, uint64_t crc_b, uint64_t len_b):
    """Return the checksum of ``a + b`` from the checksum of each and the bytes of ``b``, in O(log len_b).

    Raises OverflowError for a negative or too large number.
    Python twin: tests/support/oracles/crc64.py (crc64nvme_combine)
    """
    return vm_crc64_combine(crc_a, crc_b, len_b)
