"""A value that does not fit its field, before anybody knows which row of the caller's it is."""

from __future__ import annotations

import numpy as np

from vecmill.errors import DataError


class Misfit(Exception):  # noqa: N818  a signal between layers, worded by `at`; never seen by a caller
    """``expected`` and ``got`` in words; ``row`` counted from the start of the column looked at, None for all of it."""

    def __init__(self, expected: str, got: str, row: int | None = None) -> None:
        super().__init__(expected, got)
        self.expected = expected
        self.got = got
        self.row = row

    def at(self, field: str | None, first_row: int) -> DataError:
        """Word it for the caller, whose rows start at ``first_row``."""
        row = None if self.row is None else first_row + self.row
        return DataError(field=field, row=row, expected=self.expected, got=self.got)


def describe(value: object) -> str:
    """Say what a value is, shortly: its type, and the value itself when it is small."""
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
