"""Headers of NPY files, version 1.0, byte for byte as ``numpy.lib.format`` writes them."""

from __future__ import annotations

import operator
from typing import SupportsIndex

_PREFIX = b"\x93NUMPY\x01\x00"  # magic and version 1.0; a little-endian uint16 header length follows
_ALIGN = 64  # numpy.lib.format.ARRAY_ALIGN
_ROW_COUNT_DIGITS = 21  # numpy.lib.format.GROWTH_AXIS_MAX_DIGITS


def npy_header(descr: str, shape: tuple[SupportsIndex, ...]) -> bytes:
    """Return the header of an NPY file: everything before the data.

    ``descr``: dtype as ``dtype.str`` gives it, such as ``'<f4'``. ``shape``: non-negative integers, C order. NumPy
    reserves 21 digits for the row count, so the length is the same for every row count: a multiple of 64, and 128 for
    all files that vecmill writes.

    Raises TypeError for a dimension that is not an integer, ValueError for a negative one or a header above 64 KiB.

    >>> len(npy_header("<f4", (0, 768)))
    128
    """
    dims = tuple(int(operator.index(dim)) for dim in shape)  # without int(), NumPy integers print as np.int64(3)
    if any(dim < 0 for dim in dims):
        raise ValueError(f"shape must not be negative, got {dims}")
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {dims!r}, }}"
    if dims:
        text += " " * (_ROW_COUNT_DIGITS - len(str(dims[0])))
    body = text.encode("latin1")
    n_used = len(_PREFIX) + 2 + len(body) + 1
    n_pad = _ALIGN - n_used % _ALIGN  # never 0: NumPy pads an aligned header by 64
    length = n_used + n_pad - len(_PREFIX) - 2
    if length > 0xFFFF:
        raise ValueError(f"header of {length} bytes does not fit NPY version 1.0")
    return b"".join([_PREFIX, length.to_bytes(2, "little"), body, b" " * n_pad, b"\n"])
