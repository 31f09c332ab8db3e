"""One value of text -> the value of its field: all forms of it that can mean nothing else.

The kernels take the usual form of each type; this is for the others, one value at a time. A value is what JSON decodes
to, or the text of a cell of CSV or COPY.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from vecmill.schema.fields import FieldSchema
from vecmill.sources.text.lists import list_of_texts, numbers_of
from vecmill.sources.text.vectors import Unread, shown, vector_of
from vecmill.types.sparse import SPARSE_TEXT, from_pgvector

_WORDS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
_EXACT = 1 << 53
_ZONES = (
    (re.compile(r"\s*(?:UTC|GMT)$"), "Z"),
    (re.compile(r"^([+-]\d\d)(\d\d)$"), r"\1:\2"),
    (re.compile(r"^[+-]\d\d$"), r"\g<0>:00"),
)
_DATE_AND_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(\.\d+)?\s*(.*)", re.DOTALL)
_MICROS = 7  # the point and six digits


def value_of(field: FieldSchema, value: Any, raw: str, *, is_json: bool, lenient: bool, decimal: str = ".") -> Any:
    """Return a value as its field takes it.

    Parameters
    ----------
    field: the field.
    value: what JSON decodes to, or the text of a cell.
    raw: the text as it stands in the file.
    is_json: whether the value comes from JSON, where text is no number.
    lenient: text, numbers and bools are taken for one another, and fractions are cut (``--cast unsafe``).
    decimal: the character before the fraction of a number in text.

    Raises Unread.
    """
    group = field.kind.group
    if isinstance(value, str) and group in ("int", "float", "bool") and decimal != ".":
        value = value.replace(decimal, ".")
    if group in ("int", "float", "bool"):
        if isinstance(value, str) and (lenient or not is_json):
            value = _scalar_of_text(group, value)
        return _SCALARS[group](value, lenient)
    if group == "dense":
        return vector_of(field, value, lenient=lenient)
    return _OTHERS[group](field, value, raw, is_json, lenient)


def _scalar_of_text(group: str, text: str) -> Any:
    word = text.strip()
    if group == "bool":
        return _WORDS.get(word.lower(), text)
    try:
        return int(word) if group == "int" and re.fullmatch(r"[+-]?[0-9]+", word) else float(word)
    except ValueError:
        raise Unread from None


def _int(value: Any, lenient: bool) -> int:
    if isinstance(value, bool):
        if not lenient:
            raise Unread
        return int(value)
    if isinstance(value, int):
        return value
    if not isinstance(value, float) or not math.isfinite(value):
        raise Unread
    if not lenient and (not value.is_integer() or abs(value) > _EXACT):
        raise Unread
    return int(value)


def _float(value: Any, lenient: bool) -> float:
    if isinstance(value, bool) and not lenient:
        raise Unread
    if not isinstance(value, int | float):
        raise Unread
    if isinstance(value, int) and abs(value) > _EXACT and int(float(value)) != value:
        raise Unread("a number that a float64 holds exactly")
    return float(value)


def _bool(value: Any, lenient: bool) -> bool:
    if isinstance(value, bool):
        return value
    if lenient and isinstance(value, int | float) and not math.isnan(value):
        return value != 0
    raise Unread


_SCALARS: Mapping[str, Callable[[Any, bool], Any]] = {"int": _int, "float": _float, "bool": _bool}


def _text(field: FieldSchema, value: Any, raw: str, is_json: bool, lenient: bool) -> str:
    if isinstance(value, str):
        return value
    if lenient:
        return raw
    if isinstance(value, Mapping) and len(value) == 1:
        key = next(iter(value))
        raise Unread("text", f"{shown(raw)[1:-1]}; --map {field.name}={field.name}.{key} takes what is in it")
    raise Unread("text (--cast unsafe takes the text of other values)")


def _json(field: FieldSchema, value: Any, raw: str, is_json: bool, lenient: bool) -> str:
    """Return the JSON text: of text, the value that it says, as the server takes it."""
    if is_json and not isinstance(value, str):
        return raw
    try:
        json.loads(value)
    except (ValueError, RecursionError):
        if lenient:
            return json.dumps(value, ensure_ascii=False)
        raise Unread("a JSON value, or text that is JSON (--cast unsafe makes a JSON string of other text)") from None
    return str(value)


def _timestamptz(field: FieldSchema, value: Any, raw: str, is_json: bool, lenient: bool) -> str:
    if isinstance(value, Mapping) and value.keys() == {"$date"}:  # MongoDB's extended JSON
        inner = value["$date"]
        if isinstance(inner, Mapping) and inner.keys() == {"$numberLong"}:
            inner = int(inner["$numberLong"])
        if isinstance(inner, int):
            return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=inner)).isoformat()
        value = inner
    if isinstance(value, int) and not isinstance(value, bool):
        words = "epoch_s, epoch_ms, epoch_us or epoch_ns"
        raise Unread("a time", f"{value}, of which no unit is known; say it by --type {field.name}=UNIT, {words}")
    if not isinstance(value, str):
        raise Unread("a time")
    return time_text(value, lenient=lenient)


def time_text(text: str, *, lenient: bool) -> str:
    """Return a time in the form that the server reads, where only its form is another; else as it is.

    ``lenient``: what is finer than a microsecond is cut.
    """
    found = _DATE_AND_TIME.fullmatch(text.strip())
    if found is None:
        return text
    date, time, fraction, zone = found[1], found[2], found[3] or "", found[4]
    for form, instead in _ZONES:
        zone = form.sub(instead, zone)
    if len(fraction) > _MICROS and (lenient or not fraction[_MICROS:].strip("0")):
        fraction = fraction[:_MICROS]
    return f"{date}T{time}{fraction}{zone}"


def _geometry(field: FieldSchema, value: Any, raw: str, is_json: bool, lenient: bool) -> str:
    if not isinstance(value, str):
        raise Unread("WKT text of a geometry")
    return value


def _sparse(field: FieldSchema, value: Any, raw: str, is_json: bool, lenient: bool) -> dict[int, float]:
    """Return a sparse vector: an object of indices, {indices, values}, pairs, or pgvector's text."""
    if isinstance(value, str):
        value = _sparse_of_text(value)
    try:
        if isinstance(value, list):
            pairs = [_pair(one) for one in value]
        elif value.keys() == {"indices", "values"}:
            pairs = list(zip(value["indices"], value["values"], strict=True))
        else:
            pairs = [(int(index), number) for index, number in value.items()]
    except (ValueError, TypeError, AttributeError, KeyError):
        raise Unread from None
    found = dict(pairs)
    if len(found) < len(pairs) or not all(type(i) is int and type(x) in (int, float) for i, x in pairs):
        raise Unread
    return found


def _pair(one: Any) -> tuple[Any, Any]:
    if isinstance(one, Mapping):
        names = {"index", "value"} if "index" in one else {"indice", "value"}
        if one.keys() != names:
            raise ValueError(one)
        return one[min(names)], one["value"]
    index, number = one
    return index, number


def _sparse_of_text(text: str) -> Any:
    """Return pgvector's ``{index:value,...}/dim``, indices from 1, with indices from 0; or what a JSON text says."""
    try:
        return from_pgvector(text) if SPARSE_TEXT.fullmatch(text) else json.loads(text)
    except (ValueError, RecursionError):
        raise Unread("a sparse vector such as {1:0.5,3:2}/5") from None


def _array(field: FieldSchema, value: Any, raw: str, is_json: bool, lenient: bool) -> list[Any]:
    element = FieldSchema(field.name, field.element_type, max_length=field.max_length)
    if isinstance(value, str):
        value = _list_in(value, of_text=element.kind.group == "text")
        is_json = True
    if not isinstance(value, list):
        raise Unread
    return [_inner(element, one, is_json, lenient) for one in value]


def _inner(field: FieldSchema, value: Any, is_json: bool, lenient: bool) -> Any:
    if value is None:
        raise Unread(None, "null in it")
    raw = json.dumps(value, ensure_ascii=False) if lenient else ""
    return value_of(field, value, raw, is_json=is_json, lenient=lenient)


def _list_in(text: str, *, of_text: bool) -> Any:
    """Return the list in a cell: JSON, PostgreSQL's ``{a,"b c"}``, Python's and ClickHouse's ``['a', 'b']``."""
    if not of_text:
        found = numbers_of(text)
        if found is not None:
            return found
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        items = list_of_texts(text)
    if items is None:
        raise Unread(None, shown(text))
    if of_text:
        return items
    return [_WORDS.get(one.lower(), one) for one in items]


def _struct(field: FieldSchema, value: Any, raw: str, is_json: bool, lenient: bool) -> list[dict[str, Any]]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise Unread from None
    if not isinstance(value, list):
        raise Unread
    subs = {sub.name: sub for sub in field.struct_fields}
    out = []
    for one in value:
        if not isinstance(one, Mapping) or one.keys() != subs.keys():
            raise Unread(None, None if not isinstance(one, Mapping) else f"one with the keys {', '.join(one)}")
        out.append({name: _inner(subs[name], inner, True, lenient) for name, inner in one.items()})
    return out


_OTHERS: Mapping[str, Callable[[FieldSchema, Any, str, bool, bool], Any]] = {
    "text": _text,
    "json": _json,
    "timestamptz": _timestamptz,
    "geometry": _geometry,
    "sparse": _sparse,
    "array": _array,
    "struct": _struct,
}
