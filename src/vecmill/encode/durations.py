"""Arrow durations and intervals as ISO 8601 text: ``P1Y2M3DT4H5M6.5S``."""

from __future__ import annotations

from typing import Any

from vecmill.types.durations import days_of, duration_text

PaArray = Any

_UNITS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}


def duration_texts(array: PaArray) -> PaArray:
    """Return the text of each duration or interval. Days of a duration have 24 hours; those of an interval are its own.

    What is negative has a sign at each of its numbers.
    """
    import pyarrow as pa
    import pyarrow.types as pt

    if pt.is_duration(array.type):
        step = _UNITS[array.type.unit]
        counts = array.cast(pa.int64()).to_pylist()
        parts = [None if count is None else (0, *days_of(count * step)) for count in counts]
    else:
        parts = array.to_pylist()
    return pa.array([None if part is None else duration_text(*part) for part in parts], pa.string())
