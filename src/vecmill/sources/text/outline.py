"""What a JSON file is by its first bytes: rows, a document around them, or columns in one of the usual forms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field

import numpy as np

from vecmill._native import json_read
from vecmill.errors import DataError
from vecmill.sources.base import names_text
from vecmill.sources.text.document import MAX_DEPTH, Way, dotted, found_at, key_of, member_at, skip_blank
from vecmill.sources.text.options import TextOptions
from vecmill.sources.text.stream import NOTHING, Blocks, Bytes, TextInput

_LOOK_BYTES = 1 << 19
_UNDECIDED_BYTES = 8 << 20
"""A document that tells nothing so far is taken for what it looks like: rows have fewer bytes, or are rare."""

_NUMBERS = (json_read.INT, json_read.FLOAT)
_NESTED = (json_read.ARRAY, json_read.OBJECT)
_SPLIT = {"columns", "index", "data", "index_names", "column_names"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where the rows of a file of JSON are.

    Attributes
    ----------
    path: the keys that lead to them. None: objects follow one another, without anything around them.
    form: how columns or rows are written there that are no array of objects; a name of `columnar.FORMS`, or "".
    alone: no other array of objects may be in the document, as nobody said which holds the rows.
    repeats: documents may follow one another.
    """

    path: tuple[str, ...] | None
    form: str = ""
    alone: bool = False
    repeats: bool = False


@dataclass(slots=True)
class Outline:
    """What is known of a value: its kind, its elements or members, and the kind of the first of them.

    ``whole``: its end was seen.
    """

    kind: int
    n: int = 0
    inner: int = json_read.NULL_VALUE
    whole: bool = True
    members: dict[str, Outline] = field(default_factory=dict)

    @property
    def is_array(self) -> bool:
        """Return True for an array."""
        return self.kind == json_read.ARRAY

    @property
    def is_object(self) -> bool:
        """Return True for an object."""
        return self.kind == json_read.OBJECT

    def holds(self, kind: int) -> bool:
        """Whether this is an array whose first element is of a kind."""
        return self.is_array and self.inner == kind

    def arrays_of_objects(self, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
        """Yield the paths of the arrays of objects in an object."""
        for name, value in self.members.items():
            if value.holds(json_read.OBJECT):
                yield (*path, name)
            elif value.is_object and len(path) + 1 < MAX_DEPTH:
                yield from value.arrays_of_objects((*path, name))


def place_of_rows(source: TextInput, options: TextOptions, before: Place | None) -> Place:
    """Return where the rows of a file of JSON are.

    ``before``: the place of the file before. Raises DataError for a file that does not tell.
    """
    path = _path(options.records)
    way = Way(path or ())
    with Blocks(source, look=True, block_bytes=_LOOK_BYTES) as blocks:
        tail, final, position = NOTHING, False, 0
        while not final and not way.found:
            data, final = blocks.next(tail)
            position, problem = way.on(data, 0, final)
            if problem is not None:
                raise DataError(file=source.name, expected=problem.expected, got=problem.got)
            tail = data[position:].copy()
        if not way.found:
            return Place(None)
        looked = 0
        while True:
            if final or len(tail) >= 2 * looked:
                looked = len(tail)
                found, end = outline(tail, 0)
                behind = skip_blank(tail, end)
                more = found.whole and tail[behind : behind + 1].tobytes() == b"{"
                if final or more or found.is_array or looked >= _UNDECIDED_BYTES:
                    break
            data, final = blocks.next(tail)
            tail = data.copy()
    told = _Deciding(source.name, path or (), path is not None, options.fields.keys(), options.rest, before)
    return told.decide(found, more, tail)


def _path(records: str | None) -> tuple[str, ...] | None:
    """Return the keys of a path; forms of jq and of JSONPath are taken, too."""
    if records is None:
        return None
    bare = records.removeprefix("$").strip(".").removesuffix("[*]").removesuffix("[]")
    return tuple(name for name in bare.split(".") if name)


def outline(data: Bytes, start: int, depth: int = 0) -> tuple[Outline, int]:
    """Return what is known of the value at ``start``, and where it ends; the end of the data if it is not whole."""
    char = data[start] if start < len(data) else 0
    if char == ord("[") and depth <= MAX_DEPTH:
        return _outline_of_array(data, start)
    if char == ord("{") and depth < MAX_DEPTH:
        return _outline_of_object(data, start, depth)
    end, kind, why = json_read.value_end(data, start)
    kind = json_read.OBJECT if char == ord("{") else kind
    return Outline(kind, whole=not why), len(data) if why else end


def _outline_of_array(data: Bytes, start: int) -> tuple[Outline, int]:
    room = np.empty(1 << 12, np.int64)
    first = skip_blank(data, start + 1)
    found = Outline(json_read.ARRAY, inner=outline(data, first, MAX_DEPTH)[0].kind)
    if first < len(data) and data[first] == ord("["):
        found.inner = json_read.ARRAY
    position, state = start + 1, json_read.FIRST
    while True:
        n, position, state, why = json_read.split_elements(data, position, False, state, room, room)
        found.n += n
        if state == json_read.CLOSED:
            return found, position
        if n == 0 or why:
            found.whole = False
            return found, len(data)


def _outline_of_object(data: Bytes, start: int, depth: int) -> tuple[Outline, int]:
    found = Outline(json_read.OBJECT, whole=False)
    position = skip_blank(data, start + 1)
    closes = data[position : position + 1].tobytes() == b"}"
    while position < len(data) and not closes:
        key_end, value, is_key = member_at(data, position)
        if not is_key or value == len(data):
            break
        inside, end = outline(data, value, depth + 1)
        found.members.setdefault(key_of(data, position, key_end), inside)
        found.n += inside.whole
        if found.n == 1:
            found.inner = inside.kind
        position = skip_blank(data, end)
        closes = data[position : position + 1].tobytes() == b"}"
        if not inside.whole or closes or position == len(data) or data[position] != ord(","):
            break
        position = skip_blank(data, position + 1)
    found.whole = closes
    return found, position + 1 if closes else len(data)


@dataclass(frozen=True, slots=True)
class _Deciding:
    """What is needed to tell a file by the outline of its first value, or of the value at its path."""

    file: str
    path: tuple[str, ...]
    is_named: bool
    fields: Set[str]
    takes_any: bool
    before: Place | None

    def decide(self, found: Outline, more: bool, head: Bytes) -> Place:
        """Return the place. ``more``: an object stands behind the value. Raises DataError."""
        if found.is_array:
            if found.inner == json_read.ARRAY:
                got = f"arrays ({found_at(head, 0)}), which do not name their values"
                raise self._error("objects as rows", got)
            return Place(self.path, repeats=self.is_named)
        if not found.is_object:
            if self.is_named:
                raise self._error("an array of objects", found_at(head, 0))
            return Place(None)
        if more and not self.is_named:
            return Place(None)
        return self._of_form(found.members) or self._of_document(found)

    def _error(self, expected: str, got: str) -> DataError:
        where = f" at {dotted(self.path)!r}" if self.path else ""
        return DataError(file=self.file, expected=f"{expected}{where}", got=got)

    def _of_form(self, members: Mapping[str, Outline]) -> Place | None:
        """Return the place in a document of a usual form; see `columnar.FORMS`."""
        nothing = Outline(json_read.NULL_VALUE)
        data, meta = members.get("data", nothing), members.get("meta", nothing)
        schema, columns = members.get("schema", nothing), members.get("columns", nothing)
        if columns.is_array and data.is_array and members.keys() <= _SPLIT:
            return Place(self.path, "split")
        if schema.is_object and "fields" in schema.members and data.is_array:
            return Place(self.path, "table") if "primaryKey" in schema.members else Place((*self.path, "data"))
        if meta.holds(json_read.OBJECT) and data.is_object and _are_columns(data.members):  # ClickHouse
            return Place((*self.path, "data"), "lists")
        if meta.holds(json_read.OBJECT) and data.is_array:
            return Place(self.path, "compact") if data.holds(json_read.ARRAY) else Place((*self.path, "data"))
        if _are_columns(members):
            return Place(self.path, "lists")
        if members and all(value.is_object for value in members.values()):
            return self._of_objects(members)
        return None

    def _of_objects(self, members: Mapping[str, Outline]) -> Place | None:
        """Return the place in an object of objects: columns by name with rows by key, or the other way round."""
        first, *others = [one for one in members.values() if one.n or not one.whole] or members.values()
        alike = all(one.members.keys() == first.members.keys() for one in others if one.whole)
        kinds = {_coarse(one.kind) for one in first.members.values()} - {_coarse(json_read.NULL_VALUE)}
        numbered = list(first.members) == [str(i) for i in range(len(first.members))]
        if alike and first.members and (numbered or (len(kinds) == 1 and len(first.members) > 1)):
            return Place(self.path, "frame")
        are_rows = alike and bool(first.members and others) and self.fields.isdisjoint(members)
        return Place(self.path, "objects") if self.is_named or are_rows else None

    def _of_document(self, found: Outline) -> Place:
        """Return the place of the one array of objects in a document, or take the document for a row."""
        before = None if self.before is None else self.before.path
        usual = [("rows",)] if before is None or self.is_named else [before, ("rows",)]
        for path in usual:
            if path and self._is_empty(found, path):
                return Place((*self.path, *path), repeats=self.is_named)
        paths = [] if self._is_row(found.members) else list(found.arrays_of_objects())
        if "rows" in found.members and found.members["rows"].holds(json_read.OBJECT):
            paths = [("rows",)]
        if not paths:
            return self._of_one_object(found)
        if len(paths) > 1:
            names = names_text([dotted((*self.path, *path)) for path in paths])
            raise self._error("one array of objects, or its path (--records, records=)", names)
        is_usual = paths[0] == ("rows",)
        if any(value.holds(json_read.ARRAY) for value in found.members.values()) and not (self.is_named or is_usual):
            lengths = [f"{value.n} in {name!r}" for name, value in found.members.items() if value.is_array]
            raise self._error("an array of objects, or columns of one length", ", ".join(lengths))
        return Place((*self.path, *paths[0]), alone=not (self.is_named or is_usual), repeats=self.is_named)

    def _is_row(self, members: Mapping[str, Outline]) -> bool:
        """Whether an object is a row by its members: one is a vector, or a field that is wanted."""
        vectors = any(value.n > 1 and value.inner in _NUMBERS for value in members.values() if value.is_array)
        return vectors or not self.fields.isdisjoint(members)

    def _of_one_object(self, found: Outline) -> Place:
        """Return the place of a row that is the only one; or refuse an object that has none of the wanted keys."""
        members = found.members
        if self.is_named:
            raise self._error("an array of objects", f"an object with {names_text(list(members))}")
        roots = {name.partition(".")[0].partition("[")[0] for name in self.fields}
        if roots and members and found.whole and not self.takes_any and roots.isdisjoint(members):
            got = f"one object with {names_text(list(members))}; --records NAME (records=), if one holds rows"
            raise self._error("rows", got)
        return Place(None)

    def _is_empty(self, found: Outline, path: tuple[str, ...]) -> bool:
        """Whether there is an array without elements at a path."""
        for name in path:
            found = found.members.get(name, Outline(json_read.NULL_VALUE))
        return found.is_array and found.whole and not found.n


def _are_columns(members: Mapping[str, Outline]) -> bool:
    """Whether these are columns: arrays of one length, among them one of vectors or of objects."""
    told = [value for name, value in members.items() if name != "included"]  # Chroma's list of what it gave
    arrays = [value for value in told if value.is_array]
    whole = [value for value in arrays if value.whole]
    if len(arrays) + sum(value.kind == json_read.NULL_VALUE for value in told) < len(told):
        return False
    if len({value.n for value in whole}) > 1 or any(value.n > whole[0].n for value in arrays if whole):
        return False
    if len(arrays) < 2:  # the first does not end within what was looked at
        return len(arrays) == 1 and not whole and arrays[0].inner != json_read.OBJECT
    kinds = {value.inner for value in arrays}
    return bool(arrays[0].n) and kinds != {json_read.OBJECT} and not kinds.isdisjoint(_NESTED)


def _coarse(kind: int) -> int:
    """Return one kind for both of numbers, of text, and of truth."""
    alike = {
        json_read.FLOAT: json_read.INT, json_read.ESCAPED: json_read.STRING, json_read.FALSE: json_read.TRUE
    }  # fmt: skip
    return alike.get(kind, kind)
