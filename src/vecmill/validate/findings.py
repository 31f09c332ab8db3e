"""Findings: one broken rule at one place, and the capped list of a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from numpy.typing import NDArray

from vecmill.output_formats import BulkFileType
from vecmill.types.kind import Line
from vecmill.validate.rule import Severity
from vecmill.validate.rules import RULES

_MAX_GOT = 200


@dataclass(frozen=True, slots=True)
class Finding:
    """A broken rule at one place.

    Attributes
    ----------
    rule: id of the rule in docs/rules.md.
    severity: what the target's server does with it. Without a target: the worst that any release line does.
    file, field: where the rule is broken. ``field`` None: in no field in particular.
    row: 0-based row of the file. None: in no row in particular.
    offset: byte of the file. None: unknown.
    expected, got, way_out: in words; ``way_out`` tells how to mend the file.
    """

    rule: str
    severity: Severity
    file: str
    expected: str
    got: str
    way_out: str
    field: str | None = None
    row: int | None = None
    offset: int | None = None

    def __str__(self) -> str:
        """Return the finding as one line."""
        where = [f"file {self.file!r}"]
        where += [f"field {self.field!r}"] if self.field is not None else []
        where += [f"row {self.row}"] if self.row is not None else []
        where += [f"byte {self.offset}"] if self.offset is not None else []
        return f"{self.rule} ({self.severity}): {', '.join(where)}: expected {self.expected}, got {self.got}"


class Problem(NamedTuple):
    """A value that breaks a rule: the rule's id, and what it expects and what was found, in words."""

    rule: str
    expected: str
    got: str


class Unreadable(Exception):  # noqa: N818  a signal to the check of a file, which makes a finding of it
    """Raised where a file cannot be read on: ``offset`` is a byte of it. ``is_last`` False: only one row is lost."""

    def __init__(self, rule: str, expected: str, got: str, offset: int, *, is_last: bool = True) -> None:
        super().__init__(rule, expected, got, offset)
        self.rule, self.expected, self.got, self.offset, self.is_last = rule, expected, got, offset, is_last


def _printable(text: str) -> str:
    """Return text with lone surrogates as escapes: keys may contain them, and they cannot be printed."""
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()


class Findings:
    """The findings of one file or set: all are counted, the first ``cap`` of each rule are kept.

    ``form`` and ``lines``, the release lines of the servers, decide which rules hold and how severe they are. ``form``
    None: only rules that hold for all formats.
    """

    def __init__(self, form: BulkFileType | None, lines: tuple[Line, ...], cap: int) -> None:
        self.form = form
        self.lines = lines
        self.cap = cap
        self.kept: list[Finding] = []
        self.counts: Counter[str] = Counter()

    def like(self) -> Findings:
        """Return an empty `Findings` for another part of the same file or set."""
        return Findings(self.form, self.lines, self.cap)

    def add(
        self,
        rule: str,
        *,
        file: str,
        expected: str,
        got: str,
        field: str | None = None,
        row: int | None = None,
        offset: int | None = None,
        lines: Iterable[Line] | None = None,
        way_out: str | None = None,
    ) -> None:
        """Add a finding; rules that do not apply to the target are ignored. ``lines``: only these release lines."""
        known = RULES[rule]
        severity = known.severity(self.form, self.lines if lines is None else tuple(lines))
        if severity is None:
            return
        self.counts[rule] += 1
        if self.counts[rule] <= self.cap:
            short = got if len(got) <= _MAX_GOT else f"{got[: _MAX_GOT - 3]}..."
            expected, short = _printable(expected), _printable(short)
            field = None if field is None else _printable(field)
            self.kept.append(
                Finding(rule, severity, file, expected, short, way_out or known.way_out, field, row, offset)
            )

    def add_rows(
        self,
        rule: str,
        rows: Sequence[int] | NDArray[Any],
        got: Callable[[int], str],
        *,
        file: str,
        expected: str,
        field: str | None,
        first: int = 0,
    ) -> None:
        """Add a finding for each row. ``rows`` count from ``first``; ``got(i)`` is asked for kept findings only."""
        room = max(0, self.cap - self.counts[rule])
        for i, row in enumerate(rows[:room]):
            self.add(rule, file=file, field=field, row=first + int(row), expected=expected, got=got(i))
        if len(rows) > room and RULES[rule].severity(self.form, self.lines) is not None:
            self.counts[rule] += len(rows) - room

    def merge(self, other: Findings) -> None:
        """Append the findings of another part."""
        have = Counter(one.rule for one in self.kept)
        for one in other.kept:
            have[one.rule] += 1
            if have[one.rule] <= self.cap:
                self.kept.append(one)
        self.counts.update(other.counts)
