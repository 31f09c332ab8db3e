"""NPY files: one array each, mapped."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vecmill.errors import DataError
from vecmill.sources.arrays import Array, MappedArray
from vecmill.sources.base import reading


def arrays(path: Path, member: str = "") -> dict[str, Array]:
    """Return the array of an NPY file by the stem of its name. Raises DataError, StoreError."""
    with reading(path, "NPY"):
        if member:
            raise DataError(file=str(path), expected="a path: an NPY file has no parts", got=f"part {member!r}")
        if path.stat().st_size == 0:
            raise DataError(file=str(path), expected="an NPY file", got="an empty file")
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray):
            array.close()
            raise DataError(file=str(path), expected="an NPY file", got="an archive of several (.npz)")
        if array.ndim not in (1, 2):
            raise DataError(file=str(path), expected="an array of 1 or 2 dimensions", got=f"shape {array.shape}")
        fortran = array.ndim == 2 and not array.flags.c_contiguous
        offset = int(getattr(array, "offset", 0))
        return {path.stem: MappedArray(path, "NPY", array.dtype, array.shape, offset, fortran=fortran)}
