"""Data of ``append_batch`` -> batches: column name to NumPy array, Arrow array or list, all of one length.

Nothing is copied: columns stay in the caller's memory. pyarrow is imported for Arrow data only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from vecmill.encode.misfit import Misfit, describe
from vecmill.encode.values import as_ndarray
from vecmill.errors import DataError
from vecmill.schema.arrow import column_names
from vecmill.types.frames import columns_of_pandas, is_kind, run_query
from vecmill.types.sparse import SparseRows

# Arrays of pandas have only the last one.
_ARROW_PROTOCOLS = ("__arrow_c_array__", "__arrow_c_stream__", "__arrow_array__")
# What Arrow raises for types that it does not know, and for values that are not of their type.
_UNREADABLE = (ValueError, TypeError, NotImplementedError, LookupError)

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
    data = run_query(data)
    if isinstance(data, Mapping):
        yield from _from_mapping(data)
    elif is_kind(data, "pandas", "DataFrame"):
        yield from _from_mapping(columns_of_pandas(data))
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


def _chunks_of_pandas(series: Any) -> list[Column]:
    if series.dtype == object:
        # Not by Arrow, which gives dicts of different keys one type: {"a": 1} would become {"a": 1, "b": null}.
        return [series.where(series.notna(), None).tolist()]
    import pyarrow as pa

    try:
        return _chunks_of_arrow(pa.array(series, from_pandas=True))  # NaN is a missing value
    except _UNREADABLE as error:
        raise Misfit("a column that Arrow can read", f"one of dtype {series.dtype}: {error}") from error


def _record_batches(data: Any) -> Iterator[Any]:
    import pyarrow as pa

    try:
        if hasattr(data, "__arrow_c_array__"):
            yield pa.record_batch(data)
        else:
            yield from pa.RecordBatchReader.from_stream(data)
    except (pa.ArrowException, *_UNREADABLE) as error:  # an array, say, and no columns
        raise DataError(expected="columns that Arrow can read", got=f"a {type(data).__name__}: {error}") from error


def _from_record_batch(part: Any) -> Batch:
    names = column_names(part.schema)
    if names != part.schema.names:
        part = part.select(names)
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(field=twice, expected="one column of that name", got=f"{names.count(twice)}")
    return Batch(part.num_rows, {name: _column(part, i) for i, name in enumerate(names)})


def _column(part: Any, i: int) -> Any:
    try:
        return part.column(i)
    except LookupError as error:  # pyarrow has no arrays of some types of Arrow, such as intervals of months
        got = f"values of type {part.schema.types[i]}; cast them to text"
        raise DataError(field=part.schema.names[i], expected="a column that pyarrow can read", got=got) from error


def _from_mapping(mapping: Mapping[str, Any]) -> Iterator[Batch]:
    chunks: dict[str, list[Column]] = {}
    for name, value in mapping.items():
        if not isinstance(name, str):
            raise DataError(expected="column names of type str", got=describe(name))
        try:
            chunks[name] = _as_chunks(value)
        except Misfit as misfit:
            raise misfit.at(name, 0) from misfit.__cause__
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
        return [value if type(value) is list else list(value)]  # the kernel takes no subclass
    if isinstance(value, str | bytes | bytearray | Mapping | set | frozenset):  # a set has no order
        raise Misfit("a column of values", describe(value))
    if is_kind(value, "pandas", "Series"):
        return _chunks_of_pandas(value)
    if any(hasattr(value, name) for name in _ARROW_PROTOCOLS):
        try:
            return _chunks_of_arrow(value)
        except _UNREADABLE as error:
            raise Misfit("a column that Arrow can read", f"a {type(value).__name__}: {error}") from error
    if hasattr(value, "tocsr") and hasattr(value, "nnz"):  # a SciPy sparse matrix
        matrix = value.tocsr()
        return [SparseRows(matrix.indptr, matrix.indices, matrix.data)]
    # A masked value becomes a null, so the mask is kept.
    is_masked = isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value)
    try:
        array = value if is_masked else as_ndarray(value)
    except (Misfit, MemoryError):
        raise
    except Exception as error:  # another library's own code
        got = f"{describe(value)}, which raises {type(error).__name__}: {error}"
        raise Misfit("an array that NumPy can read", got) from error
    if array is not None:
        if array.ndim == 0:
            raise Misfit("a column of values", describe(value))
        return [array]
    if isinstance(value, Sequence | Iterable):
        return [list(value)]
    raise Misfit("a column of values", describe(value))


def _chunks_of_arrow(value: Any) -> list[Column]:
    import pyarrow as pa

    if isinstance(value, pa.Array):
        return [value]
    if not hasattr(value, "__arrow_c_stream__"):
        return [pa.array(value)]
    chunked = value if isinstance(value, pa.ChunkedArray) else pa.chunked_array(value)
    return list(chunked.chunks) or [pa.array([], type=chunked.type)]
