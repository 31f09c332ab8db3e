"""What a caller gives ``append_batch`` -> batches: column name to NumPy array, Arrow array or list, all of one length.

Nothing is copied: columns stay the caller's memory. pyarrow is imported only for callers who bring Arrow data.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from vecmill.errors import DataError
from vecmill.misfit import Misfit, describe
from vecmill.values import as_ndarray

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
    different lengths, a column that is no column, or data that hold no columns at all.
    """
    if isinstance(data, Mapping):
        yield from _from_mapping(data)
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


def _record_batches(data: Any) -> Iterable[Any]:
    import pyarrow as pa

    try:
        if hasattr(data, "__arrow_c_array__"):
            return [pa.record_batch(data)]
        reader: Iterable[Any] = pa.RecordBatchReader.from_stream(data)
        return reader
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:  # an array, not columns; pandas columns of mixed types
        raise DataError(expected="columns that Arrow can read", got=f"a {type(data).__name__}: {error}") from error


def _from_record_batch(part: Any) -> Batch:
    names = part.schema.names
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
    """Cut columns of different chunks at every boundary of any of them."""
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
    if hasattr(value, "__arrow_c_array__") or hasattr(value, "__arrow_c_stream__"):
        return _arrow_chunks(value)
    array = as_ndarray(value)
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
    if hasattr(value, "__arrow_c_array__"):
        return [pa.array(value)]
    chunked = value if isinstance(value, pa.ChunkedArray) else pa.chunked_array(value)
    return list(chunked.chunks) or [pa.array([], type=chunked.type)]
