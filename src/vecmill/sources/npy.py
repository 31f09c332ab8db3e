"""NPY files: one array each, mapped."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy_format

from vecmill.errors import DataError
from vecmill.sources.arrays import Array, Layout, check_size
from vecmill.sources.base import reading
from vecmill.sources.remote import AnyPath, ObjectPath


def arrays(path: AnyPath, member: str = "") -> dict[str, Array]:
    """Return the array of an NPY file by the stem of its name. Raises DataError, StoreError."""
    with reading(path, "NPY"):
        if member:
            raise DataError(file=str(path), expected="a path: an NPY file has no parts", got=f"part {member!r}")
        if path.stat().st_size == 0:
            raise DataError(file=str(path), expected="an NPY file", got="an empty file")
        if not isinstance(path, Path):
            dtype, shape, fortran, offset = _header(path)
            check_size(path, path.stat().st_size, offset + dtype.itemsize * math.prod(shape), f"shape {shape}")
            return {path.stem: Layout(path, "NPY", dtype, shape, offset, fortran=fortran and len(shape) == 2).array()}
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray):
            array.close()
            raise DataError(file=str(path), expected="an NPY file", got="an archive of several (.npz)")
        if array.ndim not in (1, 2):
            raise DataError(file=str(path), expected="an array of 1 or 2 dimensions", got=f"shape {array.shape}")
        fortran = array.ndim == 2 and not array.flags.c_contiguous
        offset = int(getattr(array, "offset", 0))
        return {path.stem: Layout(path, "NPY", array.dtype, array.shape, offset, fortran=fortran).array()}


def _header(path: ObjectPath) -> tuple[np.dtype[Any], tuple[int, ...], bool, int]:
    """Return dtype, shape, Fortran order and the place of the first value of an object. Raises ValueError."""
    with path.open() as file:
        read = {(1, 0): npy_format.read_array_header_1_0, (2, 0): npy_format.read_array_header_2_0}
        version = npy_format.read_magic(file)
        if version not in read:
            raise ValueError(f"NPY of version {version}")
        shape, fortran, dtype = read[version](file)
        if dtype.hasobject or len(shape) not in (1, 2):
            what = "pickled Python objects" if dtype.hasobject else f"shape {shape}"
            raise DataError(file=str(path), expected="an array of 1 or 2 dimensions", got=what)
        return dtype, shape, fortran, file.tell()
