"""TIMESTAMPTZ values: the text that the server reads, from text, datetimes and columns of them.

The server takes RFC 3339 with an offset from -12:00 to +14:00, or a naive time, which it reads in the collection's time
zone (milvus, pkg/util/timestamptz). It stores microseconds; finer times are refused here, for it would cut them.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

# The calendar is checked by datetime.
_FORM = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d:\d\d)(\.\d{1,9})?(?:Z|([+-])(\d\d):(\d\d))|[T ](\d\d:\d\d:\d\d)(\.\d{1,9})?)",
    re.ASCII,
)
_FINER = re.compile(r"\.\d{6}0*[1-9]")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def timestamptz_problem(text: str) -> str | None:
    """Return why the server does not read the text. None: it does."""
    found = _FORM.fullmatch(text)
    if found is None:
        return "neither RFC 3339 ('2026-01-31T12:00:00Z', '...+02:00') nor a naive time ('2026-01-31T12:00:00')"
    date, time, sign, hours, minutes, naive_time = found.group(1, 2, 4, 5, 6, 7)
    try:
        datetime.fromisoformat(f"{date}T{time or naive_time}")
    except ValueError as error:
        return str(error)
    if sign and (int(minutes) > 59 or int(hours) * 60 + int(minutes) > (12 * 60 if sign == "-" else 14 * 60)):
        return "an offset outside -12:00 to +14:00"
    return None


def is_finer_than_stored(text: str) -> bool:
    """Return True for a time that is finer than the microseconds that the server stores."""
    return _FINER.search(text) is not None


def is_nat(value: Any) -> bool:
    """Return True for "not a time" of NumPy or pandas; that of pandas passes for a datetime."""
    is_numpy = hasattr(value, "dtype") and value.dtype.kind in "mM"
    return str(value) == "NaT" if is_numpy else type(value).__name__ == "NaTType"


def encode_timestamptz(value: Any) -> str:
    """Return the server's text for a str (as it is), a datetime, or an int: microseconds since 1970 in UTC.

    A datetime without a time zone stays naive. Raises ValueError for anything else, or a time the server does not take.
    """
    if is_nat(value):
        raise ValueError("NaT, which is no time (None is a null)")
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            value = _EPOCH + timedelta(microseconds=value)
        except OverflowError:
            raise ValueError(f"{value} microseconds, outside the years 1 to 9999") from None
    if isinstance(value, datetime):
        if getattr(value, "nanosecond", 0):  # pandas' own
            raise ValueError(f"{value}, finer than a microsecond, which is what the server stores")
        text = datetime.isoformat(value)
        if value.tzinfo is not None and timestamptz_problem(text) is not None:
            text = value.astimezone(UTC).isoformat()  # zones of before 1900 are off by seconds
    elif hasattr(value, "dtype") and value.dtype.kind == "M":  # numpy.datetime64
        micros = value.astype("datetime64[us]")
        if micros != value:
            raise ValueError(f"{value}, finer than a microsecond, which is what the server stores")
        text = str(micros)
    elif isinstance(value, str):
        text = value
    else:
        raise ValueError(f"a {type(value).__name__}")
    problem = timestamptz_problem(text)
    if problem is not None:
        raise ValueError(f"{text[:40]!r}: {problem}")
    if is_finer_than_stored(text):
        raise ValueError(f"{text!r}, finer than a microsecond, which is what the server stores")
    return text
