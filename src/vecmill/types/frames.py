"""Data frames of pandas and Polars, as far as they do not tell their columns by Arrow's interface."""

from __future__ import annotations

import sys
from typing import Any

from vecmill.errors import DataError


def is_kind(value: object, module: str, name: str) -> bool:
    """Return True for an object of the class of a library. A library that is not imported is not imported here."""
    kind = getattr(sys.modules.get(module), name, None)
    return isinstance(kind, type) and isinstance(value, kind)


def columns_of_pandas(frame: Any) -> dict[Any, Any]:
    """Return the columns of a pandas DataFrame and the named levels of its index, as Series.

    Raises DataError for a name that two columns have; a level may be a column too, if it has the same values.
    """
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise DataError(field=str(twice), expected="one column of that name", got="more")
    named = []
    for level, name in enumerate(frame.index.names):
        if name is not None and name not in frame.columns:
            named.append(level)
        elif name is not None and not _same(frame.index.get_level_values(level), frame[name]):
            got = "a column and a level of the index with other values; reset_index(drop=True) leaves out the index"
            raise DataError(field=str(name), expected="one column of that name", got=got)
    if named:
        frame = frame.reset_index(level=named)
    return {name: frame[name] for name in frame.columns}


def _same(level: Any, column: Any) -> bool:
    return bool(level.equals(sys.modules["pandas"].Index(column)))


def run_query(data: Any) -> Any:
    """Return what a Polars LazyFrame gives when it is run, other data as they are. Raises DataError if it fails."""
    if not is_kind(data, "polars", "LazyFrame"):
        return data
    try:
        return data.collect()
    except Exception as error:  # whatever the query does
        got = f"a LazyFrame that raises {type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise DataError(expected="a query that can be run", got=got) from error
