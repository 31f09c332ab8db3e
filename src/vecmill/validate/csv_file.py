"""CSV files as Go's encoding/csv reads them: strict quotes, one header, as many cells in every row."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from vecmill.blobs import closing
from vecmill.plan import ColumnPlan
from vecmill.validate.cells import cell_problems, json_text_problem, text_problem
from vecmill.validate.context import Context
from vecmill.validate.findings import Findings
from vecmill.validate.inputs import Entry
from vecmill.validate.sparse_form import Problem
from vecmill.validate.texts import value_problem
from vecmill.validate.window import Window

MAX_ROW_BYTES = 64 * 1024 * 1024
MAX_COLUMNS = 10_000
_BOOLS = frozenset(b"1 t T TRUE true True 0 f F FALSE false False".split())
_INTEGER = re.compile(rb"[+-]?[0-9]{1,40}")
_DECIMAL = re.compile(rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NOT_FINITE = re.compile(rb"[+-]?(?:inf|infinity|nan)", re.IGNORECASE)
_BLANK_LINES = re.compile(rb"\n+")
_AS_TEXT = ("geometry", "timestamptz")


class WrongFile(Exception):  # noqa: N818  a signal to the caller, which words a finding
    """The file cannot be read any further."""

    def __init__(self, rule: str, expected: str, got: str, offset: int, field: int = 0) -> None:
        super().__init__(rule, expected, got, offset)
        self.rule, self.expected, self.got, self.offset, self.field = rule, expected, got, offset, field


class Records:
    """The records of a file; ``blank_lines`` counts what was passed over."""

    def __init__(self, window: Window, sep: bytes) -> None:
        self._window, self._sep = window, sep
        self.blank_lines = 0

    def __iter__(self) -> Iterator[tuple[list[bytes], int]]:
        """Yield (cells, place). Raises WrongFile."""
        window = self._window
        while True:
            if window.at >= len(window.data) and not window.grow():
                return
            blank = _BLANK_LINES.match(window.data, window.at)
            if blank is not None:
                self.blank_lines += blank.end() - blank.start()
                window.at = blank.end()
                continue
            offset = window.offset
            found = self._record()
            while found is None:
                if len(window.data) - window.at > MAX_ROW_BYTES:
                    raise WrongFile("csv-quote", f"a row of at most {MAX_ROW_BYTES} bytes", "more", offset)
                found = self._record(at_end=not window.grow())
            cells, end = found
            window.at = end
            if cells:
                yield cells, offset
            else:
                self.blank_lines += 1

    def _record(self, *, at_end: bool = False) -> tuple[list[bytes], int] | None:
        """Return (cells, place behind the line), None when its end is not in memory. No cells: a blank line."""
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
        cells: list[bytes] = []
        sep = self._sep
        while True:
            self._room(len(cells), at)
            if data[at : at + 1] == b'"':
                end = self._closing_quote(data, at + 1)
                if end is None or (end + 2 >= len(data) and not at_end):
                    if at_end:
                        raise self._wrong("a quote at the end of a cell", "the end of the file", at, len(cells))
                    return None
                cells.append(data[at + 1 : end].replace(b'""', b'"'))
                at = end + 1
            else:
                newline = data.find(b"\n", at)
                stop = newline if newline >= 0 else len(data)
                end = data.find(sep, at, stop)
                end = end if end >= 0 else stop
                if newline < 0 and end == stop and not at_end:
                    return None
                cell = data[at:end]
                if end == stop:
                    cell = cell.removesuffix(b"\r")
                if b'"' in cell:
                    raise self._wrong("quotes around the whole cell", repr(cell[:40])[1:], at, len(cells))
                cells.append(cell)
                at = end
            if data.startswith(sep, at):
                at += len(sep)
            elif data[at : at + 1] == b"\n" or data[at : at + 2] == b"\r\n":
                return cells, at + (1 if data[at : at + 1] == b"\n" else 2)
            elif at >= len(data) or (data[at:] == b"\r" and at_end):
                return cells, len(data)
            else:
                raise self._wrong("a separator behind a quote", repr(data[at : at + 20])[1:], at, len(cells) - 1)

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
            raise WrongFile("csv-cells", f"at most {MAX_COLUMNS} cells", "more", self._window.base + at)

    def _wrong(self, expected: str, got: str, at: int, field: int) -> WrongFile:
        rule = "csv-quote-first" if field == 0 else "csv-quote"
        return WrongFile(rule, expected, got, self._window.base + at, field)


def check_csv(entry: Entry, context: Context, findings: Findings) -> int | None:
    """Check one file. Return its rows, None where not all were looked at."""
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
        return _Check(entry.name, context, findings).run(Records(window, context.sep.encode()))


class _Check:
    def __init__(self, file: str, context: Context, findings: Findings) -> None:
        self._file, self._context, self._findings = file, context, findings
        self._null = context.nullkey.encode()
        self._columns: list[ColumnPlan | None] = []

    def run(self, records: Records) -> int | None:
        limit = {"headers": 1, "sample": self._context.sample_rows, "full": None}[self._context.level]
        n = -1
        try:
            for cells, offset in records:
                if n < 0:
                    self._header(cells)
                elif n == limit:
                    return None
                else:
                    self._row(cells, n, offset)
                n += 1
        except WrongFile as wrong:
            self._findings.add(
                wrong.rule, file=self._file, row=max(n, 0), offset=wrong.offset, expected=wrong.expected, got=wrong.got
            )
            return None
        if records.blank_lines:
            self._findings.add(
                "csv-blank-line",
                file=self._file,
                expected="rows without gaps",
                got=f"{records.blank_lines} blank lines",
            )
        if n < 1:
            self._findings.add("file-no-rows", file=self._file, expected="rows", got="none")
        return max(n, 0)

    def _header(self, cells: list[bytes]) -> None:
        names = [cell.decode(errors="replace") for cell in cells]
        for name, count in Counter(names).items():
            if count > 1:
                self._findings.add("column-twice", file=self._file, field=name, expected="one column", got=f"{count}")
        known = [self._context.knows(name, names, self._file, self._findings) for name in names]
        plans = self._context.plans
        self._columns = [plans[name] if good else None for name, good in zip(names, known, strict=True)]
        self._context.require(names, self._file, self._findings)

    def _row(self, cells: list[bytes], row: int, offset: int) -> None:
        if len(cells) != len(self._columns):
            self._add("csv-cells", None, row, f"{len(self._columns)} cells", f"{len(cells)}", offset)
            return
        for plan, cell in zip(self._columns, cells, strict=True):
            if plan is None:
                continue
            if b"\r\n" in cell:
                self._add("csv-crlf", plan.name, row, "LF alone", "CR LF")
            if cell == self._null and (plan.field.nullable or plan.field.default_value is not None):
                continue
            for rule, expected, got in self._problems(plan, cell):
                self._add(rule, plan.name, row, expected, got)

    def _problems(self, plan: ColumnPlan, cell: bytes) -> Iterator[Problem]:
        kind = plan.kind
        try:
            text = cell.decode()
        except UnicodeDecodeError as error:
            yield "value-text-utf8", "UTF-8", f"the byte {cell[error.start]:02X} at {error.start}"
            return
        problem: Problem | None = None
        if kind == "text":
            problem = text_problem(plan, text)
        elif kind in ("json", "meta"):
            problem = json_text_problem(kind, cell)
        elif cell == self._null and kind not in _AS_TEXT:
            problem = ("value-null", "a value: the field is not nullable", "the null of this file")
        elif kind in _AS_TEXT:
            problem = value_problem(kind, text)
        elif kind == "bool":
            problem = None if cell in _BOOLS else ("value-type", "true or false", repr(text[:40]))
        elif kind in ("int8", "int16", "int32", "int64", "float", "double"):
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
    if plan.kind.startswith("int"):
        if not _INTEGER.fullmatch(cell):
            yield "value-type", "a decimal integer", shown
            return
        yield from cell_problems(plan, int(cell))
        return
    if _NOT_FINITE.fullmatch(cell):
        yield "value-nan", "a finite value", shown
    elif len(cell) > 400 or not _DECIMAL.fullmatch(cell):
        yield "value-type", "a decimal number", shown
    else:
        number = float(cell)
        yield from cell_problems(plan, number if math.isfinite(number) else 1e308 * 10)


def _no_constant(name: str) -> float:
    return math.nan if name == "NaN" else math.inf


def _nested(plan: ColumnPlan, text: str) -> Iterator[Problem]:
    value: Any
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        yield "value-type", "JSON text", repr(text[:40])
        return
    if isinstance(value, list) and any(isinstance(one, float) and not math.isfinite(one) for one in value):
        yield "value-nan-vector" if plan.is_vector else "value-nan", "finite values", repr(text[:40])
        return
    yield from cell_problems(plan, value)
