"""Arrow durations and intervals as ISO 8601 text: ``P1Y2M3DT4H5M6.5S``."""

from __future__ import annotations

from typing import Any

PaArray = Any

_UNITS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_DAY = 86_400 * 10**9


def duration_texts(array: PaArray) -> PaArray:
    """Return the text of each duration or interval. Days of a duration have 24 hours; those of an interval are its own.

    What is negative has a sign at each of its numbers.
    """
    import pyarrow as pa
    import pyarrow.types as pt

    if pt.is_duration(array.type):
        step = _UNITS[array.type.unit]
        counts = array.cast(pa.int64()).to_pylist()
        parts = [None if count is None else (0, *_of_days(count * step)) for count in counts]
    else:
        parts = array.to_pylist()
    return pa.array([None if part is None else _text(*part) for part in parts], pa.string())


def _of_days(nanoseconds: int) -> tuple[int, int]:
    sign = -1 if nanoseconds < 0 else 1
    days, rest = divmod(abs(nanoseconds), _DAY)
    return sign * days, sign * rest


def _text(months: int, days: int, nanoseconds: int) -> str:
    date = [(int(months / 12), "Y"), (months - 12 * int(months / 12), "M"), (days, "D")]
    sign = "-" if nanoseconds < 0 else ""
    seconds, rest = divmod(abs(nanoseconds), 10**9)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{rest:09}".rstrip("0") if rest else ""
    time = [(f"{sign}{number}{unit}") for number, unit in ((hours, "H"), (minutes, "M")) if number]
    if seconds or rest:
        time.append(f"{sign}{seconds}{fraction}S")
    whole = "".join(f"{number}{unit}" for number, unit in date if number) + ("T" + "".join(time) if time else "")
    return f"P{whole or 'T0S'}"
