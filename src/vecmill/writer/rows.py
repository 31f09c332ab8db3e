"""Row dicts into the stage: a kernel takes the usual values, and this module the rest, row by row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from vecmill._native import columns as kernel
from vecmill.encode.misfit import Misfit, describe, unknown_field
from vecmill.encode.plan import ColumnPlan
from vecmill.encode.stage import Stage
from vecmill.encode.values import normalise
from vecmill.errors import DataError
from vecmill.schema.collection import CollectionSchema
from vecmill.types.frames import is_kind
from vecmill.types.text import META

_STATUS = 0xFF
# Rows of an iterable that are gathered to save calls: 256 dicts of 768 floats are 6 MB of Python objects.
_ROWS_AT_ONCE = 256
_ROWS = "an iterable of row dicts"
_COLUMNS = ("__arrow_c_stream__", "__arrow_c_array__", "__dataframe__")


def in_chunks(rows: Iterable[Any]) -> Iterator[list[Any]]:
    """Cut an iterable of rows into lists. If it raises, the rows that it gave before are yielded first.

    Raises DataError for what is no iterable of rows.
    """
    if type(rows) is list:
        yield rows
        return
    if isinstance(rows, Mapping):
        raise DataError(expected=_ROWS, got="one dict; use append_row")
    if is_kind(rows, "polars", "LazyFrame") or _is_table(rows):
        raise DataError(expected=_ROWS, got=f"a {type(rows).__name__}, which append_batch takes")
    if isinstance(rows, str | bytes) or not (hasattr(rows, "__iter__") or hasattr(rows, "__getitem__")):
        raise DataError(expected=_ROWS, got=describe(rows))
    chunk: list[Any] = []
    try:
        for row in rows:
            chunk.append(row)
            if len(chunk) == _ROWS_AT_ONCE:
                full, chunk = chunk, []
                yield full
    finally:
        if chunk:
            yield chunk


def _is_table(rows: Iterable[Any]) -> bool:
    """Return True for columns: some that have Arrow's interface, or pandas', are iterables of row dicts too."""
    if not any(hasattr(rows, name) for name in _COLUMNS):
        return False
    return not hasattr(rows, "__iter__") or not isinstance(next(iter(rows), {}), Mapping)


class RowTaker:
    """Puts row dicts into a stage. ``drain`` empties it when it is full. Rows are numbered by the caller."""

    def __init__(
        self, schema: CollectionSchema, plans: Sequence[ColumnPlan], stage: Stage, drain: Callable[[], None]
    ) -> None:
        self._plans = plans
        self._stage = stage
        self._drain = drain
        self._scatter = stage.scatter
        self._fields = {field.name for field in schema.fields}

    def put(self, row: Any, number: int) -> None:
        """Take one row. Raises DataError with ``number`` as its row; then the stage is as it was."""
        code = self._scatter.put(row)
        if code:
            self._put_slowly(row, code, number)

    def put_many(self, rows: list[Any], start: int, number: int) -> tuple[int, BaseException | None]:
        """Take ``rows[start:]``, of which the first one has this number, up to the first bad row.

        Return how many were taken, and the error that ended it; None: all of them were taken.
        """
        taken_before = self._stage.n_taken
        at = start
        try:
            while True:
                at, code = self._scatter.put_many(rows, at)
                if not code:
                    return at - start, None
                if code & _STATUS == kernel.FULL:
                    self._drain()
                else:
                    self._put_slowly(rows[at], code, number + at - start)
                    at += 1
        except BaseException as error:
            return self._stage.n_taken - taken_before, error

    def _put_slowly(self, row: Any, code: int, number: int) -> None:
        """Take a row that the kernel did not take. Each turn mends one value, in a copy of the row, or raises."""
        for _ in range(2 * len(self._plans) + 2):
            status, index = code & _STATUS, code >> 8
            if status == kernel.FULL:
                self._drain()
            elif index == len(self._plans):
                row = self._as_known_dict(row, number)
            else:
                plan = self._plans[index]
                try:
                    row = self._mended(plan, status, row, number)
                except Misfit as misfit:
                    misfit.row = 0
                    raise misfit.at(plan.name, number) from misfit.__cause__
            code = self._scatter.put(row)
            if not code:
                return
        raise AssertionError(f"row {number} cannot be taken and no reason is known (code {code})")

    def _mended(self, plan: ColumnPlan, status: int, row: Mapping[str, Any], number: int) -> Mapping[str, Any]:
        if status == kernel.MISSING:
            absent = plan.name not in row
            raise Misfit(plan.expected_not_null, "no value" if absent else "None")
        if plan.kind is META:
            self._refuse_filled(row, number)
            plain = normalise(plan, row)  # raises, or the row is fine and there was no room
            extras = [key for key in row if key not in self._fields]
            return {**{key: value for key, value in row.items() if key not in extras}, plan.name: plain}
        value = row[plan.name]
        plain = normalise(plan, value)
        if plain is value:
            raise Misfit(plan.expected, describe(value))
        return {**row, plan.name: plain}

    def _refuse_filled(self, row: Mapping[str, Any], number: int) -> None:
        written = {plan.name for plan in self._plans}
        for key in row:
            if key in self._fields and key not in written:
                raise unknown_field(key, self._fields, number)

    def _as_known_dict(self, row: Any, number: int) -> Mapping[str, Any]:
        if not isinstance(row, Mapping):
            raise DataError(row=number, expected="a dict of field name to value", got=describe(row))
        if not isinstance(row, dict):
            return dict(row)
        written = {plan.name for plan in self._plans}
        unknown = next(key for key in row if key not in written)
        raise unknown_field(unknown, self._fields, number)
