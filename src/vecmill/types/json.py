"""JSON text of any Python value: compact, in raw UTF-8. What JSON has no type for and one natural text becomes it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, NoReturn
from uuid import UUID

import numpy as np

from vecmill.types.durations import days_of, duration_text
from vecmill.types.timestamptz import is_nat

_LEAVES = {str, int, float, bool, type(None)}
_FRACTION = re.compile(r"\.(\d+)")
# Of these a date or a time is the natural text; a month or a year is neither.
_TIME_UNITS = {"h", "m", "s", "ms", "us", "ns"}
_LONGEST_PATH = 500


def iso_text(value: object) -> str:
    """Return a date, a time, a datetime or a duration as ISO 8601 text, the same whatever holds it; instants in UTC.

    A fraction of a time has six digits, nine if it is finer than a microsecond, and is left out if it is zero. Raises
    TypeError for other values, ValueError for NaT.
    """
    if is_nat(value):
        raise ValueError("NaT has no JSON form (None is a null)")
    if isinstance(value, np.datetime64):
        unit = np.datetime_data(value)[0]
        if unit not in ("D", *_TIME_UNITS):
            raise TypeError(f"datetime64[{unit}] has no JSON form")
        fine = value.astype("M8[s]") if unit in ("h", "m") else value
        return usual_fraction(str(fine))
    if isinstance(value, datetime) and value.tzinfo is not None and value.utcoffset() is not None:
        return usual_fraction(value.astimezone(UTC).isoformat().replace("+00:00", "Z"))
    if isinstance(value, date | time):
        return usual_fraction(value.isoformat())
    if isinstance(value, np.timedelta64) and np.datetime_data(value)[0] in ("D", *_TIME_UNITS):
        return duration_text(0, *days_of(int(value.astype("m8[ns]").astype(np.int64))))
    if isinstance(value, timedelta):
        nanoseconds = (value // timedelta(microseconds=1)) * 1000 + getattr(value, "nanoseconds", 0) % 1000
        return duration_text(0, *days_of(nanoseconds))
    raise TypeError(f"{type(value).__name__} has no JSON form")


def usual_fraction(text: str) -> str:
    """Return ISO 8601 text with no fraction of a second, or one of six or nine digits: as few as keep its value."""
    found = _FRACTION.search(text)
    if found is None:
        return text
    digits = found[1].rstrip("0")
    fraction = f".{digits:0<{6 if len(digits) <= 6 else 9}}" if digits else ""
    return text[: found.start()] + fraction + text[found.end() :]


def _plain(value: object) -> object:
    """Return a value that json does not know as one that it does. Raises TypeError, ValueError if it has no JSON form.

    NumPy scalars and arrays become Python values, dates and times ISO 8601 text, a UUID its text, a Decimal a number.
    """
    plain: object
    if isinstance(value, np.generic) and value.dtype.kind in "mM":
        return iso_text(value)
    if isinstance(value, np.ndarray) and value.dtype.kind in "mM":
        return [_plain(one) for one in value] if value.ndim else iso_text(value[()])
    if isinstance(value, np.generic | np.ndarray):
        plain = value.tolist()
        if isinstance(plain, np.generic):  # a longdouble has no Python value
            raise TypeError(f"{type(value).__name__} has no JSON form")
    elif isinstance(value, Decimal):
        plain = _number(value)
    elif isinstance(value, UUID):
        plain = str(value)
    elif isinstance(value, Mapping):
        plain = dict(value)
    else:
        plain = iso_text(value)
    _refuse_twins(plain)
    return plain


def _number(value: Decimal) -> int | float:
    """Return the number whose JSON text has the value of a Decimal. Raises ValueError if there is none."""
    if not value.is_finite():
        raise ValueError(f"Decimal {value} has no JSON form")
    if value == value.to_integral_value():
        return int(value) if value.adjusted() < 309 else float(value)
    number = float(value)
    if Decimal(repr(number)) != value:
        raise ValueError(f"Decimal {str(value)[:40]} has more digits than a number in JSON; give its text (str)")
    return number


# One encoder for all rows. Non-ASCII stays raw UTF-8: half the bytes, and the server stores the text as it is.
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain).encode


def compact_json(value: object) -> str:
    """Return the JSON text of a value.

    Raises ValueError or TypeError, which name the key, for NaN, Inf, an object without a JSON form, or two keys of one
    object that have the same text, such as 1 and "1".
    """
    try:
        _refuse_twins(value)
        return _encode(value)
    except (ValueError, TypeError) as error:
        raise type(error)(_culprit(value, "") or str(error)) from None


def _refuse_twins(value: object) -> None:
    """Raise ValueError for an object with two keys of the same text."""
    if isinstance(value, dict):
        if not {*map(type, value)} <= {str}:
            _refuse_twin_keys(value)
        inner: Any = value.values()
    elif isinstance(value, list | tuple):
        inner = value
    else:
        return
    if not {*map(type, inner)} <= _LEAVES:
        for one in inner:
            if isinstance(one, dict | list | tuple):
                _refuse_twins(one)


def _refuse_twin_keys(value: dict[Any, Any]) -> None:
    before: dict[str, object] = {}
    for key in value:
        # Not str(key), which is the name for a member of an Enum. Keys of other types are refused by json.
        text = (
            str.__str__(key) if isinstance(key, str) else _encode(key) if isinstance(key, int | float | None) else None
        )
        if text in before:
            raise ValueError(f"the keys {before[text]!r} and {key!r} in one object, which are one key in JSON")
        if text is not None:
            before[text] = key


def _culprit(value: object, path: str) -> str:
    """Return why a value has no JSON text, and at which key of it. "": the reason is not in it."""
    where = f" at {path.removeprefix('.')!r}" if path else ""
    try:
        while value is not None and not isinstance(value, str | int | float | dict | list | tuple):
            value = _plain(value)
        if isinstance(value, float) and not math.isfinite(value):
            return f"{value!r}, which is not JSON compliant{where}"
        inner = _inner(value, path) if len(path) < _LONGEST_PATH else ()
        for one, here in inner:
            found = _culprit(one, here)
            if found:
                return found
        _refuse_twins(value)
        _encode(value)
    except (ValueError, TypeError) as error:
        return f"{error}{where}"
    return ""


def _inner(value: object, path: str) -> Iterable[tuple[object, str]]:
    """Return the values in a value, each with its path."""
    if isinstance(value, dict):
        return [(one, f"{path}.{key}") for key, one in value.items()]
    return [(one, f"{path}[{i}]") for i, one in enumerate(value)] if isinstance(value, list | tuple) else ()


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def within_float64(digits: str) -> float:
    """Return the number. Raises ValueError for one beyond float64."""
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"a number beyond float64, {digits[:40]}")
    return number


_decode = json.JSONDecoder(parse_constant=_no_constant, parse_float=within_float64).decode


_LONG = re.compile(r"[0-9]{309}")  # no shorter integer is beyond float64


def encode_json(value: object) -> str:
    """Return the JSON text of a value. A str is taken as JSON text, as pymilvus takes it: parsed to check, kept as is.

    Raises ValueError or TypeError for NaN, Inf, numbers beyond float64, text that is not JSON, or an object without a
    JSON form, or two keys of one object that have the same text.
    """
    return _encoded(value, _decode)


def encode_json_once(value: object) -> str:
    """Return it for a server that decodes the text. Raises ValueError also for a key that an object has twice."""
    return _encoded(value, decode_once)


def _encoded(value: object, decode: Callable[[str], Any]) -> str:
    if not isinstance(value, str):
        return check_numbers(compact_json(value))
    try:
        decoded = decode(value)
    except ValueError as error:
        raise ValueError(f"a str that is not JSON text ({error}); encode text values with json.dumps") from None
    _check_escapes(value, decoded)
    return check_numbers(value)


def check_numbers(text: str) -> str:
    """Return JSON text as it is. Raises ValueError for an integer beyond float64: servers refuse it or fail."""
    if len(text) > 308 and _LONG.search(text):
        json.loads(text, parse_int=within_float64)
    return text


def _check_escapes(text: str, decoded: object) -> None:
    """Raise ValueError for the escape of a lone surrogate: it has no UTF-8 form, and decoders replace it by U+FFFD."""
    if "\\ud" in text or "\\uD" in text:
        try:
            compact_json(decoded).encode()
        except UnicodeEncodeError:
            raise ValueError("the escape of a lone surrogate") from None


def _no_twin(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    decoded = dict(pairs)
    if len(decoded) < len(pairs):
        raise ValueError("a key twice in one object")
    return decoded


decode_once = json.JSONDecoder(
    parse_constant=_no_constant, parse_float=within_float64, object_pairs_hook=_no_twin
).decode
