"""Refusals that rows and batches word alike."""

from __future__ import annotations

from vecmill.errors import DataError


def unknown_field(name: object, fields: set[str], row: int | None) -> DataError:
    """Word the refusal of a key or column that the file has no field for."""
    if name in fields:
        return DataError(field=str(name), row=row, expected="no value: the server fills this field itself", got="one")
    return DataError(
        field=str(name),
        row=row,
        expected="only fields of the schema (its dynamic field is not enabled)",
        got="an unknown field",
    )
