"""Arrow decimals as what a field holds: whole numbers and floats of the same value, or their digits as text."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from vecmill.encode.misfit import Misfit
from vecmill.encode.plan import ColumnPlan

PaArray = Any

_EXACT_DIGITS = 15  # every decimal of so many digits is the shortest text of one float64
_INT64 = range(-(2**63), 2**63)


def for_field(plan: ColumnPlan, array: PaArray) -> PaArray:
    """Return decimals as int64, float64 or text for a field, every other array as it is. Raises Misfit with the row."""
    import pyarrow.types as pt

    group = plan.kind.group
    if not pt.is_decimal(array.type) or group not in ("int", "float", "text"):
        return array
    if group == "text":
        return as_text(array)
    row = first_unlike(array, whole=group == "int")
    if row is not None:
        what = "whole numbers of 64 bits" if group == "int" else "numbers that a float64 has the value of"
        raise Misfit(f"{plan.expected}, {what}", f"the decimal {array[row].as_py():f}", row)
    # Arrow's own cast to float64 is a bit off: 19.99 becomes 19.990000000000002.
    return array.cast("int64") if group == "int" else as_text(array).cast("float64")


def as_text(array: PaArray) -> PaArray:
    """Return the digits of decimals: ``1.50`` of one with two places."""
    import pyarrow as pa

    if array.type.precision <= _EXACT_DIGITS and 0 <= array.type.scale <= 6:  # else Arrow may write an exponent
        return array.cast(pa.string())
    return pa.array([None if value is None else f"{value:f}" for value in array.to_pylist()], pa.string())


def first_unlike(array: PaArray, *, whole: bool) -> int | None:
    """Return the first row that no int64 (``whole``), or no float64, has the value of; None if there is none."""
    import pyarrow as pa

    if whole:
        try:
            array.cast(pa.int64())
        except pa.ArrowInvalid:
            rows = enumerate(array.to_pylist())
            return next(i for i, v in rows if v is not None and (v != v.to_integral_value() or int(v) not in _INT64))
        return None
    if array.type.precision <= _EXACT_DIGITS:
        return None
    rows = enumerate(array.to_pylist())
    return next((i for i, v in rows if v is not None and Decimal(repr(float(v))) != v), None)
