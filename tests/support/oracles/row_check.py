"""Twin of native/row_check.pyx: JSON text that arrives as it is."""

from __future__ import annotations

import json
import re
from collections.abc import Collection


def is_plain_json(text: bytes, names: Collection[str], *, only_objects: bool, digits: int, max_bytes: int) -> bool:
    """Whether ``json_passed`` may pass a value: JSON in UTF-8, no key twice, no lone surrogate, no long number."""

    def pairs(items: list[tuple[str, object]]) -> dict[str, object]:
        if len({key for key, _ in items}) < len(items):
            raise ValueError("a key twice")
        return dict(items)

    def refuse(word: str) -> object:
        raise ValueError(word)

    def short(number: str) -> float:
        if len(re.split("[.eE]", number)[0].lstrip("-")) > digits:
            raise ValueError("a long number")
        return float(number)

    try:
        value = json.loads(
            text.decode(), object_pairs_hook=pairs, parse_constant=refuse, parse_int=short, parse_float=short
        )
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return False
    if isinstance(value, dict) and value.keys() & set(names):
        return False
    return len(text) <= max_bytes and (isinstance(value, dict) or not only_objects)
