"""Columns changed into a form that their field takes: dates to text, maps and lists to JSON values."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from vecmill.errors import DataError
from vecmill.types.kind import DataType
from vecmill.types.table import TYPES

Cast = Callable[[Any], Any]


def cast_for(type_: Any, dtype: DataType | None, name: str) -> Cast | None:
    """Return the function that changes a column of Arrow type ``type_`` for a field of ``dtype``. None: no change.

    ``dtype`` None: a dynamic field. The function takes one batch of the column, a pyarrow Array or an
    ndarray; it raises DataError with the row in that batch. Numbers, text and vectors are the writer's business.

    - dates, times and timestamps become ISO 8601 text; instants (with a zone) are given in UTC, with ``Z``
    - structs, maps and lists become Python values, or JSON text when there are dates among them
    - JSON text becomes Python values for a sparse vector and for a dynamic field
    """
    import pyarrow.types as t

    group = "dynamic" if dtype is None else TYPES[dtype].group
    if getattr(type_, "extension_name", "") == "arrow.json" and group in ("sparse", "dynamic"):
        return _Parsed(name, sparse=group == "sparse")
    if t.is_temporal(type_) and not t.is_duration(type_):
        texts = group in ("text", "timestamptz", "dynamic")
        return as_iso_text if texts else _json_strings if group == "json" else None
    if t.is_nested(type_) and group in ("json", "dynamic"):
        return JsonText(name) if _holds_dates(type_) else _python_values
    return None


def as_iso_text(values: Any) -> Any:
    """Return dates, times or timestamps (a pyarrow Array) as text: ``2024-05-01``, ``2024-05-01T12:00:00.000Z``.

    Raises DataError with the row, and no field, for a year that has no such text.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as t

    plain = values
    if t.is_timestamp(values.type):
        # The instants are UTC already. Formatting them with their zone would need a zone database on every machine.
        plain = values.cast(pa.int64()).cast(pa.timestamp(values.type.unit))
    text = plain.cast(pa.string())
    odd = pc.starts_with(text, "<")  # "<value out of range: ...>"
    if pc.any(odd).as_py():
        row = pc.index(odd, True).as_py()
        raise DataError(row=row, expected="a time in the years -32767 to 32767", got=text[row].as_py().strip("<>"))
    if not t.is_timestamp(values.type):
        return text
    text = pc.replace_substring(text, " ", "T", max_replacements=1)
    return text if values.type.tz is None else pc.binary_join_element_wise(text, "Z", "")


def _json_strings(values: Any) -> Any:
    import pyarrow.compute as pc

    return pc.binary_join_element_wise('"', as_iso_text(values), '"', "")


def _holds_dates(type_: Any) -> bool:
    import pyarrow.types as t

    inner = [type_.field(i).type for i in range(type_.num_fields)]
    return any(t.is_temporal(child) or (t.is_nested(child) and _holds_dates(child)) for child in inner)


def _python_values(values: Any) -> list[Any]:
    import numpy as np

    rows = values.tolist() if isinstance(values, np.ndarray) else values.to_pylist(maps_as_pydicts="strict")
    return list(rows)


class JsonText:
    """Nested values of one column as JSON text, a null row as null; dates in them as ISO 8601."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, values: Any) -> Any:
        """Return the values of one batch as a pyarrow Array of text. Raises DataError for NaN, with its row."""
        import pyarrow as pa

        texts: list[str | None] = []
        for i, row in enumerate(_python_values(values)):
            try:
                texts.append(None if row is None else _dumps(row))
            except (TypeError, ValueError) as err:
                raise DataError(field=self._name, row=i, expected="values that JSON can hold", got=str(err)) from err
        return pa.array(texts, pa.string())


class _Parsed:
    """JSON text of one column as Python values; of a sparse vector, with indices as integers."""

    def __init__(self, name: str, *, sparse: bool) -> None:
        self._name = name
        self._sparse = sparse

    def __call__(self, values: Any) -> Any:
        rows: list[Any] = []
        for i, text in enumerate(values.to_pylist()):
            try:
                value = None if text is None else json.loads(text)
                if self._sparse and isinstance(value, dict) and not value.keys() & {"indices", "values"}:
                    value = {int(index): element for index, element in value.items()}
            except (ValueError, RecursionError) as err:
                raise DataError(field=self._name, row=i, expected="JSON", got=str(err)) from err
            rows.append(value)
        return rows


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain)


def _plain(value: object) -> str:
    isoformat = getattr(value, "isoformat", None)
    if not callable(isoformat):
        raise TypeError(f"a value of type {type(value).__name__}")
    return str(isoformat())
