"""safetensors files, through their library, which maps them: a column per tensor of 1 or 2 dimensions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vecmill.errors import DataError
from vecmill.sources.arrays import Array, Read, unreadable
from vecmill.sources.base import extra, names_text, one_line, reading

REOPEN_BYTES = 64 << 20
"""Bytes read before the file is mapped anew: pages of a map stay in the process as long as the map does."""

_DTYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("V2"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U64": np.dtype("<u8"),
    "U32": np.dtype("<u4"),
    "U16": np.dtype("<u2"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}


def arrays(path: Path, member: str = "") -> dict[str, Array]:
    """Return the tensors by name, or the one called ``member``. Raises DataError, StoreError."""
    found: dict[str, Array] = {}
    with _file(path) as file, _damage(path):
        names = list(file.keys())
        if member and member not in names:
            raise DataError(file=str(path), expected=f"a tensor {member!r}", got=f"tensors {names_text(names)}")
        for name in [member] if member else sorted(names):
            tensor = file.get_slice(name)
            shape, dtype = tuple(tensor.get_shape()), tensor.get_dtype()
            if dtype not in _DTYPES:
                got = f"tensor of type {dtype}"
                err = DataError(file=f"{path}:{name}", expected="numbers that a field can hold", got=got)
                found[name] = unreadable(err)
                continue
            n_bytes = _DTYPES[dtype].itemsize * math.prod(shape)
            opened = partial(_opened, path, name, _DTYPES[dtype])
            found[name] = Array(f"{path}:{name}", _DTYPES[dtype], shape, n_bytes, opened)
    if not found:
        raise DataError(file=str(path), expected="a file of tensors", got="none in it")
    return found


def values(path: Path, names: Sequence[str]) -> Iterator[np.ndarray[Any, Any]]:
    """Yield the values of tensors by their names."""
    with _file(path) as file:
        for name in names:
            with _damage(path):
                tensor = np.asarray(file.get_slice(name)[:])
            yield tensor.view("V2") if tensor.dtype.name == "bfloat16" else tensor


@contextmanager
def _opened(path: Path, name: str, dtype: np.dtype[Any]) -> Iterator[Read]:
    """Open a tensor for reading. The file is mapped anew after every `REOPEN_BYTES`."""
    n_bytes = 0
    with ExitStack() as stack:
        tensor = stack.enter_context(_file(path)).get_slice(name)

        def read(start: int, stop: int) -> np.ndarray[Any, Any]:
            nonlocal n_bytes, tensor
            if n_bytes > REOPEN_BYTES:
                stack.close()
                tensor, n_bytes = stack.enter_context(_file(path)).get_slice(name), 0
            with _damage(path):
                values = np.asarray(tensor[start:stop])
            n_bytes += values.nbytes
            # bfloat16 is a type of ml_dtypes' here, and two bytes for the rest of this package.
            return values.view(dtype) if dtype.kind == "V" else values

        yield read


@contextmanager
def _file(path: Path) -> Iterator[Any]:
    with extra("safetensors", "safetensors", path):
        from safetensors import safe_open
    with _damage(path):
        path.stat()
        file = safe_open(path, "numpy")
    with file:
        yield file


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    from safetensors import SafetensorError

    with reading(path, "safetensors"):
        try:
            yield
        except SafetensorError as err:
            raise DataError(file=str(path), expected="a whole safetensors file", got=one_line(err)) from err
