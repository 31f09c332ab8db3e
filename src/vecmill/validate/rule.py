"""`Rule` and `Severity`: what must hold, and what a server of a release line does where it does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from vecmill.output_formats import FORMATS, BulkFileType
from vecmill.types.kind import Line

RuleRow = tuple[str, str, str, str, str | Mapping[str, str]]
"""A row of the table: id, what must hold, way out, source, severities."""

# Sources of rules: what the server reads files with.
NPYIO = "sbinet/npyio npy/reader.go"
NPY = "milvus importutilv2/numpy/field_reader.go, util.go"
PARQUET = "milvus importutilv2/parquet/util.go, field_reader.go"
JSON = "milvus importutilv2/json/reader.go, row_parser.go"
CSV = "milvus importutilv2/csv/reader.go, row_parser.go"
FILES = "milvus importutilv2/util.go, proxy/task_import.go"
GO_JSON = "Go encoding/json"
TRIED = "tried with Milvus 2.3.5"


class Severity(StrEnum):
    """REFUSED: the server refuses the file. SILENT: it stores other data than the file holds. ADVICE: neither."""

    REFUSED = "refused"
    SILENT = "silent"
    ADVICE = "advice"


_ORDER = (None, Severity.ADVICE, Severity.REFUSED, Severity.SILENT)


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One rule, one object.

    ``severities`` by format; None: all others.
    """

    id: str
    holds: str
    way_out: str
    source: str
    severities: Mapping[BulkFileType | None, tuple[tuple[Line, Severity | None], ...]]

    def severity(self, form: BulkFileType | None, lines: tuple[Line, ...]) -> Severity | None:
        """Return the worst severity among servers of these lines. None: the rule does not apply to any of them."""
        return _severity(self, form, lines)


@cache  # a file may break a rule a million times
def _severity(rule: Rule, form: BulkFileType | None, lines: tuple[Line, ...]) -> Severity | None:
    dialect_of = FORMATS[form].dialect_of if form is not None else None
    known = next((rule.severities[one] for one in (form, dialect_of, None) if one in rule.severities), ())
    found: list[Severity | None] = [None]
    for line in lines:
        held = [severity for since, severity in known if since <= line]
        found.append(held[-1] if held else None)
    return max(found, key=_ORDER.index)


def spans(text: str) -> tuple[tuple[Line, Severity | None], ...]:
    """Parse "silent 2.4=refused": silent corruption, refused from 2.4 on. "-": the rule does not apply."""
    found: list[tuple[Line, Severity | None]] = []
    for part in text.split():
        since, sign, word = part.rpartition("=")
        major, _, minor = since.partition(".")
        found.append(((int(major), int(minor)) if sign else (0, 0), None if word == "-" else Severity(word)))
    return tuple(found)
