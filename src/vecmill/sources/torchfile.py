"""Tensors that ``torch.save`` wrote, mapped where they lie. torch is not needed, and no code of the file is run.

The file is a ZIP archive: ``data.pkl`` has the structure, every storage is a member that is not compressed. Unpickling
knows the few names that tensors are made of, as ``weights_only=True`` of torch does, and refuses all others.
"""

from __future__ import annotations

import io
import pickle
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vecmill.errors import DataError
from vecmill.sources.arrays import Array, Layout, Read, unreadable
from vecmill.sources.base import names_text, one_line, reading
from vecmill.sources.npz import member_offset

_MAX_PICKLE = 256 << 20
_MAX_DEPTH = 32
_STORAGES = {
    "FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "BFloat16Storage": "|V2", "BoolStorage": "|b1",
    "ByteStorage": "|u1", "CharStorage": "|i1", "ShortStorage": "<i2", "IntStorage": "<i4", "LongStorage": "<i8",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Storage:
    """Elements of one member. ``size`` counts them."""

    key: str
    dtype: np.dtype[Any]
    size: int


@dataclass(frozen=True, slots=True)
class _Tensor:
    """A view of a storage; offset and strides count elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _UnsafeError(ValueError):
    """The file asks for something that is no tensor."""


def arrays(path: Path, member: str = "") -> dict[str, Array]:
    """Return the tensors of a file by name, and lists of text or numbers beside them; or the one called ``member``.

    A single tensor has the stem of the file as its name; what lies in dicts and lists has its keys, joined by dots.
    Raises DataError, StoreError.
    """
    with _damage(path), zipfile.ZipFile(path) as archive:
        root = _root(path, archive)
        found = {name or path.stem: value for name, value in _leaves(_unpickled(path, archive, root))}
        if member:
            if member not in found:
                raise DataError(file=str(path), expected=f"a tensor {member!r}", got=f"tensors {names_text([*found])}")
            return {member: _array(path, archive, root, member, found[member])}
        found = {name: value for name, value in found.items() if len(_shape(value)) in (1, 2)}
        if not found:
            raise DataError(file=str(path), expected="tensors of 1 or 2 dimensions", got="none of them in it")
        arrays: dict[str, Array] = {}
        for name, value in found.items():
            try:
                arrays[name] = _array(path, archive, root, name, value)
            except DataError as err:
                arrays[name] = unreadable(err)
        return arrays


def _root(path: Path, archive: zipfile.ZipFile) -> str:
    """Return the folder within the archive."""
    pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise DataError(file=str(path), expected="a file that torch.save wrote", got="another ZIP archive")
    return pickles[0].removesuffix("data.pkl")


def _unpickled(path: Path, archive: zipfile.ZipFile, root: str) -> Any:
    info = archive.getinfo(f"{root}data.pkl")
    if info.file_size > _MAX_PICKLE:
        raise DataError(
            file=str(path), expected=f"a structure of at most {_MAX_PICKLE} bytes", got=f"{info.file_size} bytes"
        )
    big = f"{root}byteorder" in archive.namelist() and archive.read(f"{root}byteorder") == b"big"
    try:
        return _Unpickler(archive.read(info), big=big).load()
    except _UnsafeError as err:
        raise DataError(file=str(path), expected="tensors in dicts and lists (a state_dict)", got=str(err)) from err
    except (pickle.UnpicklingError, ValueError, TypeError, KeyError, IndexError, EOFError, AttributeError) as err:
        raise DataError(file=str(path), expected="a whole file of torch.save", got=one_line(err)) from err


class _Unpickler(pickle.Unpickler):
    """Makes `_Tensor`\\ s; nothing that the file names is imported."""

    def __init__(self, data: bytes, *, big: bool) -> None:
        super().__init__(io.BytesIO(data))
        self._big = big

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in _STORAGES:
            dtype = np.dtype(_STORAGES[name])
            return dtype.newbyteorder(">") if self._big else dtype
        known = {
            ("torch._utils", "_rebuild_tensor_v2"): _rebuilt,
            ("torch._utils", "_rebuild_parameter"): lambda data, *_: data,
            ("collections", "OrderedDict"): OrderedDict,
        }
        if (module, name) not in known:
            raise _UnsafeError(f"a {module}.{name}")
        return known[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _, size = pid
        if kind != "storage" or not isinstance(dtype, np.dtype):
            raise _UnsafeError(f"{kind!r} outside of the structure")
        return _Storage(str(key), dtype, int(size))


def _rebuilt(storage: _Storage, offset: int, shape: Any, strides: Any, *_: object) -> _Tensor:
    made = _Tensor(storage, int(offset), tuple(map(int, shape)), tuple(map(int, strides)))
    last = made.offset + sum((n - 1) * step for n, step in zip(made.shape, made.strides, strict=True))
    if min((*made.shape, *made.strides, made.offset), default=0) < 0 or (0 not in made.shape and last >= storage.size):
        raise ValueError(f"a tensor of shape {made.shape} in a storage of {storage.size} elements")
    return made


def _leaves(value: Any, name: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield tensors, and lists that may be columns, with their names; other values are none."""
    if isinstance(value, _Tensor) or _is_column(value):
        yield name, value
    elif isinstance(value, Mapping | list | tuple) and depth < _MAX_DEPTH:
        for key, inner in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from _leaves(inner, f"{name}.{key}".lstrip("."), depth + 1)


def _is_column(value: Any) -> bool:
    kinds = {type(one) for one in value} if isinstance(value, list) else set()
    return bool(kinds) and kinds <= {str, int, float, bool, type(None)}


def _values(place: str, values: list[Any]) -> np.ndarray[Any, Any]:
    """Return a list as an array. Raises DataError for values of several types, nulls and integers beyond 64 bits."""
    kinds = {type(one) for one in values}
    if len(kinds) > 1 and kinds != {int, float}:
        row = next(i for i, one in enumerate(values) if type(one) is not type(values[0]))
        got = f"a {type(values[row]).__name__}"
        raise DataError(file=place, row=row, expected=f"a {type(values[0]).__name__}, as in row 0", got=got)
    try:
        return np.array(values, object if kinds == {str} else np.int64 if kinds == {int} else None)
    except OverflowError as err:
        raise DataError(file=place, expected="integers of 64 bits", got="a larger one") from err


def _shape(value: Any) -> tuple[int, ...]:
    return value.shape if isinstance(value, _Tensor) else (len(value),)


def _array(path: Path, archive: zipfile.ZipFile, root: str, name: str, value: Any) -> Array:
    place = f"{path}:{name}"
    if not isinstance(value, _Tensor):
        listed = _values(place, value)
        return Array(place, listed.dtype, listed.shape, listed.nbytes, partial(_listed, listed))
    info = archive.getinfo(f"{root}data/{value.storage.key}")
    size = value.storage.size * value.storage.dtype.itemsize
    if info.compress_type != zipfile.ZIP_STORED or info.file_size < size:
        got = f"{info.file_size} bytes" if info.file_size < size else "compressed ones"
        raise DataError(file=place, expected=f"{size} bytes, not compressed", got=got)
    itemsize = value.storage.dtype.itemsize
    offset = member_offset(path, info) + value.offset * itemsize
    if value.shape[0] > 1 and value.strides[0] == 0:
        raise DataError(file=place, expected="rows of their own", got="one row that was expanded")
    if len(value.shape) == 1:
        stride = value.strides[0] * itemsize
        return Layout(path, "torch", value.storage.dtype, value.shape, offset, stride, member=name).array()
    if len(value.shape) != 2:
        raise DataError(file=place, expected="a tensor of 1 or 2 dimensions", got=f"shape {value.shape}")
    (n_rows, dim), (row_step, step) = value.shape, value.strides
    by_column = row_step == 1 and step == n_rows and dim > 1 and n_rows > 1
    if step != 1 and dim > 1 and not by_column:
        raise DataError(file=place, expected="rows of adjacent values", got=f"strides {value.strides}")
    stride = 0 if by_column else row_step * itemsize
    dtype = value.storage.dtype
    return Layout(path, "torch", dtype, value.shape, offset, stride, fortran=by_column, member=name).array()


@contextmanager
def _listed(values: np.ndarray[Any, Any]) -> Iterator[Read]:
    """Open a list of text or numbers, which is in memory already."""
    yield lambda start, stop: values[start:stop]


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    with reading(path, "torch"):
        try:
            yield
        except (zipfile.BadZipFile, zlib.error, KeyError, NotImplementedError) as err:
            raise DataError(file=str(path), expected="a whole file of torch.save", got=one_line(err)) from err
