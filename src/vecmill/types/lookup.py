"""The table of types: the row of every `DataType` that a field can have, and how a type is named."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from types import MappingProxyType

from vecmill.errors import SchemaError
from vecmill.types import arrays, numbers, text, vectors
from vecmill.types.kind import DataType, Kind

TYPES: Mapping[DataType, Kind] = MappingProxyType(
    {kind.dtype: kind for kind in (*numbers.ROWS, *text.ROWS, *arrays.ROWS, *vectors.ROWS)}
)
"""The row of every type that a field can have."""


def fold_name(name: object) -> str:
    """Return a name without case and punctuation: "is_primary", "isPrimary" and "IS-PRIMARY" become the same."""
    return "".join(c for c in str(name).lower() if c.isalnum())


# Both spellings fold to the same key: "SPARSE_VECTOR" and "SparseVector" are "sparsevector".
_BY_NAME = {fold_name(name): member for name, member in DataType.__members__.items()} | {
    fold_name(name): kind.dtype for kind in TYPES.values() for name in kind.rest_names
}


def parse_datatype(value: object) -> DataType:
    """Return the :class:`DataType` that ``value`` means.

    ``value``: a DataType, pymilvus' enum or anything else integer-like, or a name in any case and either spelling
    ("FLOAT", "Float", "int64").

    Raises SchemaError for everything else, and for NONE and UNKNOWN, which no field can have.
    """
    found: DataType | None = None
    if isinstance(value, str):
        found = _BY_NAME.get(fold_name(value))
    elif not isinstance(value, bool):
        try:
            # Enums that are not integers themselves carry one in .value.
            found = DataType(operator.index(getattr(value, "value", value)))  # type: ignore[arg-type]
        except (TypeError, ValueError):
            found = None
    if found is None or found in (DataType.NONE, DataType.UNKNOWN):
        raise SchemaError(f"unknown data type {value!r}")
    return found


def plain_value(value: object) -> object:
    """Return ``value`` as a plain Python object: NumPy scalars and protobuf ``ValueField`` objects are unwrapped.

    A ``ValueField`` is known by its ``WhichOneof``; an empty one is None.
    """
    which = getattr(value, "WhichOneof", None)
    if callable(which):
        name = which("data")
        return getattr(value, name) if name is not None else None
    item = getattr(value, "item", None)
    return item() if callable(item) and hasattr(value, "dtype") else value
