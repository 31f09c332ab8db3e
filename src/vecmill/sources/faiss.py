"""FAISS indexes that keep their vectors whole: flat, IVF-flat, HNSW over flat; with or without an ID map."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from vecmill.errors import DataError
from vecmill.sources.arrays import Array, Read
from vecmill.sources.base import extra, names_text, one_line, reading

MAGICS = (b"IxFI", b"IxF2", b"IxFl", b"IwFl", b"IxMp", b"IxM2", b"IHNf")
"""How the files begin that are read: flat of three kinds, IVF-flat, ID maps, HNSW over flat."""
_KEPT = "an index that keeps its vectors whole (flat, IVF-flat, HNSW over flat)"
# faiss/impl/index_write.cpp, write_index_header: after the magic the dim (int32) and the vectors (int64).
_HEADER = struct.Struct("<4siq")


def arrays(path: Path, member: str = "") -> dict[str, Array]:
    """Return ``vector``, and ``id`` where the index has IDs of its own. Raises DataError, StoreError.

    The rows of an IVF index come list by list, as they lie in the file: ``id`` says which is which.
    """
    _check_header(path)
    index = _index(path)
    found: dict[str, Array] = {"id": _Ids(path, index)} if index.lists is not None or index.ids is not None else {}
    found["vector"] = _Vectors(path, index)
    if member and member not in found:
        raise DataError(file=str(path), expected=f"a column {member!r}", got=f"columns {names_text(list(found))}")
    return {member: found[member]} if member else found


@dataclass(frozen=True, slots=True)
class _Index:
    """An open index: the flat storage, or the inverted lists and where they begin; IDs by position, if it has any."""

    whole: Any
    flat: Any
    lists: Any
    ends: tuple[int, ...]
    ids: Any
    dim: int
    n_rows: int


def _check_header(path: Path) -> None:
    """Refuse what is not worth opening, and what has no room for its vectors, before FAISS allocates them."""
    with reading(path, "FAISS"):
        n_bytes = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(_HEADER.size)
        if len(head) < _HEADER.size:
            got = "an empty file" if not head else f"only {n_bytes} bytes"
            raise DataError(file=str(path), expected="a FAISS index", got=got)
        magic, dim, n_rows = _HEADER.unpack(head)
        if magic not in MAGICS:
            raise DataError(file=str(path), expected=_KEPT, got=f"one of type {magic!r}")
        if dim <= 0 or n_rows < 0 or n_rows * dim * 4 > n_bytes:
            raise DataError(
                file=str(path), expected=f"room for {n_rows} vectors of dim {dim}", got=f"a file of {n_bytes} bytes"
            )


def _index(path: Path) -> _Index:
    with extra("faiss", "faiss", path):
        import faiss
    with reading(path, "FAISS"):
        try:
            flags = faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY
            whole = faiss.read_index(str(path), getattr(faiss, "IO_FLAG_MMAP_IFC", flags))
        except (RuntimeError, MemoryError) as err:
            raise DataError(file=str(path), expected="a whole FAISS index", got=_reason(err)) from err
        inner, ids = faiss.downcast_index(whole), None
        if isinstance(inner, faiss.IndexIDMap | faiss.IndexIDMap2):
            ids = faiss.vector_to_array(inner.id_map)
            inner = faiss.downcast_index(inner.index)
        if isinstance(inner, faiss.IndexHNSWFlat):
            inner = faiss.downcast_index(inner.storage)
        flat, lists, sizes = None, None, [int(inner.ntotal)]
        if isinstance(inner, faiss.IndexIVFFlat) and type(inner).__name__ == "IndexIVFFlat":
            lists = inner.invlists
            assert lists is not None
            sizes = [int(lists.list_size(i)) for i in range(lists.nlist)]
        elif isinstance(inner, faiss.IndexFlat):
            flat = inner
        else:
            raise DataError(file=str(path), expected=_KEPT, got=f"a {type(inner).__name__}")
        n_rows = sum(sizes)
        if n_rows != inner.ntotal or (ids is not None and len(ids) != n_rows):
            raise DataError(file=str(path), expected=f"{inner.ntotal} vectors, as its header tells", got=f"{n_rows}")
        return _Index(whole, flat, lists, tuple(accumulate(sizes)), ids, int(inner.d), n_rows)


def _ranges(index: _Index, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """Yield list, first and last row in it, for the rows ``start`` to ``stop``."""
    low = 0
    for i, end in enumerate(index.ends):
        if end > start and low < stop:
            yield i, max(start, low) - low, min(stop, end) - low
        low = end


@dataclass(frozen=True, slots=True)
class _Vectors:
    path: Path
    index: _Index
    chunk_rows: int = 1
    is_mapped: bool = False

    @property
    def place(self) -> str:
        return str(self.path)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.float32)

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.index.n_rows, self.index.dim)

    @property
    def n_bytes(self) -> int:
        return self.index.n_rows * self.index.dim * 4

    @contextmanager
    def opened(self) -> Iterator[Read]:
        yield self._read

    def _read(self, start: int, stop: int) -> np.ndarray[Any, Any]:
        import faiss

        index, dim = self.index, self.index.dim
        if index.flat is not None:
            return np.asarray(index.flat.reconstruct_n(start, stop - start))
        values = np.empty((stop - start, dim), np.float32)
        at = 0
        for i, low, high in _ranges(index, start, stop):
            codes = index.lists.get_codes(i)
            raw = faiss.rev_swig_ptr(codes, high * dim * 4).reshape(high, dim * 4)
            values[at : at + high - low] = raw[low:].view(np.float32)
            index.lists.release_codes(i, codes)
            at += high - low
        return values


@dataclass(frozen=True, slots=True)
class _Ids:
    path: Path
    index: _Index
    chunk_rows: int = 1
    is_mapped: bool = False

    @property
    def place(self) -> str:
        return str(self.path)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.int64)

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.index.n_rows,)

    @property
    def n_bytes(self) -> int:
        return self.index.n_rows * 8

    @contextmanager
    def opened(self) -> Iterator[Read]:
        yield self._read

    def _read(self, start: int, stop: int) -> np.ndarray[Any, Any]:
        import faiss

        index = self.index
        if index.lists is None:
            return np.asarray(index.ids[start:stop])
        values = np.empty(stop - start, np.int64)
        at = 0
        for i, low, high in _ranges(index, start, stop):
            ids = index.lists.get_ids(i)
            values[at : at + high - low] = faiss.rev_swig_ptr(ids, high)[low:]
            index.lists.release_ids(i, ids)
            at += high - low
        return values if index.ids is None else np.asarray(index.ids[values])


def _reason(err: BaseException) -> str:
    """Return what FAISS says without the function and the line of its source, in which the message is wrapped."""
    text = one_line(err)
    return text.rpartition("Error: ")[2] or text
