"""Checks of JSON and JSON Lines files."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from vecmill._native import scan_check as scan
from vecmill.encode.plan import ColumnPlan
from vecmill.schema.fields import DYNAMIC_FIELD
from vecmill.store.blob import closing
from vecmill.store.window import Window
from vecmill.types.text import JSON_MAX_BYTES
from vecmill.validate.context import Context
from vecmill.validate.entries import Entry
from vecmill.validate.findings import Findings, Problem, Unreadable
from vecmill.validate.text.cells import cell_problems, json_nbytes, size_problem
from vecmill.validate.text.fast_path import FastPath
from vecmill.validate.text.json_values import (
    KeysTwice,
    infinite_problem,
    key_twice,
    keys_of,
    may_be_large,
    surrogate_problem,
)

MAX_ROW_BYTES = 64 * 1024 * 1024
# Decoded, values take ten times the memory of their text; no row that fits any schema has so many.
_LARGE_ROW, _MAX_ROW_VALUES = 8 * 1024 * 1024, 2_000_000
# Compact JSON that Python writes of a value may be five times as long (1e15 becomes 1000000000000000.0).
_SURELY_SHORT = JSON_MAX_BYTES // 5
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_NEXT_LINE = re.compile(rb"\n[ \t\r]*(?=\{)")
_TOP = "a list of objects, or an object whose only key is rows"


def check_json(entry: Entry, context: Context, findings: Findings, *, lines: bool = False) -> int | None:
    """Check one file; ``lines``: JSON Lines. Return its row count. None: not all rows were read."""
    blob = entry.blob
    assert blob is not None  # only such are given
    if blob.size == 0:
        findings.add("file-empty", file=entry.name, expected="rows", got="0 bytes")
        return None
    limit = {"headers": 1, "sample": context.sample_rows, "full": None}[context.level]
    rows = RowCheck(entry.name, context, findings, limit)
    is_whole = True
    with closing(blob):
        window = Window(blob)
        while True:
            try:
                for row, offset in _rows(window, lines, rows):
                    if rows.n == limit:
                        return None
                    rows.check(row, rows.n, offset)
                    rows.n += 1
                break
            except Unreadable as wrong:
                at = None if wrong.is_last else rows.n
                findings.add(
                    wrong.rule, file=entry.name, row=at, offset=wrong.offset, expected=wrong.expected, got=wrong.got
                )
                if not lines or wrong.is_last or wrong.rule != "json-syntax" or not window.skip_to(_NEXT_LINE):
                    return None
                rows.n += 1
                is_whole = False
    if not is_whole:
        return None
    if rows.n == 0:
        findings.add("file-no-rows", file=entry.name, expected="rows", got="none")
    return rows.n


def _rows(window: Window, lines: bool, rows: RowCheck) -> Iterator[tuple[bytes, int]]:
    """Yield (text, offset) of each row that the fast path did not pass over. Raises Unreadable."""
    if window.offset == 0 and window.peek(3) == b"\xef\xbb\xbf":
        raise Unreadable("json-syntax", "JSON", "a byte order mark", 0)
    yield from _of_lines(window, rows) if lines else _of_list(window, rows)


def _of_lines(window: Window, rows: RowCheck) -> Iterator[tuple[bytes, int]]:
    while window.skip_blanks():
        if window.peek(1) in b"]}":
            raise Unreadable("json-rest", "one object after another", repr(window.peek(20))[1:], window.offset)
        if not rows.pass_over(window, comma=False):
            yield _value(window)


def _of_list(window: Window, rows: RowCheck) -> Iterator[tuple[bytes, int]]:
    wrapped = _open_list(window)
    _blanks(window)
    if window.peek(1) == b"]":
        window.take(1)
    else:
        while True:
            while rows.pass_over(window, comma=True):
                pass
            yield _value(window)
            _blanks(window)
            mark = window.take(1)
            if mark == b"]":
                break
            if mark != b",":
                raise Unreadable("json-syntax", "',' or ']' behind a row", repr(mark)[1:], window.offset - 1)
    if wrapped:
        _blanks(window)
        if window.take(1) != b"}":
            raise Unreadable("json-behind", _TOP, "something behind the rows", window.offset - 1)
    if window.skip_blanks():
        rule = "json-rest" if wrapped or window.peek(1) in b"]}" else "json-behind"
        raise Unreadable(rule, "the end of the file", repr(window.peek(20))[1:], window.offset)


def _open_list(window: Window) -> bool:
    """Move to the first row. Return True if the list is in an object."""
    _blanks(window)
    mark = window.peek(1)
    if mark == b"{":
        window.take(1)
        _blanks(window)
        if window.peek(1) != b'"':
            raise Unreadable("json-top", _TOP, f"an object with {window.peek(10)!r}", window.offset)
        key = _value(window)[0]
        if json.loads(key.decode(errors="replace")).lower() != "rows":
            raise Unreadable("json-top", _TOP, f"the key {key[:60].decode(errors='replace')}", window.offset)
        _blanks(window)
        if window.take(1) != b":":
            raise Unreadable("json-syntax", "':' behind a key", "something else", window.offset - 1)
        _blanks(window)
        mark = window.peek(1)
        if mark != b"[":
            raise Unreadable("json-top", _TOP, "rows that are no list", window.offset)
        window.take(1)
        return True
    if mark != b"[":
        rule = "json-top" if mark in b'"-0123456789tfn' else "json-syntax"
        raise Unreadable(rule, _TOP, repr(window.peek(20))[1:], window.offset)
    window.take(1)
    return False


def _blanks(window: Window) -> None:
    if not window.skip_blanks():
        raise Unreadable("json-syntax", "more JSON", "the end of the file", window.offset)


def _value(window: Window) -> tuple[bytes, int]:
    while True:
        end, bad = scan.json_end(window.data, window.at)
        if end >= 0:
            break
        if end == scan.MORE and len(window.data) - window.at <= MAX_ROW_BYTES:
            if window.grow():
                continue
            raise Unreadable("json-syntax", "more JSON", "the end of the file", window.offset, is_last=False)
        if end == scan.MORE:
            raise Unreadable(
                "json-row", f"a row of at most {MAX_ROW_BYTES} bytes", "more", window.offset, is_last=False
            )
        place = window.base + bad
        if end == scan.DEEP:
            raise Unreadable("json-syntax", "at most 10,000 levels", "more", place, is_last=False)
        raise Unreadable(
            "json-syntax", "JSON", repr(window.data[max(bad - 10, 0) : bad + 10])[1:], place, is_last=False
        )
    offset = window.offset
    return window.take(end - window.at), offset


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _long_int(text: str) -> int | float:
    return int(text) if len(text) < 400 else float("inf")


class RowCheck:
    """Checks rows of one file. ``n``: rows checked so far; ``limit``: rows to check. None: all."""

    def __init__(self, file: str, context: Context, findings: Findings, limit: int | None) -> None:
        self._file, self._context, self._findings = file, context, findings
        self.n, self._limit = 0, limit
        self._fast_path = FastPath(context, "json")
        self._twice = KeysTwice()
        self._decode = json.JSONDecoder(object_pairs_hook=self._twice, parse_constant=_no_constant).decode
        # Python refuses to read an integer of more than 4,300 digits.
        self._decode_long = json.JSONDecoder(object_pairs_hook=self._twice, parse_int=_long_int).decode
        self._required = [name for name in context.plans if context.is_required(name)]
        self._key = next((name for name, plan in context.plans.items() if plan.field.auto_id), None)
        self._has_keys: bool | None = None

    def pass_over(self, window: Window, *, comma: bool) -> int:
        """Pass over rows that are certainly valid, in a list each with its comma; return how many."""
        if self._has_keys is False:  # rows with a key are none of these
            return 0
        passed, later = self._fast_path.json_rows(window, self._limit, self.n, comma=comma)
        if passed and self._key is not None:
            self._has_keys = True
        for row, plan, raw in later:
            value = self._decoded(raw.decode())
            self._value(plan, value, row, may_be_long=len(raw) > _SURELY_SHORT)
            self._keys_within({plan.name: value}, row)
            if may_be_large(raw):
                self._within_json(infinite_problem, {plan.name: value}, row)
        self.n += passed
        return passed

    def _decoded(self, text: str) -> Any:
        self._twice.found.clear()
        try:
            return self._decode(text)
        except ValueError:
            self._twice.found.clear()
            return self._decode_long(text)

    def check(self, raw: bytes, row: int, offset: int) -> None:
        """Check one row, which is known to be JSON."""
        if len(raw) > _LARGE_ROW and raw.count(b",") > _MAX_ROW_VALUES:
            self._add("json-row", None, row, f"a row of at most {_MAX_ROW_VALUES:,} values", "more", offset)
            return
        try:
            text = raw.decode()
        except UnicodeDecodeError as error:
            self._add("value-text-utf8", None, row, "UTF-8", f"the byte {raw[error.start]:02X}", offset + error.start)
            text = raw.decode(errors="replace")
        try:
            value = self._decoded(text)
        except RecursionError:
            self._add("json-row", None, row, "values nested less than 900 deep", "deeper ones", offset)
            return
        if not isinstance(value, dict):
            self._add("json-row", None, row, "an object", f"a {type(value).__name__}", offset)
            return
        for made, keys in self._twice.found:
            for key in keys if made is value else ():
                self._add("column-twice", key, row, "one value", "two, of which the last one counts")
        self._fields(value, row, len(raw))
        self._keys_within(value, row)
        if _SURROGATE.search(text):
            self._within_json(surrogate_problem, value, row)
        if may_be_large(raw):
            self._within_json(infinite_problem, value, row)

    def _fields(self, value: dict[str, Any], row: int, n_bytes: int) -> None:
        plans = self._context.plans
        for name in self._required:
            if name not in value:
                self._add("column-missing", name, row, "a value", "none")
        if self._key is not None:
            self._key_in_all(self._key, value, row)
        dynamic = DYNAMIC_FIELD in plans
        for name, one in value.items():
            plan = plans.get(name)
            if plan is None:
                if not dynamic or any(field.name == name for field in self._context.schema.fields):
                    self._unknown(name, value, row)
            elif one is None:
                if not self._context.takes_null(name):
                    self._add("value-null", name, row, "a value: the field is not nullable", "null")
                elif name == DYNAMIC_FIELD:
                    self._add("value-meta", name, row, "an object", "null")
            else:
                self._value(plan, one, row, may_be_long=n_bytes > JSON_MAX_BYTES)
        meta = value.get(DYNAMIC_FIELD)
        if isinstance(meta, str | dict) and len(value) > 1:
            keys = keys_of(meta) if isinstance(meta, str) else meta.keys()
            for name in sorted(keys & (value.keys() - {DYNAMIC_FIELD})):
                self._add("value-meta", DYNAMIC_FIELD, row, "each key once", f"{name!r} beside it too")

    def _key_in_all(self, key: str, value: dict[str, Any], row: int) -> None:
        """Add a finding where only some rows have a key that the server could make."""
        has_key = key in value
        if self._has_keys not in (None, has_key):
            self._add("column-missing", key, row, "keys in all rows or in none", "one" if has_key else "none")
        self._has_keys = has_key if self._has_keys is None else self._has_keys

    def _value(self, plan: ColumnPlan, value: Any, row: int, *, may_be_long: bool) -> None:
        for rule, expected, got in cell_problems(plan, value):
            self._add(rule, plan.name, row, expected, got)
        if may_be_long and plan.kind.is_json and isinstance(value, dict):
            problem = size_problem(json_nbytes(value))
            if problem is not None:
                self._add(problem.rule, plan.name, row, problem.expected, problem.got)

    def _keys_within(self, value: dict[str, Any], row: int) -> None:
        """Add a finding for each value of a row that contains an object with a key twice."""
        for name, key in self._twice.within(value) if self._twice.found else ():
            if self._is_taken(name):
                rule, expected, got = key_twice(key)
                self._add(rule, name, row, expected, got)

    def _within_json(self, look: Callable[[Any], Problem | None], value: dict[str, Any], row: int) -> None:
        """Check JSON values and their keys with ``look``; values of other fields have checks of their own."""
        for name, one in value.items():
            plan = self._context.plans.get(name)
            if self._is_taken(name) and (plan is None or plan.kind.is_json):
                problem = look([name, one])
                if problem is not None:
                    self._add(problem.rule, name, row, problem.expected, problem.got)

    def _is_taken(self, name: str) -> bool:
        return name in self._context.plans or DYNAMIC_FIELD in self._context.plans

    def _unknown(self, name: str, given: dict[str, Any], row: int) -> None:
        own = self._findings.like()
        self._context.knows(name, given, self._file, own)
        for one in own.kept:
            self._add(one.rule, name, row, one.expected, one.got)

    def _add(self, rule: str, field: str | None, row: int, expected: str, got: str, offset: int | None = None) -> None:
        self._findings.add(rule, file=self._file, field=field, row=row, offset=offset, expected=expected, got=got)
