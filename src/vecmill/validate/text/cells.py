"""Checks of one value, as a JSON decoder returns it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from vecmill._native import scan_check as scan
from vecmill.encode.misfit import describe
from vecmill.encode.plan import ColumnPlan
from vecmill.schema.fields import DYNAMIC_FIELD
from vecmill.types.kind import Kind
from vecmill.types.numbers import INT32
from vecmill.types.text import JSON_MAX_BYTES, META
from vecmill.validate.findings import Problem
from vecmill.validate.text.columns import form_problem
from vecmill.validate.text.json_values import large_number, meta_problem
from vecmill.validate.text.sparse import sparse_problem

_NUMBERS = {int, float}


def is_json_text(text: bytes) -> bool:
    """Return True if the server reads these bytes as one JSON value."""
    end, _ = scan.json_end(text, 0, True)
    return end > 0 and not text[end:].strip(b" \t\r\n")


def cell_problems(plan: ColumnPlan, value: Any) -> Iterator[Problem]:
    """Yield what is wrong with a value that is not null."""
    group = plan.kind.group
    if group == "array":
        yield from _array(plan, value)
    elif group == "struct":
        yield from _struct(plan, value)
    else:
        problem = _CHECKS[group](plan, value)
        if problem is not None:
            yield problem


def _type(expected: str, value: Any) -> Problem:
    return Problem("value-type", expected, describe(value))


def _bool(_plan: ColumnPlan, value: Any) -> Problem | None:
    return None if isinstance(value, bool) else _type("true or false", value)


def _integer(plan: ColumnPlan, value: Any, kind: Kind | None = None, rule: str = "value-range") -> Problem | None:
    """Look at an integer within the limits of ``kind``. None: of the kind of the column."""
    if type(value) is not int:
        return _type("an integer without a point or exponent", value)
    low, high = (kind or plan.kind).text_range
    if low <= value <= high:
        return None
    return Problem(rule, plan.expected, describe(value))


def _number(plan: ColumnPlan, value: Any) -> Problem | None:
    if type(value) not in _NUMBERS:
        return _type("a number", value)
    return None if abs(value) <= plan.kind.text_range[1] else Problem("value-range", plan.expected, describe(value))


def text_problem(plan: ColumnPlan, text: str) -> Problem | None:
    """Return what is wrong with a VARCHAR or TEXT value."""
    try:
        n_bytes = len(text.encode())
    except UnicodeEncodeError:
        return Problem("value-text-utf8", "text that has a UTF-8 form", "the escape of a lone surrogate")
    if n_bytes > plan.max_bytes:
        return Problem("value-text-length", f"at most {plan.max_bytes} bytes", f"{n_bytes} bytes")
    return None


def _text(plan: ColumnPlan, value: Any) -> Problem | None:
    return text_problem(plan, value) if isinstance(value, str) else _type("a string", value)


def _formed(plan: ColumnPlan, value: Any) -> Problem | None:
    return form_problem(plan.kind.group, value) if isinstance(value, str) else _type("a string", value)


def _sparse(_plan: ColumnPlan, value: Any) -> Problem | None:
    return sparse_problem(value)


def _json(plan: ColumnPlan, value: Any) -> Problem | None:
    if isinstance(value, str):
        return json_text_problem(plan.kind, value.encode(errors="replace"))
    if plan.kind is not META:  # of an object, the size shows in the row's
        return None if isinstance(value, dict) else _type("an object, or a string with JSON text", value)
    if not isinstance(value, dict):
        return Problem("value-meta", "an object, or a string with JSON text of one", describe(value))
    return Problem("value-meta", "no $meta within $meta", "one") if DYNAMIC_FIELD in value else None


def json_text_problem(kind: Kind, raw: bytes) -> Problem | None:
    """Return what is wrong with JSON text of a field, or of ``$meta``."""
    if not is_json_text(raw):
        large = large_number(raw)
        return Problem(
            "value-json", "JSON text" if large is None else "numbers within float64", large or repr(raw[:60])[1:]
        )
    if kind is META and raw.lstrip(b" \t\r\n")[:1] != b"{":
        return Problem("value-meta", "a JSON object", repr(raw[:60])[1:])
    return (meta_problem(raw) if kind is META else None) or size_problem(len(raw))


def size_problem(n_bytes: int) -> Problem | None:
    """Return what is wrong with JSON text of ``n_bytes``."""
    if n_bytes > JSON_MAX_BYTES:
        return Problem("value-json-size", f"at most {JSON_MAX_BYTES} bytes", f"{n_bytes} bytes")
    return None


def _vector(plan: ColumnPlan, value: Any) -> Problem | None:
    width = plan.kind.n_numbers(plan.dim)
    if not isinstance(value, list):
        return _type(f"a list of {width} numbers", value)
    if len(value) != width:
        return Problem("value-dim", f"{width} values", f"{len(value)}")
    low, high = plan.kind.text_range
    types = set(map(type, value))
    if type(None) in types:
        return Problem("value-null-element", "no null in it", f"one at position {value.index(None)}")
    if plan.kind.floats is None:
        if types != {int}:
            return _type("a list of integers", next(x for x in value if type(x) is not int))
    elif not types <= _NUMBERS:
        return _type("a list of numbers", next(x for x in value if type(x) not in _NUMBERS))
    if low <= min(value) and max(value) <= high:
        return None
    return Problem("value-range", plan.expected, describe(next(x for x in value if not low <= x <= high)))


def _array(plan: ColumnPlan, value: Any) -> Iterator[Problem]:
    if not isinstance(value, list):
        yield _type("a list", value)
        return
    if len(value) > plan.capacity:
        yield Problem("value-capacity", f"at most {plan.capacity} elements", f"{len(value)}")
    item = plan.items[0]
    is_narrow = item.kind.group == "int" and item.width < 4
    for position, element in enumerate(value):
        if element is None:
            found: Problem | None = Problem("value-null-element", "no null in it", f"one at position {position}")
        elif is_narrow:
            # The server looks at these elements as int32 only.
            found = _integer(item, element, INT32) or _integer(item, element, rule="value-array-range")
        else:
            found = next(cell_problems(item, element), None)
        if found is not None:
            yield found
            return


def _struct(plan: ColumnPlan, value: Any) -> Iterator[Problem]:
    if not isinstance(value, list):
        yield _type("a list of objects", value)
        return
    if len(value) > plan.capacity:
        yield Problem("value-capacity", f"at most {plan.capacity} elements", f"{len(value)}")
    names = {item.name: item for item in plan.items}
    for element in value:
        if not isinstance(element, dict) or element.keys() != names.keys():
            got = describe(element) if not isinstance(element, dict) else f"the keys {', '.join(element)}"[:80]
            yield Problem("value-type", f"objects of exactly {', '.join(names)}", got)
            return
        for name, part in element.items():
            if part is None:
                yield Problem("value-null-element", "no null in it", f"{name} null")
                return
            problem = next(cell_problems(names[name], part), None)
            if problem is not None:
                yield problem._replace(expected=f"{problem.expected} in {name}")
                return


# By group of types, but for arrays and structs, in which several values may be wrong.
_CHECKS: Mapping[str, Callable[[ColumnPlan, Any], Problem | None]] = {
    "int": _integer,
    "bool": _bool,
    "float": _number,
    "text": _text,
    "json": _json,
    "meta": _json,
    "geometry": _formed,
    "timestamptz": _formed,
    "sparse": _sparse,
    "dense": _vector,
}


def json_nbytes(value: Any) -> int:
    """Return the length in bytes of a decoded value as compact JSON text."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="replace"))
