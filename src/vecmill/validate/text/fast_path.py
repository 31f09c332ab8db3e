"""A kernel passes over rows of JSON and CSV that are certainly valid, so that Python looks at the others only."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np

from vecmill._native import row_check as kernel
from vecmill.encode.plan import ColumnPlan
from vecmill.output_formats import is_in_numbers
from vecmill.store.window import Window
from vecmill.types.text import JSON_MAX_BYTES, META
from vecmill.validate.context import Context

Later = Iterator[tuple[int, ColumnPlan, bytes]]
"""Values of passed rows that are left to check: (row, plan of the column, text)."""

_MAX_LATER = 4096
# Compact JSON that Python writes of an object may be so much longer than its text (1e15 becomes 1000000000000000.0).
_GROWTH = 5


class FastPath:
    """Passes over valid rows of one file. ``columns``: the columns of a CSV file; a column of None is not looked at."""

    def __init__(
        self, context: Context, form: Literal["json", "csv"], columns: Sequence[ColumnPlan | None] | None = None
    ) -> None:
        self._plans = list(context.plans.values()) if columns is None else columns
        self._sep, self._null = context.sep.encode(), context.nullkey.encode()
        # The kernel takes a separator of one byte that no number has, and looks for a null in plain cells.
        self._usable = form == "json" or (
            context.sep.isascii() and not is_in_numbers(context.sep) and b'"' not in self._null
        )
        self._later = np.zeros((max(_MAX_LATER, len(self._plans)), 5), np.int64)
        forbidden = [field.name for field in context.schema.fields if field.name not in context.plans]
        self._kernel = kernel.RowChecker(
            [_field(plan, context, form) for plan in self._plans],
            [name.encode() for name in forbidden],
            any(plan is not None and plan.kind is META for plan in self._plans),
            self._later,
        )

    def json_rows(self, window: Window, limit: int | None, row: int, *, comma: bool) -> tuple[int, Later]:
        """Pass over rows from number ``row`` up to ``limit``. Return (rows passed, values left to check)."""
        most = sys.maxsize if limit is None else limit - row
        passed, at, n = self._kernel.json_rows(window.data, window.at, most, comma)
        return self._passed(window, passed, at, n, row)

    def csv_rows(self, window: Window, limit: int | None, row: int) -> tuple[int, Later]:
        """Pass over lines of CSV, as ``json_rows`` does."""
        most = sys.maxsize if limit is None else limit - row
        if not self._usable or row < 0:
            return 0, iter(())
        passed, at, n = self._kernel.csv_rows(window.data, window.at, most, self._sep[0], self._null)
        return self._passed(window, passed, at, n, row)

    def _passed(self, window: Window, passed: int, at: int, n: int, first: int) -> tuple[int, Later]:
        if passed:
            window.at = at
        return passed, self._values(window.data, n, first)

    def _values(self, data: bytes, n: int, first: int) -> Later:
        for row, column, start, stop, doubled in self._later[:n].tolist():
            plan = self._plans[column]
            assert plan is not None  # nothing is asked of such a cell
            text = data[start:stop]
            yield first + row, plan, text.replace(b'""', b'"') if doubled else text


def _field(plan: ColumnPlan | None, context: Context, form: str) -> tuple[Any, ...]:
    """Return a field as the arguments of the kernel."""
    if plan is None:
        return b"", None, None, True, True, 0, 0, 0, 0, 0
    own, item, count = plan, None, plan.kind.n_numbers(plan.dim) if plan.is_vector else 0
    if plan.kind.group == "array":
        own, count = plan.items[0], plan.capacity
        item = own.kind.name
    low, high = own.kind.limits or (0, 0)
    digits = own.kind.floats.safe_digits if own.kind.floats is not None else plan.json_digits
    max_bytes = own.max_bytes
    if plan.kind.is_json:
        max_bytes = JSON_MAX_BYTES if form == "csv" else JSON_MAX_BYTES // _GROWTH
    field = plan.field
    # A key that the server makes is in all rows or in none: Python looks at rows without one.
    optional = not (context.is_required(plan.name) or field.auto_id)
    nullable = field.nullable or field.default_value is not None
    return plan.name.encode(), plan.kind.name, item, optional, nullable, digits, low, high, count, max_bytes
