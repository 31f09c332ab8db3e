"""Refusals: a value that does not fit its field (its row is known later), a key that no field has."""

from __future__ import annotations

import numpy as np

from vecmill.errors import DataError


class Misfit(Exception):  # noqa: N818  a signal between layers, worded by `at`; never seen by a caller
    """``expected`` and ``got`` in words; ``row`` counts from the start of the column. None: the whole column."""

    def __init__(self, expected: str, got: str, row: int | None = None) -> None:
        super().__init__(expected, got)
        self.expected = expected
        self.got = got
        self.row = row

    def at(self, field: str | None, first_row: int) -> DataError:
        """Return the error for the caller, whose rows start at ``first_row``."""
        row = None if self.row is None else first_row + self.row
        return DataError(field=field, row=row, expected=self.expected, got=self.got)


# Expected and got, of text that is no text.
NOT_UTF8 = ("text in UTF-8", "bytes that are not UTF-8")


def describe(value: object) -> str:
    """Return the type of a value in words, and the value itself if it is small."""
    if value is None:
        return "None"
    if isinstance(value, np.ndarray):
        return f"a {value.dtype} array of shape {value.shape}"
    name = type(value).__name__
    if isinstance(value, str | bytes | bytearray | list | tuple | dict | set):
        return f"a {name} of length {len(value)}"
    try:
        text = " ".join(repr(value).split())
    except Exception:  # the caller's own __repr__, or an int of more than 4,300 digits
        return f"a {name} that cannot be shown"
    return f"{name} {text if len(text) <= 60 else text[:57] + '...'}"


def unknown_field(name: object, fields: set[str], row: int | None) -> DataError:
    """Return the error for a key or column that the file has no field for."""
    if name in fields:
        return DataError(field=str(name), row=row, expected="no value: the server fills this field itself", got="one")
    return DataError(
        field=str(name),
        row=row,
        expected="only fields of the schema (its dynamic field is not enabled)",
        got="an unknown field",
    )
