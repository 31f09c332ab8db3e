"""TIMESTAMPTZ: text and datetimes to the text that the server reads."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vecmill.types.timestamptz import encode_timestamptz

GOOD: list[tuple[Any, str]] = [
    ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z"),
    ("2026-01-31T12:00:00.123456+14:00", "2026-01-31T12:00:00.123456+14:00"),
    ("2026-01-31T12:00:00-12:00", "2026-01-31T12:00:00-12:00"),
    ("2026-01-31 12:00:00", "2026-01-31 12:00:00"),
    ("2026-01-31T12:00:00.5", "2026-01-31T12:00:00.5"),
    ("2026-01-31T12:00:00.123456000Z", "2026-01-31T12:00:00.123456000Z"),
    (dt.datetime(2026, 1, 31, 12), "2026-01-31T12:00:00"),
    (dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC), "2026-01-31T12:00:00+00:00"),
    (
        dt.datetime(2026, 1, 31, 12, 0, 0, 7, tzinfo=dt.timezone(-dt.timedelta(hours=3))),
        "2026-01-31T12:00:00.000007-03:00",
    ),
    # An offset that the server does not take: the same moment in UTC.
    (dt.datetime(2026, 1, 31, 12, tzinfo=dt.timezone(dt.timedelta(hours=15))), "2026-01-30T21:00:00+00:00"),
    (dt.datetime(1880, 1, 1, tzinfo=dt.timezone(dt.timedelta(minutes=53, seconds=28))), "1879-12-31T23:06:32+00:00"),
    (np.datetime64("2026-01-31"), "2026-01-31T00:00:00.000000"),
    (np.datetime64("2026-01-31T12:00:00.000001000", "ns"), "2026-01-31T12:00:00.000001"),
    (pd.Timestamp("2026-01-31 12:00", tz="Europe/Berlin"), "2026-01-31T12:00:00+01:00"),
    (0, "1970-01-01T00:00:00+00:00"),
    (-1, "1969-12-31T23:59:59.999999+00:00"),
]
BAD: list[tuple[Any, str]] = [
    ("2026-01-31", "RFC 3339"),
    ("2026-02-30T00:00:00Z", "day"),
    ("2026-01-31 12:00:00Z", "RFC 3339"),
    ("2026-01-31 12:00:00+01:00", "RFC 3339"),
    ("2026-01-31T12:00:00+14:01", "offset"),
    ("2026-01-31T12:00:00-12:01", "offset"),
    ("2026-01-31T12:00:00+01:60", "offset"),
    ("2026-01-31T12:00:00.1234567Z", "microsecond"),
    ("2026-01-31T12:00:00.000000001", "microsecond"),
    (pd.Timestamp(1), "microsecond"),
    (np.datetime64(1, "ns"), "microsecond"),
    (np.datetime64("NaT"), "NaT"),
    (10**18, "years 1 to 9999"),
    (True, "a bool"),
    (1.5, "a float"),
    (dt.date(2026, 1, 31), "a date"),
]


@pytest.mark.parametrize(("value", "text"), GOOD)
def test_times_that_the_server_reads(value: Any, text: str) -> None:
    assert encode_timestamptz(value) == text


@pytest.mark.parametrize(("value", "words"), BAD)
def test_times_that_it_does_not_read_or_would_change(value: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        encode_timestamptz(value)


@given(st.datetimes(min_value=dt.datetime(1, 1, 2), timezones=st.none() | st.timezones()))
def test_any_datetime_is_the_same_moment_in_the_text(value: dt.datetime) -> None:
    back = dt.datetime.fromisoformat(encode_timestamptz(value))
    if value.tzinfo is None:
        assert back == value
    else:  # in UTC: a time that comes twice in its own zone equals no time of another (PEP 495)
        assert back.astimezone(dt.UTC) == value.astimezone(dt.UTC)
