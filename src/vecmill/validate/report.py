"""The report of a validation."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vecmill.errors import DataError
from vecmill.validate.findings import Finding
from vecmill.validate.rule import Severity
from vecmill.validate.rules import RULES


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """The result of `validate`.

    Attributes
    ----------
    findings: broken rules with their places, in the order of the files; at most ``max_findings`` of each rule.
    counts: how often each rule is broken, by rule; findings beyond ``max_findings`` included.
    files: number of import files (an NPY set is one).
    rows: rows of all files whose count is known; below level "full", that of JSON and CSV files is not.
    n_bytes: bytes of all files.
    level, target: as given to `validate`.
    seconds: wall time.
    """

    findings: tuple[Finding, ...]
    counts: Mapping[str, int]
    files: int
    rows: int
    n_bytes: int
    level: str
    target: str | None
    seconds: float

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Findings that the server refuses, or that silently change data."""
        return tuple(one for one in self.findings if one.severity is not Severity.ADVICE)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """Findings that are advice."""
        return tuple(one for one in self.findings if one.severity is Severity.ADVICE)

    @property
    def ok(self) -> bool:
        """Return True if the server would take all files, and all data unchanged."""
        return not self.errors

    def raise_for_errors(self, *notes: str) -> None:
        """Raise a DataError for the first error, with all errors as its ``findings``. Do nothing without errors.

        Its notes tell how to mend the file, and how many errors there are; ``notes`` follow.
        """
        if self.ok:
            return
        first = self.errors[0]
        error = DataError(
            file=first.file, field=first.field, row=first.row, expected=first.expected, got=first.got,
            findings=self.errors,
        )  # fmt: skip
        error.add_note(f"rule {first.rule} ({first.severity}); the way out: {first.way_out}")
        total = sum(self.counts[name] for name in {one.rule for one in self.errors})
        if total > 1:
            error.add_note(f"{total:,} errors in all")
        for note in notes:
            error.add_note(note)
        raise error

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values, fit for JSON."""
        return {
            "ok": self.ok,
            "target": self.target,
            "level": self.level,
            "files": self.files,
            "rows": self.rows,
            "bytes": self.n_bytes,
            "seconds": self.seconds,
            "counts": dict(self.counts),
            "findings": [
                dataclasses.asdict(one) | {"holds": RULES[one.rule].holds, "source": RULES[one.rule].source}
                for one in self.findings
            ],
        }
