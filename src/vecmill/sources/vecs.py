"""fvecs, bvecs, ivecs: the vectors of TEXMEX (SIFT, GIST). Every row is its dim (int32) and its values.

http://corpus-texmex.irisa.fr: "each vector takes 4+d*4 bytes for .fvecs and .ivecs formats, and 4+d for .bvecs",
little-endian.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from vecmill.errors import DataError
from vecmill.sources.arrays import Array, MappedArray, Read
from vecmill.sources.base import reading
from vecmill.sources.remote import AnyPath

_ELEMENTS: dict[str, np.dtype[Any]] = {"fvecs": np.dtype("<f4"), "bvecs": np.dtype("u1"), "ivecs": np.dtype("<i4")}
_DIM = np.dtype("<i4")
_MAX_DIM = 1 << 20
"""More is no vector of anybody's, but a file of another kind."""
_CHECK_BYTES = 8 << 20


def arrays(path: AnyPath, member: str = "", *, kind: str) -> dict[str, Array]:
    """Return the vectors of a ``kind`` file ("fvecs", ...) by the stem of its name. Raises DataError, StoreError."""
    element = _ELEMENTS[kind]
    with reading(path, kind):
        if member:
            raise DataError(file=str(path), expected=f"a path: a {kind} file has no parts", got=f"part {member!r}")
        n_bytes = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(_DIM.itemsize)
        if len(head) < _DIM.itemsize:
            got = "an empty file, which has no dim" if not head else f"only {n_bytes} bytes"
            raise DataError(file=str(path), expected=f"a {kind} file, which begins with a dim", got=got)
        dim = int(np.frombuffer(head, _DIM)[0])
        if not 0 < dim <= _MAX_DIM:
            raise DataError(file=str(path), row=0, expected=f"a dim from 1 to {_MAX_DIM}", got=f"{dim}")
        stride = _DIM.itemsize + dim * element.itemsize
        n_rows, rest = divmod(n_bytes, stride)
        dims = MappedArray(path, kind, _DIM, (n_rows,), 0, stride)
        if rest:
            if dims.is_mapped:
                _check_dims(dims, dim)
            raise DataError(
                file=str(path),
                row=n_rows,
                expected=f"a row of {stride} bytes (dim {dim})",
                got=f"only {rest} bytes before the end of the file",
            )
        return {path.stem: _Vecs(MappedArray(path, kind, element, (n_rows, dim), _DIM.itemsize, stride), dims)}


@dataclass(frozen=True, slots=True)
class _Vecs:
    """The values, without the dims between them, which are compared as the rows are read."""

    values: MappedArray
    dims: MappedArray
    chunk_rows: int = 1

    @property
    def is_mapped(self) -> bool:
        return self.values.is_mapped

    @property
    def place(self) -> str:
        return self.values.place

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.values.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    @property
    def n_bytes(self) -> int:
        return self.values.n_bytes

    @contextmanager
    def opened(self) -> Iterator[Read]:
        if self.is_mapped:
            yield self._read
            return
        whole = MappedArray(self.dims.path, self.dims.kind, np.dtype("u1"), (self.shape[0], self.dims.stride), 0)
        with whole.opened() as read:
            yield lambda start, stop: self._split(read(start, stop), start)

    def _split(self, rows: np.ndarray[Any, Any], start: int) -> np.ndarray[Any, Any]:
        """Return the values of whole rows of an object, whose dims are compared."""
        _refuse_others(self.dims, rows[:, : _DIM.itemsize].copy().view(_DIM).ravel(), self.shape[1], start)
        return np.ndarray(
            (len(rows), self.shape[1]), self.dtype, buffer=rows, offset=_DIM.itemsize,
            strides=(self.dims.stride, self.dtype.itemsize),
        )  # fmt: skip

    def _read(self, start: int, stop: int) -> np.ndarray[Any, Any]:
        _check_dims(self.dims, self.shape[1], start, stop)
        return self.values.read(start, stop)


def _check_dims(dims: MappedArray, dim: int, start: int = 0, stop: int | None = None) -> None:
    """Raise DataError for the first row whose dim is another one."""
    stop = dims.shape[0] if stop is None else stop
    step = max(1, _CHECK_BYTES // dims.stride)
    for low in range(start, stop, step):
        _refuse_others(dims, dims.read(low, min(stop, low + step)), dim, low)


def _refuse_others(dims: MappedArray, found: np.ndarray[Any, Any], dim: int, start: int) -> None:
    other = found != dim
    if other.any():
        i = int(np.argmax(other))
        raise DataError(file=str(dims.path), row=start + i, expected=f"dim {dim}, as in row 0", got=f"{found[i]}")
