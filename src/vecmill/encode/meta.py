"""The dynamic field: the keys of a row that are not fields, as one JSON text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from vecmill.schema.collection import CollectionSchema
from vecmill.schema.fields import DYNAMIC_FIELD
from vecmill.types.json import check_numbers, compact_json, decode_once, within_float64

_MAY_BE_INEXACT = re.compile(r"[0-9]{16}")


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
        text = check_numbers(compact_json(extras))
        if as_float and _MAY_BE_INEXACT.search(text):
            json.loads(text, parse_int=_exact_float64)
        return text

    return encode


def _exact_float64(digits: str) -> float:
    number = within_float64(digits)
    if int(number) != int(digits):
        raise ValueError(f"the integer {digits[:40]} in $meta, of which the server makes a float64")
    return number


def _as_object(value: object) -> Mapping[str, Any]:
    decoded = decode_once(value) if isinstance(value, str) else value
    if not isinstance(decoded, Mapping):
        raise ValueError(f"$meta of type {type(decoded).__name__}, which is not an object")
    return decoded
