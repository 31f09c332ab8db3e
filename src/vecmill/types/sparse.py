"""Sparse vectors: any common form -> sorted indices and float32 values, checked.

The server takes indices from 0 to 2^32 - 2, each once, and finite values that are not negative; it wraps a negative
index silently (milvus, pkg/util/typeutil and importutilv2/parquet).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecmill._native.sparse import ENTRY_BYTES, SLACK_BYTES, dict_text, rows_text_into
from vecmill.types.json import decode_once
from vecmill.types.kind import FLOAT32_MAX

MAX_INDEX = 2**32 - 2

SPARSE_TEXT = re.compile(r"\{([0-9]+:[^,:{}]+(,[0-9]+:[^,:{}]+)*)?\}/[0-9]+")
"""A sparse vector as pgvector prints it: indices from 1, and the dim."""


def _index(key: object) -> int:
    if isinstance(key, str):  # keys of JSON objects are text
        if not (key.isascii() and key.isdigit()) or (len(key) > 1 and key[0] == "0"):
            raise ValueError(f"the index {key[:40]!r}, which is no decimal number")
        return int(key) if len(key) < 20 else MAX_INDEX + 1
    if isinstance(key, bool | np.bool_) or not hasattr(key, "__index__"):
        raise ValueError(f"an index of type {type(key).__name__}")
    return int(key.__index__())


def _value(value: object) -> float:
    if isinstance(value, bool | np.bool_ | str) or not (hasattr(value, "__float__") or hasattr(value, "__index__")):
        raise ValueError(f"a value of type {type(value).__name__}")
    return float(value)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class SparseRows:
    """Rows of a compressed sparse row matrix: ``indptr`` (n + 1,), ``indices`` and ``values`` (nnz,)."""

    indptr: NDArray[Any]
    indices: NDArray[Any]
    values: NDArray[Any]

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def __getitem__(self, rows: slice) -> SparseRows:
        start, stop, _ = rows.indices(len(self))
        return SparseRows(self.indptr[start : stop + 1], self.indices, self.values)

    def to_pylist(self) -> list[dict[str, Any]]:
        """Return the rows, one dict each."""
        cuts = self.indptr.tolist()
        return [{"indices": self.indices[a:b], "values": self.values[a:b]} for a, b in pairwise(cuts)]


def _pairs(value: Any) -> tuple[Iterable[object], Iterable[object]]:
    """Return (indices, values) as given."""
    if isinstance(value, Mapping):
        if set(value) == {"indices", "values"}:
            return value["indices"], value["values"]
        return value.keys(), value.values()
    if hasattr(value, "tocoo"):  # a row of a SciPy matrix
        row = value.tocoo()
        if row.ndim == 2 and row.shape[0] != 1:
            raise ValueError(f"a sparse matrix of {row.shape[0]} rows, not one row")
        return (row.col if row.ndim == 2 else row.coords[0]), row.data
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise ValueError(f"a {type(value).__name__}")
    pairs = [_pair(one) for one in value]
    for position, pair in enumerate(pairs):
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise ValueError(f"an entry at position {position} that is no pair of index and value")
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def _pair(entry: Any) -> Any:
    """Return (index, value) of an entry. What is none comes back as something else."""
    if isinstance(entry, Mapping):  # as the SDK for Node has it
        return (entry["index"], entry["value"]) if set(entry) == {"index", "value"} else entry
    return tuple(entry) if isinstance(entry, Iterable) and not isinstance(entry, str | bytes) else entry


def sparse_arrays(value: Any) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
    """Return (indices, values) of one sparse vector, sorted by index.

    ``value``: a dict of index to value (keys may be decimal text), ``{"indices": [...], "values": [...]}``, pairs of
    index and value, a list of ``{"index": ..., "value": ...}``, or one row of a SciPy sparse matrix. Raises ValueError
    with the reason.
    """
    keys, numbers = _pairs(value)
    indices, values = [_index(key) for key in keys], [_value(number) for number in numbers]
    if len(indices) != len(values):
        raise ValueError(f"{len(indices)} indices for {len(values)} values")
    check_sparse(np.array(indices, dtype=object), np.array(values))
    order = np.argsort(np.array(indices, dtype=np.int64), kind="stable")
    return np.array(indices, np.uint32)[order], np.array(values, np.float32)[order]


def check_sparse(indices: NDArray[Any], values: NDArray[Any]) -> None:
    """Raise ValueError for a vector that the server refuses or changes."""
    if len(indices) == 0:
        return
    if min(indices) < 0 or max(indices) > MAX_INDEX:
        bad = next(index for index in indices if not 0 <= index <= MAX_INDEX)
        raise ValueError(f"the index {bad}, outside 0 to {MAX_INDEX}")
    wrong = ~((values >= 0) & (values <= FLOAT32_MAX))
    if wrong.any():
        at = int(np.argmax(wrong))
        raise ValueError(f"the value {values[at]} at index {indices[at]}, not a finite float32 of at least 0")
    ordered = np.sort(indices)
    twice = ordered[1:] == ordered[:-1]
    if twice.any():
        raise ValueError(f"the index {ordered[1:][twice][0]} twice")


def from_pgvector(text: str) -> dict[int, float]:
    """Return the vector of ``{1:0.5,3:2}/5``. Raises ValueError for other text, or a wrong index."""
    if not SPARSE_TEXT.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is no sparse vector")
    inside, _, dim = text.rpartition("/")
    pairs = [pair.split(":") for pair in inside.strip("{}").split(",") if pair]
    found = {int(index) - 1: float(number) for index, number in pairs}
    if len(found) < len(pairs) or not all(0 <= index < int(dim) for index in found):
        raise ValueError(f"an index twice, or outside 1 to {int(dim)}")
    return found


def encode_sparse(value: Any) -> str:
    """Return the JSON object of a sparse vector in any form, see :func:`sparse_arrays`, or in JSON text of one."""
    if isinstance(value, str) and SPARSE_TEXT.fullmatch(value.strip()):
        value = from_pgvector(value.strip())
    elif isinstance(value, str):  # as it stands in a JSON or Parquet file
        value = decode_once(value)
        if isinstance(value, Mapping) and not value.keys() & {"indices", "values"}:
            value = {_index(key): number for key, number in value.items()}
    text = dict_text(value)
    if text is None:  # another form, or wrong: brought into the kernel's own, or refused
        indices, values = sparse_arrays(value)
        text = dict_text(dict(zip(indices.tolist(), values.tolist(), strict=True)))
        assert text is not None
    return text


def sparse_block(rows: SparseRows, max_bytes: int) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Return (offsets (n + 1,), UTF-8) of the JSON objects of the first rows that fit in ``max_bytes``, at least one.

    Raises ValueError, with the row as its second argument.
    """
    cuts = rows.indptr.astype(np.int64)
    need = (cuts[1:] - cuts[0]) * ENTRY_BYTES + np.arange(1, len(cuts)) * SLACK_BYTES
    n = max(1, int(np.searchsorted(need, max_bytes, side="right")))
    first, last = int(cuts[0]), int(cuts[n])
    indices, values = rows.indices[first:last], rows.values[first:last]
    if indices.dtype.kind not in "iu" or values.dtype.kind not in "iuf":
        raise ValueError(f"a matrix of {values.dtype} values at {indices.dtype} indices", 0)
    offsets, out = np.empty(n + 1, np.int32), np.empty(int(need[n - 1]), np.uint8)
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused
        narrow = np.ascontiguousarray(values, np.float32)
    wide = np.ascontiguousarray(indices, np.int64)  # an index of 2^63 and above becomes negative, and is refused too
    bad = rows_text_into(cuts[: n + 1] - first, wide, narrow, offsets, out)
    if bad >= 0:
        one = slice(int(cuts[bad]), int(cuts[bad + 1]))
        try:
            check_sparse(rows.indices[one], rows.values[one])
        except ValueError as error:
            raise ValueError(str(error), bad) from None
        raise AssertionError(f"row {bad}: a kernel refused a sparse vector that Python takes")
    return offsets, out[: offsets[-1]]
