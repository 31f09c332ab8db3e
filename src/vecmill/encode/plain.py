"""Arrow arrays -> Python values, for what becomes JSON: maps are objects, times are text, at every depth."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import numpy as np

from vecmill.encode.arrow import is_json_text, is_list, iso_texts, list_layout, map_layout, plain_storage
from vecmill.encode.misfit import NOT_UTF8, Misfit
from vecmill.types.json import usual_fraction

PaArray = Any


def python_values(array: PaArray) -> list[Any]:
    """Return the values of an Arrow array. Raises Misfit, with the row, for what has no form in JSON."""
    try:
        return _values(array)
    except Exception:
        for row in range(len(array)):
            _check(array.slice(row, 1), row)
        raise


def has_text_form(kind: Any) -> bool:
    """Return True for an Arrow type whose values become text, though they are none: dates, times, UUIDs."""
    import pyarrow.types as pt

    while pt.is_dictionary(kind) or pt.is_run_end_encoded(kind):
        kind = kind.value_type
    return pt.is_temporal(kind) or pt.is_interval(kind) or getattr(kind, "extension_name", "") == "arrow.uuid"


def _check(one: PaArray, row: int) -> None:
    """Raise Misfit if there is no Python value of an array of one row."""
    try:
        _values(one)
    except Misfit as misfit:
        raise Misfit(misfit.expected, misfit.got, row) from misfit.__cause__
    except UnicodeDecodeError as error:
        raise Misfit(*NOT_UTF8, row) from error
    except (ArithmeticError, LookupError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        got = f"an Arrow value of type {one.type} that has none: {error}"
        raise Misfit("values that have a form in JSON", got, row) from error


def _values(array: PaArray) -> list[Any]:
    import pyarrow.types as pt

    if is_json_text(array.type):
        return [None if text is None else json.loads(text) for text in plain_storage(array).to_pylist()]
    array = plain_storage(array)
    kind = array.type
    if pt.is_struct(kind):
        return _objects(array)
    if pt.is_map(kind):
        return _maps(array)
    if is_list(kind):
        return _lists(array)
    if array.null_count == len(array):
        return [None] * len(array)
    if pt.is_interval(kind) or pt.is_duration(kind):
        return list(iso_texts(array).to_pylist())
    if pt.is_temporal(kind):
        return [None if text is None else usual_fraction(text) for text in iso_texts(array).to_pylist()]
    return list(array.to_pylist())


def _objects(array: PaArray) -> list[Any]:
    names = [field.name for field in array.type]
    if len(set(names)) < len(names):
        raise Misfit("structs whose members have names of their own", f"the names {', '.join(names)}")
    members = [_values(member) for member in array.flatten()]
    rows = zip(*members, strict=True) if members else [()] * len(array)
    objects: list[Any] = [dict(zip(names, row, strict=True)) for row in rows]
    return _with_nulls(array, objects)


def _maps(array: PaArray) -> list[Any]:
    cuts, keys, items = map_layout(array)
    low, high = int(cuts[0]), int(cuts[-1])
    pairs = list(zip(_values(keys.slice(low, high - low)), _values(items.slice(low, high - low)), strict=True))
    ends = (cuts - low).tolist()
    found: list[Any] = []
    for start, stop in pairwise(ends):
        found.append(dict(pairs[start:stop]))
        if len(found[-1]) < stop - start:
            raise Misfit("a map with every key once", f"a key twice among {stop - start}")
    return _with_nulls(array, found)


def _lists(array: PaArray) -> list[Any]:
    starts, lengths, child = list_layout(array)
    lengths = np.where(array.is_valid().to_numpy(zero_copy_only=False), lengths, 0)
    used = lengths > 0
    low, high = (int(starts[used].min()), int((starts + lengths)[used].max())) if used.any() else (0, 0)
    values = _values(child.slice(low, high - low))
    rows = zip((starts - low).tolist(), lengths.tolist(), strict=True)
    return _with_nulls(array, [values[start : start + length] if length else [] for start, length in rows])


def _with_nulls(array: PaArray, rows: list[Any]) -> list[Any]:
    if not array.null_count:
        return rows
    return [row if valid else None for row, valid in zip(rows, array.is_valid().to_pylist(), strict=True)]
