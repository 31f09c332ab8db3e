"""JSON fields and the dynamic field: any Python value -> compact JSON text in raw UTF-8."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from vecmill.fields import DYNAMIC_FIELD

if TYPE_CHECKING:
    from vecmill.schema import CollectionSchema


def _plain(value: object) -> object:
    """Give what json does not know as something it does: NumPy scalars and arrays."""
    # Dates are refused, as Python's are: NumPy gives some of them as a bare count of nanoseconds.
    if isinstance(value, np.generic | np.ndarray) and value.dtype.kind not in "mM":
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no JSON form")


# One encoder for all rows. Non-ASCII stays raw UTF-8: half the bytes, and the server stores the text as it is.
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain).encode


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _within_float64(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"a number beyond float64, {digits[:40]}")
    return number


_decode = json.JSONDecoder(parse_constant=_no_constant, parse_float=_within_float64).decode


_LONG = re.compile(r"[0-9]{309}")  # no shorter integer is beyond float64
_MAY_BE_INEXACT = re.compile(r"[0-9]{16}")


def encode_json(value: object) -> str:
    """Return the JSON text of a value. A str is taken as JSON text, as pymilvus takes it: parsed to check, kept as is.

    Raises ValueError or TypeError for NaN, Inf, numbers beyond float64, text that is not JSON, or an object without a
    JSON form.
    """
    return _encoded(value, _decode)


def encode_json_once(value: object) -> str:
    """Do so for a server that decodes the text: a key that comes twice in one object is refused too."""
    return _encoded(value, _decode_once)


def _encoded(value: object, decode: Callable[[str], Any]) -> str:
    if not isinstance(value, str):
        return _check_numbers(_encode(value))
    try:
        decoded = decode(value)
    except ValueError as error:
        raise ValueError(f"a str that is not JSON text ({error}); encode text values with json.dumps") from None
    _check_escapes(value, decoded)
    return _check_numbers(value)


def _check_numbers(text: str) -> str:
    """Refuse an integer that no float64 holds: the server refuses it, or those that read it fail."""
    if len(text) > 308 and _LONG.search(text):
        json.loads(text, parse_int=_within_float64)
    return text


def _exact_float64(digits: str) -> float:
    number = _within_float64(digits)
    if int(number) != int(digits):
        raise ValueError(f"the integer {digits[:40]} in $meta, of which the server makes a float64")
    return number


def _check_escapes(text: str, decoded: object) -> None:
    """Refuse the escape of a lone surrogate: no UTF-8 form, and decoders put U+FFFD in its place."""
    if "\\ud" in text or "\\uD" in text:
        try:
            _encode(decoded).encode()
        except UnicodeEncodeError:
            raise ValueError("the escape of a lone surrogate") from None


def meta_encoder(schema: CollectionSchema, *, as_float: bool) -> Callable[[Mapping[str, Any]], str]:
    """Return the function that gathers a row's dynamic values: its unknown keys, merged with a given ``$meta``.

    It raises ValueError for a key that is both in ``$meta`` and beside it, for ``$meta`` that is not an object, and for
    fields that the server fills itself (auto-id key, function output); with ``as_float`` for integers that a float64
    does not hold.
    """
    known = {field.name for field in schema.fields}
    filled = known - {field.name for field in schema.written_fields()}

    def encode(row: Mapping[str, Any]) -> str:
        extras: dict[str, Any] = {}
        given = row.get(DYNAMIC_FIELD)
        if given is not None:
            extras = dict(_as_object(given))
        for key, value in row.items():
            if key in filled:
                raise ValueError(f"a value for {key!r}, which the server fills itself")
            if key in known or key == DYNAMIC_FIELD:
                continue
            if key in extras:
                raise ValueError(f"the key {key!r} both in $meta and beside it")
            extras[key] = value
        for key in extras:
            # The server refuses a "$meta" inside "$meta", and a dynamic key that shadows a field can never be read.
            if key in known or key == DYNAMIC_FIELD:
                raise ValueError(f"the key {key!r} inside $meta, which is a field of the schema")
            if not isinstance(key, str):
                raise ValueError(f"the key {key!r}, which is not a str")
        text = _check_numbers(_encode(extras))
        if as_float and _MAY_BE_INEXACT.search(text):
            json.loads(text, parse_int=_exact_float64)
        return text

    return encode


def _no_twin(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    decoded = dict(pairs)
    if len(decoded) < len(pairs):
        raise ValueError("a key twice in one object")
    return decoded


_decode_once = json.JSONDecoder(
    parse_constant=_no_constant, parse_float=_within_float64, object_pairs_hook=_no_twin
).decode


def _as_object(value: object) -> Mapping[str, Any]:
    decoded = _decode_once(value) if isinstance(value, str) else value
    if not isinstance(decoded, Mapping):
        raise ValueError(f"$meta of type {type(decoded).__name__}, which is not an object")
    return decoded
