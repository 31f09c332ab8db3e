"""fbin, f16bin, u8bin, i8bin, ibin: the matrices of big-ann-benchmarks, DiskANN and cuVS.

https://big-ann-benchmarks.com/neurips21.html: "8 bytes of data consisting of num_points(uint32_t)
num_dimensions(uint32) followed by num_pts X num_dimensions x sizeof(type) bytes", little-endian.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vecmill.errors import DataError
from vecmill.sources.arrays import Array, MappedArray, check_size
from vecmill.sources.base import reading
from vecmill.sources.remote import AnyPath

_ELEMENTS: dict[str, np.dtype[Any]] = {
    "fbin": np.dtype("<f4"),
    "f16bin": np.dtype("<f2"),
    "u8bin": np.dtype("u1"),
    "i8bin": np.dtype("i1"),
    "ibin": np.dtype("<i4"),
}
_HEADER_BYTES = 8


def arrays(path: AnyPath, member: str = "", *, kind: str) -> dict[str, Array]:
    """Return the matrix of a ``kind`` file ("fbin", ...) by the stem of its name. Raises DataError, StoreError."""
    element = _ELEMENTS[kind]
    with reading(path, kind):
        if member:
            raise DataError(file=str(path), expected=f"a path: a {kind} file has no parts", got=f"part {member!r}")
        n_bytes = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(_HEADER_BYTES)
        if len(head) < _HEADER_BYTES:
            got = "an empty file" if not head else f"only {n_bytes} bytes"
            raise DataError(file=str(path), expected=f"a {kind} file, which begins with rows and dim", got=got)
        n_rows, dim = (int(count) for count in np.frombuffer(head, "<u4"))
        if dim == 0:
            raise DataError(file=str(path), expected="a dim of at least 1", got=f"{dim} (of {n_rows} rows)")
        needed = _HEADER_BYTES + n_rows * dim * element.itemsize
        check_size(path, n_bytes, needed, f"the {n_rows} rows of dim {dim} that its header tells")
        return {path.stem: MappedArray(path, kind, element, (n_rows, dim), _HEADER_BYTES)}
