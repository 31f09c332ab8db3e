"""Matrices without names: fvecs, bvecs, ivecs (a dim before every row); fbin and its kin (rows and dim before all).

fvecs, bvecs, ivecs are the vectors of TEXMEX (SIFT, GIST), http://corpus-texmex.irisa.fr: "each vector takes 4+d*4
bytes for .fvecs and .ivecs formats, and 4+d for .bvecs". fbin, f16bin, u8bin, i8bin, ibin are the matrices of
big-ann-benchmarks, DiskANN and cuVS, https://big-ann-benchmarks.com/neurips21.html: "8 bytes of data consisting of
num_points(uint32_t) num_dimensions(uint32) followed by num_pts X num_dimensions x sizeof(type) bytes". All are
little-endian.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from vecmill.errors import DataError
from vecmill.sources.arrays import Array, Layout, Read, check_size
from vecmill.sources.base import reading
from vecmill.sources.remote import AnyPath

VECS: dict[str, np.dtype[Any]] = {"fvecs": np.dtype("<f4"), "bvecs": np.dtype("u1"), "ivecs": np.dtype("<i4")}
"""Kinds with a dim before every row -> type of the values."""
BINS: dict[str, np.dtype[Any]] = {
    "fbin": np.dtype("<f4"),
    "f16bin": np.dtype("<f2"),
    "u8bin": np.dtype("u1"),
    "i8bin": np.dtype("i1"),
    "ibin": np.dtype("<i4"),
}
"""Kinds with rows and dim before all values -> type of the values."""

_DIM = np.dtype("<i4")
_COUNTS = np.dtype(("<u4", 2))
_MAX_DIM = 1 << 20
"""A file that begins with a larger dim is a file of another kind."""
_CHECK_BYTES = 8 << 20


def arrays(path: AnyPath, member: str = "", *, kind: str) -> dict[str, Array]:
    """Return the matrix (n, dim) of a ``kind`` file ("fvecs", ...) by the stem of its name.

    Raises DataError, StoreError.
    """
    header, words = (_DIM, "a dim") if kind in VECS else (_COUNTS, "rows and dim")
    with reading(path, kind):
        if member:
            raise DataError(file=str(path), expected=f"a path: a {kind} file has no parts", got=f"part {member!r}")
        n_bytes = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(header.itemsize)
        if len(head) < header.itemsize:
            got = "an empty file" if not head else f"only {n_bytes} bytes"
            raise DataError(file=str(path), expected=f"a {kind} file, which begins with {words}", got=got)
        made = _vecs(path, kind, head, n_bytes) if kind in VECS else _bin(path, kind, head, n_bytes)
        return {path.stem: made}


def _bin(path: AnyPath, kind: str, head: bytes, n_bytes: int) -> Array:
    """Return the matrix behind a header of rows and dim."""
    element = BINS[kind]
    n_rows, dim = (int(count) for count in np.frombuffer(head, "<u4"))
    if dim == 0:
        raise DataError(file=str(path), expected="a dim of at least 1", got=f"{dim} (of {n_rows} rows)")
    needed = len(head) + n_rows * dim * element.itemsize
    check_size(path, n_bytes, needed, f"the {n_rows} rows of dim {dim} that its header tells")
    return Layout(path, kind, element, (n_rows, dim), len(head)).array()


def _vecs(path: AnyPath, kind: str, head: bytes, n_bytes: int) -> Array:
    """Return the matrix whose rows each begin with their dim."""
    element = VECS[kind]
    dim = int(np.frombuffer(head, _DIM)[0])
    if not 0 < dim <= _MAX_DIM:
        raise DataError(file=str(path), row=0, expected=f"a dim from 1 to {_MAX_DIM}", got=f"{dim}")
    stride = _DIM.itemsize + dim * element.itemsize
    n_rows, rest = divmod(n_bytes, stride)
    dims = Layout(path, kind, _DIM, (n_rows,), 0, stride)
    if rest:
        if dims.is_mapped:
            _check_dims(dims, dim, 0, n_rows)
        raise DataError(
            file=str(path),
            row=n_rows,
            expected=f"a row of {stride} bytes (dim {dim})",
            got=f"only {rest} bytes before the end of the file",
        )
    values = Layout(path, kind, element, (n_rows, dim), _DIM.itemsize, stride)
    opened = _Rows(values, dims).opened
    return Array(str(path), element, values.shape, n_rows * stride, opened, is_mapped=values.is_mapped)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Values, and the dims between them, which are compared as the rows are read."""

    values: Layout
    dims: Layout

    @contextmanager
    def opened(self) -> Iterator[Read]:
        """Open for reading; see `Array`."""
        if self.values.is_mapped:
            yield self._read
            return
        whole = Layout(self.dims.path, self.dims.kind, np.dtype("u1"), (self.dims.shape[0], self.dims.stride), 0)
        with whole.opened() as read:
            yield lambda start, stop: self._split(read(start, stop), start)

    def _split(self, rows: np.ndarray[Any, Any], start: int) -> np.ndarray[Any, Any]:
        """Return the values of whole rows (n, stride) of an object, after a look at their dims."""
        dim, dtype = self.values.shape[1], self.values.dtype
        _refuse_others(self.dims, rows[:, : _DIM.itemsize].copy().view(_DIM).ravel(), dim, start)
        steps = (self.dims.stride, dtype.itemsize)
        return np.ndarray((len(rows), dim), dtype, buffer=rows, offset=_DIM.itemsize, strides=steps)

    def _read(self, start: int, stop: int) -> np.ndarray[Any, Any]:
        _check_dims(self.dims, self.values.shape[1], start, stop)
        return self.values.read(start, stop)


def _check_dims(dims: Layout, dim: int, start: int, stop: int) -> None:
    """Raise DataError for the first of the rows ``start`` to ``stop`` that has another dim."""
    step = max(1, _CHECK_BYTES // dims.stride)
    for low in range(start, stop, step):
        _refuse_others(dims, dims.read(low, min(stop, low + step)), dim, low)


def _refuse_others(dims: Layout, found: np.ndarray[Any, Any], dim: int, start: int) -> None:
    other = found != dim
    if other.any():
        i = int(np.argmax(other))
        raise DataError(file=str(dims.path), row=start + i, expected=f"dim {dim}, as in row 0", got=f"{found[i]}")
