"""Durations and intervals as ISO 8601 text: ``P1Y2M3DT4H5M6.5S``."""

from __future__ import annotations

_DAY = 86_400 * 10**9


def days_of(nanoseconds: int) -> tuple[int, int]:
    """Return the days of 24 hours in a duration, and the nanoseconds beside them, with its sign."""
    sign = -1 if nanoseconds < 0 else 1
    days, rest = divmod(abs(nanoseconds), _DAY)
    return sign * days, sign * rest


def duration_text(months: int, days: int, nanoseconds: int) -> str:
    """Return the text of an interval; what is negative has a sign at each of its numbers."""
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
