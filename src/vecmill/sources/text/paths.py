"""Paths into JSON values: ``response.body.data[0].embedding``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecmill._native import json_read
from vecmill.sources.text.stream import Bytes

_STEP = re.compile(r"\.?([^.\[\]]+)|\[([0-9]+)\]")


@dataclass(frozen=True, slots=True)
class KeyPath:
    """A column of JSON rows: a key, and the steps from its value on (keys of objects, numbers of elements)."""

    key: str
    steps: tuple[str | int, ...] = ()


def parse_path(name: str, keys: Iterable[str]) -> KeyPath:
    """Return the path that a column's name stands for; a name among ``keys`` is that key, whatever is in it."""
    known = set(keys)
    if name in known or not name:
        return KeyPath(name)
    # A key may hold a dot itself: the longest that is known wins.
    at = max((i for i, char in enumerate(name) if char in ".[" and name[:i] in known), default=0)
    at = at or next((i for i, char in enumerate(name) if char in ".[" and i), 0)
    steps = _steps(name[at:]) if at else None
    return KeyPath(name) if steps is None else KeyPath(name[:at], steps)


def _steps(text: str) -> tuple[str | int, ...] | None:
    found: list[str | int] = []
    at = 0
    while at < len(text):
        step = _STEP.match(text, at)
        if step is None:
            return None
        found.append(step[1] if step[1] is not None else int(step[2]))
        at = step.end()
    return tuple(found)


def value_at(value: Any, steps: Iterable[str | int]) -> Any:
    """Return what the steps lead to in a decoded value. None: they lead nowhere."""
    for step in steps:
        if isinstance(step, int):
            value = value[step] if isinstance(value, list) and step < len(value) else None
        else:
            value = value.get(step) if isinstance(value, Mapping) else None
    return value


def follow(
    data: Bytes,
    steps: Iterable[str | int],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    kinds: NDArray[np.uint8],
) -> None:
    """Replace the spans of values (rows,) by those of what the steps lead to; nothing there is a null."""
    for step in steps:
        wanted = json_read.ARRAY if isinstance(step, int) else json_read.OBJECT
        other = kinds != wanted
        kinds[other], starts[other], ends[other] = json_read.NULL_VALUE, -1, -1
        if isinstance(step, int):
            json_read.elements_at(data, starts, ends, kinds, step)
            continue
        rows = np.flatnonzero(~other)
        if not len(rows):
            return
        walker = json_read.ObjectWalker([step.encode()], False)
        while len(rows):
            low, high = np.empty((1, len(rows)), np.int64), np.empty((1, len(rows)), np.int64)
            kind = np.empty((1, len(rows)), np.uint8)
            done, _, _ = walker.walk(data, starts[rows], ends[rows], low, high, kind)
            now = rows[:done]
            starts[now], ends[now], kinds[now] = low[0, :done], high[0, :done], kind[0, :done]
            rows = rows[done + 1 :]  # an object with the key twice stays as it is, and is no value of most fields
