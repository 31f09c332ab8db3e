"""The first rows of text files: what they tell of the columns and their types."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from vecmill._native import json_read
from vecmill.errors import DataError
from vecmill.schema.fields import FieldSchema
from vecmill.sources.base import numbered_columns
from vecmill.sources.text.columns import Unfit, Values, decode
from vecmill.sources.text.json_rows import RowProblem, Spans, Splitter
from vecmill.sources.text.paths import KeyPath, value_at
from vecmill.sources.text.stream import Bytes
from vecmill.sources.text.types import type_of_values

SAMPLE_ROWS = 1000
"""Rows that columns and types are found in; fewer if the first 512 KiB hold fewer."""

_ACTIONS = ("index", "create", "update", "delete")
_SEPARATORS = ";\t|,"


def objects_of(spans: Spans) -> list[dict[str, Any]]:
    """Return rows decoded; without those that are refused, with their numbers, when they are read."""
    rows = []
    for start, end in zip(spans.row_starts.tolist(), spans.row_ends.tolist(), strict=True):
        try:
            rows.append(json.loads(spans.data[start:end].tobytes().decode()))
        except (ValueError, RecursionError):
            continue
    return rows


def first_rows(splitter: Splitter, data: Bytes, final: bool) -> tuple[Spans, int, RowProblem | None]:
    """Return rows to find types in, where to go on, and what is wrong with the first bad row.

    Bad rows before the first good row are passed over: a conversion may leave them out.
    """
    spans, position, _ = splitter.take(data, 0, final, SAMPLE_ROWS)
    problem = spans.problem
    while spans.problem and not spans.n_rows:
        more = splitter.behind(data, position, final)
        if more is None:
            break
        spans, position = more
        if not spans.n_rows and not spans.problem:
            spans, position, _ = splitter.take(data, position, final, SAMPLE_ROWS)
    return spans, position, problem


def type_in_sample(sample: Sequence[Mapping[str, Any]], path: KeyPath) -> Any:
    """Return the type of what is at a path in the first rows. None: nothing is there."""
    found = [value_at(row.get(path.key), path.steps) for row in sample]
    return type_of_values(found) if any(value is not None for value in found) else None


def present_texts(values: Values) -> list[str | None]:
    """Return the values that are text; the others are refused, with their rows, when they are read.

    Raises Unfit if all are others.
    """
    import pyarrow as pa

    kinds = values.kinds.copy()
    while True:
        try:
            whole = Values(values.data, values.starts, values.ends, kinds, values.style)
            return list(decode(whole, pa.string()).to_pylist())
        except Unfit as unfit:
            kinds[unfit.row] = json_read.NULL_VALUE
            if not kinds.any():
                raise


def check_separator(file: str, names: Sequence[str], separator: str) -> None:
    """Raise DataError for a header of one name that another separator would cut."""
    other = next((char for char in _SEPARATORS if char != separator and char in names[0]), None)
    if other is None or len(names) > 1:
        return
    word = "tab" if other == "\t" else f"'{other}'"
    got = f"one column {names[0][:60]!r}; --separator {word} (separator=) cuts it"
    raise DataError(file=file, expected=f"columns with {separator!r} between them", got=got)


def numbered_dimensions(types: Mapping[str, Any], fields: Mapping[str, FieldSchema]) -> dict[str, Any]:
    """Return the types of numbered columns that are the dimensions of a vector which has no column of its own."""
    import pyarrow as pa

    missing = [one for name, one in fields.items() if one.kind.group == "dense" and name not in types]
    if len(missing) != 1:
        return {}
    names = numbered_columns((name for name in types if name not in fields), missing[0].dim or 0)
    return dict.fromkeys(names or (), pa.float64() if missing[0].kind.floats else pa.int64())


def refuse_bulk_actions(rows: Sequence[Mapping[str, Any]]) -> None:
    """Raise DataError for the input of Elasticsearch's ``_bulk``: lines of actions stand between the rows."""
    first = next(iter(rows), {})
    action = next((first[name] for name in _ACTIONS if list(first) == [name]), None)
    if isinstance(action, Mapping) and all(key.startswith("_") or key == "routing" for key in action):
        got = "the input of Elasticsearch's _bulk: a line with an action before each (sed -n 'n;p' leaves them out)"
        raise DataError(row=0, expected="lines that are rows", got=got)
