"""Data of ``append_batch`` -> batches: column name to NumPy array, Arrow array or list, all of one length.

Nothing is copied: columns stay in the caller's memory. pyarrow is imported for Arrow data only.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from vecmill.encode.misfit import Misfit, describe
from vecmill.encode.values import as_ndarray
from vecmill.errors import DataError
from vecmill.schema.arrow import column_names
from vecmill.types.sparse import SparseRows

# Arrays of pandas have only the last one.
_ARROW_PROTOCOLS = ("__arrow_c_array__", "__arrow_c_stream__", "__arrow_array__")

Column = Any  # numpy.ndarray | pyarrow.Array | list


@dataclass(frozen=True, slots=True)
class Batch:
    """Columns of ``n_rows`` values each."""

    n_rows: int
    columns: Mapping[str, Column]


def iter_batches(data: Any) -> Iterator[Batch]:
    """Yield the batches of anything that holds columns, in order.

    Takes a mapping of name -> array, Arrow array or list; anything with ``__arrow_c_stream__`` or ``__arrow_c_array__``
    (pyarrow, Polars, DuckDB, pandas, Hugging Face datasets, Lance); a pandas DataFrame. Raises DataError for columns of
    different lengths, a column that is not a sequence of values, or data without columns.
    """
    if isinstance(data, Mapping):
        yield from _from_mapping(data)
    elif _is_pandas(data, "DataFrame"):
        yield from _from_mapping(_columns_of_pandas(data))
    elif hasattr(data, "__arrow_c_array__") or hasattr(data, "__arrow_c_stream__"):
        for part in _record_batches(data):
            yield _from_record_batch(part)
    elif hasattr(data, "columns") and hasattr(data, "__getitem__"):  # a data frame without the Arrow protocol
        yield from _from_mapping({name: data[name] for name in data.columns})
    else:
        raise DataError(
            expected="columns: a mapping of name to array, or Arrow data (for row dicts use append_rows)",
            got=describe(data),
        )


def _is_pandas(value: object, kind: str) -> bool:
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, getattr(pandas, kind))


def _columns_of_pandas(frame: Any) -> dict[str, Any]:
    """Return the columns and the named levels of the index, as Series."""
    named = [name for name in frame.index.names if name is not None]
    if named:
        frame = frame.reset_index(level=named)
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise DataError(field=str(twice), expected="one column of that name", got="more")
    return {name: frame[name] for name in frame.columns}


def _chunks_of_pandas(series: Any) -> list[Column]:
    if series.dtype == object:
        # Not by Arrow, which gives dicts of different keys one type: {"a": 1} would become {"a": 1, "b": null}.
        return [series.where(series.notna(), None).tolist()]
    import pyarrow as pa

    try:
        array = pa.array(series, from_pandas=True)  # NaN is a missing value
    except (ValueError, TypeError, NotImplementedError) as error:
        raise Misfit("a column that Arrow can read", f"one of dtype {series.dtype}: {error}") from error
    return _arrow_chunks(array)


def _record_batches(data: Any) -> Iterable[Any]:
    import pyarrow as pa

    try:
        if hasattr(data, "__arrow_c_array__"):
            return [pa.record_batch(data)]
        reader: Iterable[Any] = pa.RecordBatchReader.from_stream(data)
        return reader
    except (ValueError, TypeError, NotImplementedError) as error:  # an array, say, and no columns
        raise DataError(expected="columns that Arrow can read", got=f"a {type(data).__name__}: {error}") from error


def _from_record_batch(part: Any) -> Batch:
    names = column_names(part.schema)
    if names != part.schema.names:
        part = part.select(names)
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(field=twice, expected="one column of that name", got=f"{names.count(twice)}")
    return Batch(part.num_rows, dict(zip(names, part.columns, strict=True)))


def _from_mapping(mapping: Mapping[str, Any]) -> Iterator[Batch]:
    chunks: dict[str, list[Column]] = {}
    for name, value in mapping.items():
        if not isinstance(name, str):
            raise DataError(expected="column names of type str", got=describe(name))
        try:
            chunks[name] = _as_chunks(value)
        except Misfit as misfit:
            raise misfit.at(name, 0) from None
    if not chunks:
        raise DataError(expected="at least one column", got="none")
    lengths = {name: sum(map(len, parts)) for name, parts in chunks.items()}
    n_rows = next(iter(lengths.values()))
    for name, length in lengths.items():
        if length != n_rows:
            raise DataError(field=name, expected=f"{n_rows} values, as {next(iter(lengths))!r} has", got=f"{length}")
    yield from _aligned(n_rows, chunks)


def _aligned(n_rows: int, chunks: Mapping[str, list[Column]]) -> Iterator[Batch]:
    """Cut all columns at every chunk boundary of any of them."""
    if all(len(parts) == 1 for parts in chunks.values()):
        yield Batch(n_rows, {name: parts[0] for name, parts in chunks.items()})
        return
    cuts = {0, n_rows}
    for parts in chunks.values():
        cuts.update(np.cumsum([len(part) for part in parts]).tolist())
    for start, stop in pairwise(sorted(cuts)):
        yield Batch(stop - start, {name: _cut(parts, start, stop) for name, parts in chunks.items()})


def _cut(parts: Iterable[Column], start: int, stop: int) -> Column:
    low = 0
    for part in parts:
        if start < low + len(part):
            return part[start - low : stop - low]
        low += len(part)
    raise IndexError(start)


def _as_chunks(value: Any) -> list[Column]:
    if isinstance(value, list):
        return [value]
    if isinstance(value, str | bytes | bytearray | Mapping | set | frozenset):  # a set has no order
        raise Misfit("a column of values", describe(value))
    if _is_pandas(value, "Series"):
        return _chunks_of_pandas(value)
    if any(hasattr(value, name) for name in _ARROW_PROTOCOLS):
        return _arrow_chunks(value)
    if hasattr(value, "tocsr") and hasattr(value, "nnz"):  # a SciPy sparse matrix
        matrix = value.tocsr()
        return [SparseRows(matrix.indptr, matrix.indices, matrix.data)]
    # A masked value becomes a null, so the mask is kept.
    is_masked = isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value)
    array = value if is_masked else as_ndarray(value)
    if array is not None:
        if array.ndim == 0:
            raise Misfit("a column of values", describe(value))
        return [array]
    if isinstance(value, Sequence | Iterable):
        return [list(value)]
    raise Misfit("a column of values", describe(value))


def _arrow_chunks(value: Any) -> list[Column]:
    import pyarrow as pa

    if isinstance(value, pa.Array):
        return [value]
    if not hasattr(value, "__arrow_c_stream__"):
        return [pa.array(value)]
    chunked = value if isinstance(value, pa.ChunkedArray) else pa.chunked_array(value)
    return list(chunked.chunks) or [pa.array([], type=chunked.type)]
