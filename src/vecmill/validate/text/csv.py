"""CSV files as Go's encoding/csv reads them: strict quotes, one header, as many cells in every row."""

from __future__ import annotations

import base64
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from vecmill.encode.plan import ColumnPlan
from vecmill.schema.fields import DYNAMIC_FIELD
from vecmill.store.blob import closing
from vecmill.store.window import Window
from vecmill.types.kind import Kind
from vecmill.types.text import META
from vecmill.validate.context import Context
from vecmill.validate.entries import Entry
from vecmill.validate.findings import Findings, Problem, Unreadable
from vecmill.validate.text.cells import cell_problems, json_text_problem, text_problem
from vecmill.validate.text.columns import form_problem
from vecmill.validate.text.fast_path import FastPath
from vecmill.validate.text.json_values import KeysTwice, keys_of

MAX_ROW_BYTES = 64 * 1024 * 1024
MAX_COLUMNS = 10_000
_BOOLS = frozenset(b"1 t T TRUE true True 0 f F FALSE false False".split())
_MAX_DIGITS = 4_000
_INTEGER = re.compile(rb"[+-]?[0-9]+")
# As Go's ParseFloat reads them: underscores between digits, hexadecimal ones with a power of two.
_DIGITS, _HEX_DIGITS = rb"[0-9]+(?:_[0-9]+)*", rb"[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*"
_DECIMAL = re.compile(rb"[+-]?(?:%b(?:\.(?:%b)?)?|\.%b)(?:[eE][+-]?%b)?" % ((_DIGITS,) * 4))
_HEX = re.compile(rb"[+-]?0[xX](?:_?%b(?:\.(?:%b)?)?|\.%b)[pP][+-]?%b" % ((_HEX_DIGITS,) * 3 + (_DIGITS,)))
_NOT_FINITE = re.compile(rb"[+-]?(?:inf|infinity|nan)", re.IGNORECASE)
_NOT_FINITE_RULES = {"array": "value-nan", "sparse": "value-sparse"}
_NO_LINE_ENDS = {ord("\r"): None, ord("\n"): None}
_BLANK_LINES = re.compile(rb"(?:\r?\n){1,1000}")


class Records:
    """Iterates over the records that ``pass_over`` did not pass.

    ``blank_lines``: number of blank lines, which the server skips; ``gaps``: those of them before another record.
    """

    def __init__(self, window: Window, sep: bytes, pass_over: Callable[[Window], int]) -> None:
        self._window, self._sep, self._pass_over = window, sep, pass_over
        self.blank_lines = self.gaps = 0

    def __iter__(self) -> Iterator[tuple[list[bytes], int]]:
        """Yield (cells, offset). Raises Unreadable."""
        window = self._window
        while True:
            if window.at >= len(window.data) and not window.grow():
                return
            blank = _BLANK_LINES.match(window.data, window.at)
            if blank is not None:
                self.blank_lines += blank.group().count(b"\n")
                window.at = blank.end()
                continue
            if self._pass_over(window):
                self.gaps = self.blank_lines
                continue
            offset = window.offset
            found = self._record()
            while found is None:
                if len(window.data) - window.at > MAX_ROW_BYTES:
                    raise Unreadable("csv-quote", f"a row of at most {MAX_ROW_BYTES} bytes", "more", offset)
                found = self._record(at_end=not window.grow())
            cells, end = found
            window.at = end
            if cells:
                self.gaps = self.blank_lines
                yield cells, offset
            else:
                self.blank_lines += 1

    def resume(self, offset: int) -> bool:
        """Skip the line of ``offset``, as the server does. Return False at the end of the file."""
        window = self._window
        while (newline := window.data.find(b"\n", offset - window.base)) < 0:
            if len(window.data) - window.at > MAX_ROW_BYTES or not window.grow():
                return False
        window.at = newline + 1
        return True

    def _record(self, *, at_end: bool = False) -> tuple[list[bytes], int] | None:
        """Return (cells, end of the line). None: its end is not in memory. No cells: a blank line."""
        data, at = self._window.data, self._window.at
        newline = data.find(b"\n", at)
        if newline < 0 and not at_end:
            return None
        stop = newline if newline >= 0 else len(data)
        line = data[at:stop].removesuffix(b"\r")
        if b'"' not in line:
            self._room(line.count(self._sep), at)
            return (line.split(self._sep) if line else []), min(stop + 1, len(data))
        return self._quoted(data, at, at_end)

    def _quoted(self, data: bytes, at: int, at_end: bool) -> tuple[list[bytes], int] | None:
        """Return what ``_record`` does, of a record with quotes."""
        cells: list[bytes] = []
        sep = self._sep
        while True:
            self._room(len(cells), at)
            take = self._quoted_cell if data[at : at + 1] == b'"' else self._plain_cell
            found = take(data, at, at_end, len(cells))
            if found is None:
                return None
            cell, at = found
            cells.append(cell)
            if data.startswith(sep, at):
                at += len(sep)
            elif data[at : at + 1] == b"\n" or data[at : at + 2] == b"\r\n":
                return cells, at + (1 if data[at : at + 1] == b"\n" else 2)
            elif at >= len(data) or (at_end and data[at : at + 2] == b"\r"):
                return cells, len(data)
            else:
                raise self._wrong("a separator behind a quote", repr(data[at : at + 20])[1:], at, len(cells) - 1)

    def _quoted_cell(self, data: bytes, at: int, at_end: bool, field: int) -> tuple[bytes, int] | None:
        """Return (cell, its end). None: its end is not in memory."""
        end = self._closing_quote(data, at + 1)
        if end is None or (end + 2 >= len(data) and not at_end):
            if at_end:
                raise self._wrong("a quote at the end of a cell", "the end of the file", at, field, True)
            return None
        return data[at + 1 : end].replace(b'""', b'"'), end + 1

    def _plain_cell(self, data: bytes, at: int, at_end: bool, field: int) -> tuple[bytes, int] | None:
        """Return (cell, place behind it), None when its end is not in memory."""
        newline = data.find(b"\n", at)
        stop = newline if newline >= 0 else len(data)
        end = data.find(self._sep, at, stop)
        end = end if end >= 0 else stop
        if newline < 0 and end == stop and not at_end:
            return None
        cell = data[at:end]
        if end == stop:
            cell = cell.removesuffix(b"\r")
        if b'"' in cell:
            raise self._wrong("quotes around the whole cell", repr(cell[:40])[1:], at, field)
        return cell, end

    @staticmethod
    def _closing_quote(data: bytes, at: int) -> int | None:
        while True:
            end = data.find(b'"', at)
            if end < 0:
                return None
            if data[end + 1 : end + 2] != b'"':
                return end
            at = end + 2

    def _room(self, n_cells: int, at: int) -> None:
        if n_cells >= MAX_COLUMNS:
            raise Unreadable("csv-cells", f"at most {MAX_COLUMNS} cells", "more", self._window.base + at)

    def _wrong(self, expected: str, got: str, at: int, field: int, is_last: bool = False) -> Unreadable:
        rule = "csv-quote-first" if field == 0 else "csv-quote"
        return Unreadable(rule, expected, got, self._window.base + at, is_last=is_last)


def check_csv(entry: Entry, context: Context, findings: Findings) -> int | None:
    """Check one file. Return its row count. None: not all rows were read."""
    blob = entry.blob
    assert blob is not None  # only such are given
    if blob.size == 0:
        findings.add("file-empty", file=entry.name, expected="a header and rows", got="0 bytes")
        return None
    with closing(blob):
        window = Window(blob)
        if window.peek(3) == b"\xef\xbb\xbf":
            findings.add("csv-bom", file=entry.name, offset=0, expected="the header", got="a byte order mark")
            window.take(3)
        check = _Check(entry.name, context, findings)
        return check.run(Records(window, context.sep.encode(), check.pass_over))


class _Check:
    def __init__(self, file: str, context: Context, findings: Findings) -> None:
        self._file, self._context, self._findings = file, context, findings
        self._null = context.nullkey.encode()
        self._columns: list[ColumnPlan | None] = []
        self._dynamic: list[str] = []
        self._limit = {"headers": 1, "sample": context.sample_rows, "full": None}[context.level]
        self._n = -1
        self._fast_path: FastPath | None = None

    def run(self, records: Records) -> int | None:
        is_whole = True
        while True:
            try:
                for cells, offset in records:
                    if self._n < 0:
                        self._header(cells)
                    elif self._n == self._limit:
                        return None
                    else:
                        self._row(cells, self._n, offset)
                    self._n += 1
                break
            except Unreadable as wrong:
                self._wrong(wrong)
                if wrong.is_last or self._n < 0 or not records.resume(wrong.offset):
                    return None
                self._n += 1
                is_whole = False
        if not is_whole:
            return None
        if records.gaps and len(self._columns) == 1:
            self._gap("csv-blank-row", "a quoted cell where it is empty", records.gaps)
        elif records.blank_lines:
            self._gap("csv-blank-line", "rows without gaps", records.blank_lines)
        if self._n < 0:
            self._findings.add("file-empty", file=self._file, expected="a header and rows", got="blank lines")
        elif self._n < 1:
            self._findings.add("file-no-rows", file=self._file, expected="rows", got="none")
        return max(self._n, 0)

    def _gap(self, rule: str, expected: str, n: int) -> None:
        self._findings.add(rule, file=self._file, expected=expected, got=f"{n} blank lines")

    def _wrong(self, wrong: Unreadable) -> None:
        # A header that cannot be read is refused, whichever cell it is.
        row, rule = (self._n, wrong.rule) if self._n >= 0 else (None, wrong.rule.removesuffix("-first"))
        self._findings.add(rule, file=self._file, row=row, offset=wrong.offset, expected=wrong.expected, got=wrong.got)

    def pass_over(self, window: Window) -> int:
        """Pass over rows that are certainly valid; return how many."""
        if self._fast_path is None:
            return 0
        passed, later = self._fast_path.csv_rows(window, self._limit, self._n)
        for row, plan, cell in later:
            for rule, expected, got in self._problems(plan, cell):
                self._add(rule, plan.name, row, expected, got)
        self._n += passed
        return passed

    def _header(self, cells: list[bytes]) -> None:
        names = [cell.decode(errors="replace") for cell in cells]
        for name, count in Counter(names).items():
            if count > 1:
                self._findings.add("column-twice", file=self._file, field=name, expected="one column", got=f"{count}")
        plans = self._context.plans
        if DYNAMIC_FIELD in plans:
            fields = {field.name for field in self._context.schema.fields}
            self._dynamic = [one for one in dict.fromkeys(names) if one not in fields and one != DYNAMIC_FIELD]
        known = [self._context.knows(name, names, self._file, self._findings) for name in names]
        self._columns = [plans[name] if good else None for name, good in zip(names, known, strict=True)]
        self._context.require(names, self._file, self._findings)
        if not self._dynamic or DYNAMIC_FIELD not in names:
            self._fast_path = FastPath(self._context, "csv", self._columns)

    def _row(self, cells: list[bytes], row: int, offset: int) -> None:
        if len(cells) != len(self._columns):
            self._add("csv-cells", None, row, f"{len(self._columns)} cells", f"{len(cells)}", offset)
            return
        for plan, cell in zip(self._columns, cells, strict=True):
            if plan is None:
                continue
            if b"\r\n" in cell and plan.kind.group == "text":
                self._add("csv-crlf", plan.name, row, "LF alone", "CR LF")
            if cell == self._null and (plan.field.nullable or plan.field.default_value is not None):
                continue
            for rule, expected, got in self._problems(plan, cell):
                self._add(rule, plan.name, row, expected, got)
            if plan.kind is META and self._dynamic:
                for key in sorted(keys_of(cell).intersection(self._dynamic)):
                    self._add("value-meta", plan.name, row, "each key once", f"a column {key!r} too")

    def _problems(self, plan: ColumnPlan, cell: bytes) -> Iterator[Problem]:
        """Yield what is wrong with a cell; of the null of the file only that it is a null."""
        found = list(self._found(plan, cell))
        if found and cell == self._null and not (plan.kind.is_plain_text or plan.kind.is_json):
            found = [Problem("value-null", "a value: the field is not nullable", "the null of this file")]
        yield from found

    def _found(self, plan: ColumnPlan, cell: bytes) -> Iterator[Problem]:
        kind = plan.kind
        try:
            text = cell.decode()
        except UnicodeDecodeError as error:
            yield Problem("value-text-utf8", "UTF-8", f"the byte {cell[error.start]:02X} at {error.start}")
            return
        problem: Problem | None = None
        if kind.group == "text":
            problem = text_problem(plan, text)
        elif kind.is_json:
            problem = json_text_problem(kind, cell)
        elif kind.is_plain_text:
            problem = form_problem(kind.group, text)
        elif kind.group == "bool":
            problem = None if cell in _BOOLS else Problem("value-type", "true or false", repr(text[:40]))
        elif kind.group in ("int", "float"):
            yield from _number(plan, cell)
            return
        else:
            yield from _nested(plan, text)
            return
        if problem is not None:
            yield problem

    def _add(self, rule: str, field: str | None, row: int, expected: str, got: str, offset: int | None = None) -> None:
        self._findings.add(rule, file=self._file, field=field, row=row, offset=offset, expected=expected, got=got)


def _number(plan: ColumnPlan, cell: bytes) -> Iterator[Problem]:
    shown = repr(cell[:40])[1:]
    if plan.kind.group == "int":
        if not _INTEGER.fullmatch(cell):
            yield Problem("value-type", "a decimal integer", shown)
        elif len(cell) > _MAX_DIGITS:
            yield Problem("value-range", plan.expected, shown)
        else:
            yield from cell_problems(plan, int(cell))
        return
    if _NOT_FINITE.fullmatch(cell):
        yield Problem("value-nan", "a finite value", shown)
    elif len(cell) <= _MAX_DIGITS and _DECIMAL.fullmatch(cell):
        yield from cell_problems(plan, float(cell))
    elif len(cell) <= _MAX_DIGITS and _HEX.fullmatch(cell):
        yield from cell_problems(plan, _from_hex(cell))
    else:
        yield Problem("value-type", "a decimal number", shown)


def _from_hex(cell: bytes) -> float:
    try:
        return float.fromhex(cell.replace(b"_", b"").decode())
    except (OverflowError, ValueError):  # of a power that no float has
        return math.inf


def _byte_list(value: str) -> Any:
    """Return the bytes that Go decodes from a base64 string, as a list; other strings as they are."""
    try:
        return list(base64.b64decode(value.translate(_NO_LINE_ENDS), validate=True))
    except ValueError:
        return value


def _not_finite_rule(kind: Kind) -> str:
    """Return the rule that NaN and Inf break in a value that is JSON."""
    if kind.group == "dense" and kind.floats is not None:
        return "value-nan-half" if kind.is_half else "value-nan-vector"
    return _NOT_FINITE_RULES.get(kind.group, "value-type")


def _nested(plan: ColumnPlan, text: str) -> Iterator[Problem]:
    twice = KeysTwice()
    constants: list[str] = []
    try:
        value = json.loads(text, object_pairs_hook=twice, parse_constant=constants.append)
    except (ValueError, RecursionError):
        yield Problem("value-type", "JSON text", repr(text[:40]))
        return
    if constants:
        yield Problem(_not_finite_rule(plan.kind), "finite values", repr(text[:40]))
        return
    if plan.kind.is_bits and isinstance(value, str):
        value = _byte_list(value)
    yield from cell_problems(plan, value)
    problem = twice.problem()
    if problem is not None:
        yield problem
