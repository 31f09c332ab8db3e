"""Default values of fields: whether a value is one of the field's type."""

from __future__ import annotations

import math

from vecmill.types.kind import FLOAT32_MAX, Kind
from vecmill.types.timestamptz import timestamptz_problem


def default_problem(kind: Kind, value: object, *, max_length: int | None = None) -> str | None:
    """Return why ``value`` cannot be the default of a scalar field ("expected ..., got ..."). None: it can.

    ``max_length``: limit of text in bytes of UTF-8, None for no limit.
    """
    if not _fits_kind(kind, value):
        got: str | None = f"{_short(value)} ({type(value).__name__})"
    elif isinstance(value, str):
        got = _text_problem(kind, value, max_length)
    else:
        got = None if _number_fits(kind, value) else _short(value)
    return None if got is None else f"expected {_expected(kind, max_length)}, got {got}"


def _fits_kind(kind: Kind, value: object) -> bool:
    if kind.group == "bool":
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    if kind.group == "int":
        return isinstance(value, int)
    if kind.group == "float":
        return isinstance(value, int | float)
    if kind.group == "timestamptz":
        # The server stores microseconds, and describes a default that way.
        return isinstance(value, int | str)
    return kind.group in ("text", "geometry") and isinstance(value, str)


def _text_problem(kind: Kind, text: str, max_length: int | None) -> str | None:
    try:
        n_bytes = len(text.encode())
    except UnicodeEncodeError:
        return f"{_short(text)}, which has no UTF-8 form"
    if max_length is not None and n_bytes > max_length:
        return f"{n_bytes} bytes"
    return _short(text) if kind.group == "timestamptz" and timestamptz_problem(text) else None


def _number_fits(kind: Kind, value: object) -> bool:
    if kind.group == "float":
        try:
            number = float(value)  # type: ignore[arg-type]
        except OverflowError:
            return False
        return math.isfinite(number) and (kind.encoding != "float32" or abs(number) <= FLOAT32_MAX)
    # A bool, or a time as microseconds in an INT64.
    low, high = kind.limits or ((0, 1) if kind.group == "bool" else (-(2**63), 2**63 - 1))
    return isinstance(value, int) and low <= value <= high


def _expected(kind: Kind, max_length: int | None) -> str:
    if kind.limits is not None:
        return f"{kind.dtype.name} from {kind.limits[0]} to {kind.limits[1]}"
    words = {
        "bool": "BOOL",
        "float": f"finite {kind.dtype.name}",
        "text": kind.dtype.name if max_length is None else f"{kind.dtype.name} of at most {max_length} bytes",
        "geometry": "GEOMETRY as WKT text",
        "timestamptz": "TIMESTAMPTZ as 'YYYY-MM-DDTHH:MM:SS' with 'Z' or an offset",
    }
    return words.get(kind.group, kind.dtype.name)


def _short(value: object) -> str:
    # A refused default may be huge (an int of more than 4,300 digits cannot even be printed).
    try:
        text = repr(value)
    except ValueError:
        return "a huge number"
    return text if len(text) <= 40 else f"{text[:37]}..."
