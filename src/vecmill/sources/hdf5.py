"""HDF5 files (h5py): datasets of one length side by side, or the ``train`` of ann-benchmarks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vecmill.errors import DataError
from vecmill.sources.arrays import Array, Read, unreadable
from vecmill.sources.base import extra, names_text, reading

_ANN_BENCHMARKS = "train"
"""Name of the rows in ann-benchmarks; its test, neighbors and distances belong to the queries."""
_CHUNK_CACHE_BYTES = 64 << 20
"""h5py's default of 1 MiB is less than one chunk of many files, which would be decoded again for every batch."""


def arrays(path: Path, member: str = "") -> dict[str, Array]:
    """Return datasets by name: the one at ``member``, those of that group, those of the root, or ``train`` alone.

    Raises DataError, StoreError.
    """
    found: dict[str, Array] = {}
    with _file(path) as file, reading(path, "HDF5"):
        import h5py

        node = _node(file, path, member)
        if isinstance(node, h5py.Group):
            inside = {name: child for name, child in node.items() if isinstance(child, h5py.Dataset)}
            if not member and _ANN_BENCHMARKS in inside:
                inside = {_ANN_BENCHMARKS: inside[_ANN_BENCHMARKS]}
        else:
            inside = {node.name.rsplit("/", 1)[-1]: node}
        for name, dataset in inside.items():
            try:
                found[name] = _dataset(path, dataset)
            except DataError as err:
                found[name] = unreadable(err)
        if not found:
            got = f"{names_text(_paths(file))} in the file" if _paths(file) else "an HDF5 file without a dataset"
            raise DataError(file=str(path), expected="datasets; name one (file.h5:path)", got=got)
    return found


def keyed(path: Path, member: str = "") -> dict[str, Array]:
    """Return all datasets of a file, or of the group ``member``, by their paths in it.

    Where each lies in a group of its own under one and the same name, by the paths of the groups.
    """
    found: dict[str, Array] = {}
    with _file(path) as file, reading(path, "HDF5"):
        import h5py

        node = _node(file, path, member)
        if not isinstance(node, h5py.Group):
            raise DataError(file=str(path), expected="a group of datasets, whose names are keys", got="a dataset")

        def visit(name: str, one: Any) -> None:
            if isinstance(one, h5py.Dataset):
                try:
                    found[name] = _dataset(path, one)
                except DataError as err:
                    found[name] = unreadable(err)

        node.visititems(visit)
        split = [name.rpartition("/") for name in found]
    groups = {group for group, _, _ in split}
    if len(groups) == len(split) and len({name for _, _, name in split}) == 1 and "" not in groups:
        return {name.rpartition("/")[0]: array for name, array in found.items()}
    return found


def values(path: Path, names: Sequence[str]) -> Iterator[np.ndarray[Any, Any]]:
    """Yield the values of datasets, by the places that `keyed` tells of them."""
    with _file(path) as file:
        for name in names:
            with reading(path, "HDF5"):
                yield np.asarray(file[name][()])


def _node(file: Any, path: Path, member: str) -> Any:
    name = f"/{member.strip('/')}"
    if name not in file:
        raise DataError(file=str(path), expected=f"a dataset or a group {name!r}", got=f"{names_text(_paths(file))}")
    return file[name]


def _paths(file: Any) -> list[str]:
    import h5py

    found: list[str] = []
    file.visititems(lambda name, node: found.append(f"/{name}") if isinstance(node, h5py.Dataset) else None)
    return found


def _dataset(path: Path, dataset: Any) -> Array:
    import h5py

    name = dataset.name
    place = f"{path}:{name.lstrip('/')}"
    if dataset.shape is None or len(dataset.shape) not in (1, 2):
        raise DataError(file=place, expected="a dataset of 1 or 2 dimensions", got=f"shape {dataset.shape}")
    text = h5py.check_string_dtype(dataset.dtype)
    is_object = dataset.dtype.kind == "O"
    if is_object and text is None:
        raise DataError(
            file=place, expected="numbers, text or a matrix of numbers", got="values of a variable length (vlen)"
        )
    dtype = np.dtype(object) if text is not None else dataset.dtype
    chunk_rows = int(dataset.chunks[0]) if dataset.chunks else 1
    n_bytes = int(dataset.id.get_storage_size())
    shape = tuple(map(int, dataset.shape))
    return Array(place, dtype, shape, n_bytes, partial(_opened, path, name, dtype, shape), chunk_rows)


@contextmanager
def _opened(path: Path, name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Iterator[Read]:
    """Open a dataset for reading. Raises DataError if its shape is no longer ``shape``."""
    with _file(path) as file:
        dataset = file[name]
        if tuple(dataset.shape) != shape:
            place = f"{path}:{name.lstrip('/')}"
            raise DataError(file=place, expected=f"shape {shape}, as before", got=f"{dataset.shape}")

        def read(start: int, stop: int) -> np.ndarray[Any, Any]:
            with reading(path, "HDF5"):
                if start == stop:
                    return np.empty((0, *shape[1:]), dtype)
                return np.asarray(dataset[start:stop])

        yield read


@contextmanager
def _file(path: Path) -> Iterator[Any]:
    with extra("h5py", "hdf5", path), reading(path, "HDF5"):
        import h5py

        path.stat()
        try:
            file = h5py.File(path, "r", rdcc_nbytes=_CHUNK_CACHE_BYTES)
        except OSError as err:
            # h5py's message repeats the whole call of the C library; the file is there, so it is no HDF5 file.
            raise DataError(file=str(path), expected="a whole HDF5 file", got=_reason(err)) from err
    with file:
        yield file


def _reason(err: BaseException) -> str:
    text = " ".join(str(err).split())
    return text[text.find("(") + 1 : -1] if "(" in text and text.endswith(")") else text
