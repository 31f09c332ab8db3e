"""FAISS indexes that keep their vectors whole: flat, IVF-flat, HNSW over flat; with or without an ID map."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from vecmill.errors import DataError
from vecmill.sources.arrays import Array, Read
from vecmill.sources.base import extra, names_text, one_line, reading

MAGICS = (b"IxFI", b"IxF2", b"IxFl", b"IwFl", b"IxMp", b"IxM2", b"IHNf")
"""First bytes of the files that are read: flat of three kinds, IVF-flat, ID maps, HNSW over flat."""
_KEPT = "an index that keeps its vectors whole (flat, IVF-flat, HNSW over flat)"
# faiss/impl/index_write.cpp, write_index_header: after the magic the dim (int32) and the vectors (int64).
_HEADER = struct.Struct("<4siq")


def arrays(path: Path, member: str = "") -> dict[str, Array]:
    """Return ``vector``, and ``id`` where the index has IDs of its own. Raises DataError, StoreError.

    The rows of an IVF index come list by list, as they lie in the file: ``id`` says which is which.
    """
    _check_header(path)
    index = _index(path)
    found: dict[str, Array] = {}
    if index.lists is not None or index.ids is not None:
        found["id"] = _array(path, np.dtype(np.int64), (index.n_rows,), partial(_ids, index))
    found["vector"] = _array(path, np.dtype(np.float32), (index.n_rows, index.dim), partial(_vectors, index))
    if member and member not in found:
        raise DataError(file=str(path), expected=f"a column {member!r}", got=f"columns {names_text(list(found))}")
    return {member: found[member]} if member else found


@dataclass(frozen=True, slots=True)
class _Index:
    """An open index.

    Attributes
    ----------
    whole: FAISS' object, which owns all the others.
    flat: the flat storage, or None; ``lists`` the inverted lists, or None. There is one of the two.
    ends: row behind the last of each list (of the flat storage).
    ids: IDs by position (n_rows,), or None.
    """

    whole: Any
    flat: Any
    lists: Any
    ends: tuple[int, ...]
    ids: Any
    dim: int
    n_rows: int


def _check_header(path: Path) -> None:
    """Raise DataError for another file, and for one too short for its vectors, before FAISS allocates memory."""
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


def _array(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...], read: Read) -> Array:
    return Array(str(path), dtype, shape, dtype.itemsize * math.prod(shape), lambda: nullcontext(read))


def _vectors(index: _Index, start: int, stop: int) -> np.ndarray[Any, Any]:
    """Return the vectors (stop - start, dim) as float32."""
    if index.flat is not None:
        return np.asarray(index.flat.reconstruct_n(start, stop - start))
    values = np.empty((stop - start, index.dim), np.float32)
    _gather(index, start, index.lists.get_codes, index.lists.release_codes, values.view(np.uint8))
    return values


def _ids(index: _Index, start: int, stop: int) -> np.ndarray[Any, Any]:
    """Return the IDs (stop - start,) as int64."""
    if index.lists is None:
        return np.asarray(index.ids[start:stop])
    values = np.empty((stop - start, 1), np.int64)
    _gather(index, start, index.lists.get_ids, index.lists.release_ids, values)
    return values[:, 0] if index.ids is None else np.asarray(index.ids[values[:, 0]])


def _gather(
    index: _Index, start: int, get: Callable[[int], Any], release: Callable[[int, Any], None], out: np.ndarray[Any, Any]
) -> None:
    """Fill ``out`` (rows, items of a row) from the inverted lists, from row ``start`` on."""
    import faiss

    at, width = 0, out.shape[1]
    for i, low, high in _ranges(index, start, start + len(out)):
        pointer = get(i)
        rows = faiss.rev_swig_ptr(pointer, high * width).reshape(high, width)
        out[at : at + high - low] = rows[low:]
        release(i, pointer)
        at += high - low


def _reason(err: BaseException) -> str:
    """Return the message of FAISS without the function and the source line in front of it."""
    text = one_line(err)
    return text.rpartition("Error: ")[2] or text
