"""JSON text of any Python value: compact, in raw UTF-8."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np


def _plain(value: object) -> object:
    """Return NumPy scalars and arrays as Python values. Raises TypeError for other objects that json does not know."""
    # Dates are refused, as Python's are: NumPy gives some of them as a bare count of nanoseconds.
    if isinstance(value, np.generic | np.ndarray) and value.dtype.kind not in "mM":
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no JSON form")


# One encoder for all rows. Non-ASCII stays raw UTF-8: half the bytes, and the server stores the text as it is.
compact_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain).encode


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
    JSON form.
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
