"""Headers of NPY files, version 1.0, byte for byte as ``numpy.lib.format`` writes them."""

import operator
from struct import pack_into, unpack_from

_PREFIX = b"\x93NUMPY\x01\x00"  # magic and version 1.0; a little-endian uint16 header length follows
_ALIGN = 64  # numpy.lib.format.ARRAY_ALIGN
_ROW_COUNT_DIGITS = 21  # numpy.lib.format.GROWTH_AXIS_MAX_DIGITS
_SHAPE_KEY = b"'shape': ("


def npy_header(str descr, tuple shape, Py_ssize_t reserve=_ROW_COUNT_DIGITS):
    """Build the header of an NPY file: everything before the data.

    ``descr``: dtype as ``dtype.str`` gives it, such as ``'<f4'``. ``shape``: non-negative integers, C order.
    ``reserve``: digits the row count may grow to; 21 is NumPy's own figure, so the length is the same for every row
    count and ``patch_row_count`` always fits. The length is a multiple of 64, 128 for all that vecmill writes.

    Raises TypeError for a dimension that is no integer, ValueError for a negative one or a header above 64 KiB. Slow
    twin: ``tests/oracles.py``.

    >>> len(npy_header("<f4", (0, 768)))
    128
    """
    dims = tuple([int(operator.index(dim)) for dim in shape])  # int() or NumPy integers print as np.int64(3)
    if any([dim < 0 for dim in dims]):
        raise ValueError(f"shape must not be negative, got {dims}")
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {dims!r}, }}"
    if dims:
        text += " " * (reserve - len(str(dims[0])))
    body = text.encode("latin1")
    n_used = len(_PREFIX) + 2 + len(body) + 1
    n_pad = _ALIGN - n_used % _ALIGN  # never 0: NumPy pads an aligned header by 64
    length = n_used + n_pad - len(_PREFIX) - 2
    if length > 0xFFFF:
        raise ValueError(f"header of {length} bytes does not fit NPY version 1.0")
    return b"".join([_PREFIX, length.to_bytes(2, "little"), body, b" " * n_pad, b"\n"])


def patch_row_count(header, n_rows):
    """Rewrite the row count (first axis) in place, as if the header had been built with it.

    ``header``: writable C-contiguous buffer that starts with a version 1.0 header; bytes after the header are left
    alone. Afterwards it holds ``npy_header(descr, (n_rows, ...))``. Nothing is written unless everything fits.

    Raises TypeError when ``n_rows`` is no integer or ``header`` no buffer, ValueError when ``n_rows`` is negative, or
    the header is read-only, cut short, not version 1.0, has no first axis or no room for the digits. Slow twin:
    ``tests/oracles.py``.
    """
    n_rows = int(operator.index(n_rows))
    if n_rows < 0:
        raise ValueError(f"n_rows must not be negative, got {n_rows}")
    with memoryview(header) as whole:
        if whole.readonly or not whole.c_contiguous:
            raise ValueError("header must be a writable, C-contiguous buffer")
        view = whole.cast("B")
        if view.nbytes < len(_PREFIX) + 2 or view[:len(_PREFIX)] != _PREFIX:
            raise ValueError("not an NPY header of version 1.0")
        start = len(_PREFIX) + 2
        (length,) = unpack_from("<H", view, len(_PREFIX))
        body = bytes(view[start:start + length])
        if len(body) != length:
            raise ValueError(f"header cut short: expected {length} bytes after the prefix, got {len(body)}")
        # Last occurrence: the keys are sorted, and a structured descr may hold any text.
        before, key, after = body.rpartition(_SHAPE_KEY)
        digits, comma, rest = after.partition(b",")
        if not key or not comma or not digits.isdigit():
            raise ValueError("header has no first axis to patch")
        patched = (before + key + str(n_rows).encode() + comma + rest.rstrip()).ljust(length - 1) + b"\n"
        if len(patched) != length:
            raise ValueError(f"no room in the header for {n_rows} rows")
        pack_into(f"{length}s", view, start, patched)
