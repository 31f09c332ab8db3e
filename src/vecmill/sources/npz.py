"""NPZ archives of NumPy: an array per member. Stored ones are mapped, compressed ones are inflated as they are read."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy_format

from vecmill.errors import DataError
from vecmill.sources.arrays import Array, Layout, Read, unreadable
from vecmill.sources.base import names_text, one_line, reading

_SKIP_BYTES = 1 << 20
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_MAX_HEADER = 1 << 16


def arrays(path: Path, member: str = "") -> dict[str, Array]:
    """Return the arrays of an archive by name, or the one called ``member``. Raises DataError, StoreError."""
    found: dict[str, Array] = {}
    with _damage(path), zipfile.ZipFile(path) as archive:
        inside = {info.filename.removesuffix(".npy"): info for info in archive.infolist() if not info.is_dir()}
        if member and member not in inside:
            raise DataError(file=str(path), expected=f"an array {member!r}", got=f"arrays {names_text(list(inside))}")
        for name, info in inside.items():
            if member in ("", name):
                try:
                    found[name] = _array(path, archive, name, info)
                except DataError as err:
                    found[name] = unreadable(err)
    if not found:
        raise DataError(file=str(path), expected="an NPZ archive of arrays", got="an archive of nothing")
    return found


def values(path: Path, names: Sequence[str]) -> Iterator[np.ndarray[Any, Any]]:
    """Yield the values of arrays by their names."""
    with _damage(path), np.load(path, allow_pickle=False) as archive:
        for name in names:
            yield archive[name]


def _array(path: Path, archive: zipfile.ZipFile, name: str, info: zipfile.ZipInfo) -> Array:
    with archive.open(info) as file:
        dtype, shape, fortran, header = _header(file)
    place = f"{path}:{name}"
    if dtype.hasobject:
        raise DataError(file=place, expected="numbers or text", got="pickled Python objects")
    needed = header + dtype.itemsize * int(np.prod(shape, dtype=object))
    if info.file_size != needed:
        raise DataError(
            file=place, expected=f"{needed} bytes, for shape {shape} of {dtype.str!r}", got=f"{info.file_size} bytes"
        )
    if info.compress_type == zipfile.ZIP_STORED:
        begin = member_offset(path, info) + header
        return Layout(path, "NPZ", dtype, shape, begin, fortran=fortran and len(shape) == 2, member=name).array()
    if fortran and len(shape) == 2:
        raise DataError(
            file=place, expected="rows one after another (C order)", got="a compressed array in Fortran order"
        )
    opened = partial(_inflated, path, info.filename, dtype, shape, header)
    return Array(place, dtype, shape, info.compress_size, opened)


def member_offset(path: Path, info: zipfile.ZipInfo) -> int:
    """Return where the bytes of a stored member begin in the archive. Raises DataError."""
    with path.open("rb") as raw:
        raw.seek(info.header_offset)
        magic, name_bytes, extra_bytes = _LOCAL_HEADER.unpack(raw.read(_LOCAL_HEADER.size))
    begin = info.header_offset + _LOCAL_HEADER.size + name_bytes + extra_bytes
    if magic != b"PK\x03\x04" or begin + info.file_size > path.stat().st_size:
        place = f"{path}:{info.filename.removesuffix('.npy')}"
        raise DataError(file=place, expected="a whole member of the archive", got="a damaged one")
    return int(begin)


def _header(file: IO[bytes]) -> tuple[np.dtype[Any], tuple[int, ...], bool, int]:
    """Return dtype, shape, Fortran order and length in bytes of an NPY header. Raises ValueError."""
    version = npy_format.read_magic(file)
    if version == (1, 0):
        shape, fortran, dtype = npy_format.read_array_header_1_0(file, max_header_size=_MAX_HEADER)
    else:
        shape, fortran, dtype = npy_format.read_array_header_2_0(file, max_header_size=_MAX_HEADER)
    return dtype, shape, fortran, file.tell()


@contextmanager
def _inflated(
    path: Path, filename: str, dtype: np.dtype[Any], shape: tuple[int, ...], header_bytes: int
) -> Iterator[Read]:
    """Open a compressed member, which can only be read from its beginning on."""
    row_bytes = dtype.itemsize * int(np.prod(shape[1:], dtype=np.int64))
    with ExitStack() as stack:
        with _damage(path):
            archive = stack.enter_context(zipfile.ZipFile(path))
            file = stack.enter_context(archive.open(filename))
        at = -header_bytes

        def read(start: int, stop: int) -> np.ndarray[Any, Any]:
            nonlocal at
            with _damage(path):
                while at < start * row_bytes:
                    at += len(_exactly(file, min(_SKIP_BYTES, start * row_bytes - at)))
                raw = _exactly(file, (stop - start) * row_bytes)
                at += len(raw)
            return np.frombuffer(raw, dtype, count=-1 if raw else 0).reshape(stop - start, *shape[1:])

        yield read


def _exactly(file: IO[bytes], n_bytes: int) -> bytes:
    raw = file.read(n_bytes)
    if len(raw) < n_bytes:
        raise EOFError(f"the data end {n_bytes - len(raw)} bytes early")
    return raw


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    with reading(path, "NPZ"):
        try:
            yield
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, struct.error) as err:
            raise DataError(file=str(path), expected="a whole NPZ archive", got=one_line(err)) from err
