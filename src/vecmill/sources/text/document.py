"""A JSON document around rows: the way through it to the value that holds them, and to its end, a block at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vecmill._native import json_read
from vecmill.sources.text.json_rows import WORDS, RowProblem
from vecmill.sources.text.stream import Bytes

MAX_DEPTH = 3
"""Most keys on the way to rows that are looked for; a path that a caller names may be longer."""

_STRINGS = (json_read.STRING, json_read.ESCAPED)


def skip_blank(data: Bytes, start: int) -> int:
    """Return the place of the first byte from ``start`` on that is not blank."""
    while start < len(data) and data[start] in b" \t\r\n":
        start += 1
    return start


def found_at(data: Bytes, position: int) -> str:
    """Return what stands at a place, for messages."""
    if position >= len(data):
        return "the end of the file"
    return repr(data[position : position + 20].tobytes().decode(errors="replace"))


def member_at(data: Bytes, position: int) -> tuple[int, int, bool]:
    """Return where the key at ``position`` ends, where its value begins, and whether this is a key.

    A value that begins at the end of the data: more of the file is needed to tell.
    """
    key_end, kind, why = json_read.value_end(data, position)
    if why:
        return position, len(data), why == json_read.SHORT
    colon = skip_blank(data, key_end)
    if kind not in _STRINGS or (colon < len(data) and data[colon] != ord(":")):
        return key_end, colon, False
    return key_end, skip_blank(data, colon + 1) if colon < len(data) else colon, True


def key_of(data: Bytes, start: int, end: int) -> str:
    """Return a key without quotes and escapes."""
    import json

    text = data[start:end].tobytes().decode(errors="replace")
    try:
        return str(json.loads(text, strict=False))
    except ValueError:
        return text


def dotted(path: tuple[str, ...]) -> str:
    """Return a path as ``--records`` takes it."""
    return ".".join(path) or "."


@dataclass(slots=True)
class _Level:
    """An object or array that is open. ``on_path``: keys of the path that lead here, -1 beside it."""

    name: tuple[str, ...]
    is_array: bool
    on_path: int = -1
    state: int = json_read.FIRST  # see `json_read`; a value of an object is a member


class Way:
    """The way through one document to the value at ``path``, and from there to the end of the document.

    ``alone``: another array of objects behind it is an error, as nobody said which of them holds the rows. The way
    stops at the value (``found``); `pass_by` tells that its end was reached. ``ended``: so was that of the document.
    """

    def __init__(self, path: tuple[str, ...], *, alone: bool = False) -> None:
        self._path, self._alone = path, alone
        self._levels: list[_Level] = []
        self._room = np.empty(4096, np.int64)
        self._begun = self._passed = False
        self.found = self.ended = False

    def pass_by(self) -> None:
        """Go on behind the value at the path."""
        self.found, self._passed = False, True
        self.ended = not self._levels

    def on(self, data: Bytes, position: int, final: bool) -> tuple[int, RowProblem | None]:
        """Go on in a block, as far as it reaches. Return where to, and what is wrong there."""
        if not self._begun:
            position = skip_blank(data, position)
            if position == len(data):
                return position, None
            self._begun = True
            if not self._path:
                self.found = True
                return position, None
            if data[position] != ord("{"):
                return position, RowProblem(position, self._wanted(), found_at(data, position))
            self._levels.append(_Level((), is_array=False, on_path=0))
            position += 1
        while self._levels and not self.found:
            began, depth = position, len(self._levels)
            step = self._through_array if self._levels[-1].is_array else self._through_object
            position, problem = step(data, position, final)
            if problem is not None:
                return position, problem
            if position == began and len(self._levels) == depth:
                return position, None
        self.ended = not self._levels
        if self.ended and not self._passed:
            return position, RowProblem(position, self._wanted(), "none")
        return position, None

    def _wanted(self) -> str:
        return f"an object with rows at {dotted(self._path)!r}"

    def _through_array(self, data: Bytes, position: int, final: bool) -> tuple[int, RowProblem | None]:
        """Pass some elements by."""
        level = self._levels[-1]
        if level.state == json_read.FIRST and self._looks(len(level.name)):
            first = skip_blank(data, position)
            if first < len(data) and data[first] == ord("{"):
                both = f"{dotted(self._path)!r} and {dotted(level.name)!r}"
                return first, RowProblem(first, "one array of objects, or its path (--records, records=)", both)
            if first == len(data) and not final:
                return position, None
        _, position, level.state, why = json_read.split_elements(
            data, position, final, level.state, self._room, self._room
        )
        if why == json_read.SYNTAX:
            return position, RowProblem(position, "',' or ']'", found_at(data, position))
        if why:
            return position, RowProblem(position, *WORDS[why])
        if level.state == json_read.CLOSED:
            self._levels.pop()
        return position, None

    def _looks(self, depth: int) -> bool:
        """Whether arrays at a depth are looked at."""
        return self._alone and self._passed and depth <= MAX_DEPTH

    def _through_object(self, data: Bytes, position: int, final: bool) -> tuple[int, RowProblem | None]:
        """Pass a member or a comma by, or enter the value of the member."""
        level = self._levels[-1]
        position = skip_blank(data, position)
        if position == len(data):
            return position, RowProblem(position, "'}'", "the end of the file") if final else None
        if data[position] == ord("}") and level.state != json_read.VALUE:
            self._levels.pop()
            return position + 1, None
        if level.state == json_read.SEPARATOR:
            if data[position] != ord(","):
                return position, RowProblem(position, "',' or '}'", found_at(data, position))
            level.state = json_read.VALUE
            return position + 1, None
        key_end, value, is_key = member_at(data, position)
        if not is_key or (final and value == len(data)):
            return position, RowProblem(position, "a key and its value", found_at(data, position))
        if value == len(data):
            return position, None
        return self._into(data, position, (key_end, value), final)

    def _into(self, data: Bytes, position: int, member: tuple[int, int], final: bool) -> tuple[int, RowProblem | None]:
        """Enter the value of a member, or pass it by."""
        level = self._levels[-1]
        key_end, value = member
        name = (*level.name, key_of(data, position, key_end))
        is_array, opens = data[value] == ord("["), data[value] in b"[{"
        follows = not self._passed and level.on_path >= 0 and name[-1] == self._path[level.on_path]
        if follows and len(name) == len(self._path):
            level.state = json_read.SEPARATOR
            self.found = True
            return value, None
        end, kind, why = json_read.value_end(data, value)
        if opens and ((follows and not is_array) or self._looks(len(name)) or why == json_read.SHORT):
            level.state = json_read.SEPARATOR
            self._levels.append(_Level(name, is_array, len(name) if follows and not is_array else -1))
            return value + 1, None
        if not final and (why == json_read.SHORT or (end == len(data) and kind <= json_read.FLOAT)):
            return position, None
        if why:
            return value, RowProblem(value, *WORDS.get(why, ("a JSON value", found_at(data, value))))
        level.state = json_read.SEPARATOR
        return end, None
