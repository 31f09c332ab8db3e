"""Exceptions of vecmill.

::

    VecmillError
    ├── SchemaError    (ValueError)    the schema breaks a rule of the server, or cannot be carried by the format
    ├── DataError      (ValueError)    a row, a column or a file does not fit the schema
    ├── StoreError     (OSError)       a file or an object could not be written, read or published
    └── ImportJobError (RuntimeError)  the server refused an import job, or the job failed

Every exception carries the facts of its message as attributes, so that a caller never has to parse text.
"""

from __future__ import annotations

from collections.abc import Sequence


class VecmillError(Exception):
    """Root of every exception that vecmill raises on purpose."""


class SchemaError(VecmillError, ValueError):
    """A schema that no server accepts, or that the chosen format cannot carry.

    Attributes: ``field`` (name of the field, or None when the schema as a whole is wrong) and ``reason``.
    """

    def __init__(self, reason: str, *, field: str | None = None) -> None:
        self.field = field
        self.reason = reason
        super().__init__(f"field {field!r}: {reason}" if field is not None else reason)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), {"reason": self.reason, "field": self.field}))


class DataError(VecmillError, ValueError):
    """Data that do not fit the schema. Nothing of the refused row or batch was taken.

    Attributes
    ----------
    field: name of the field, or None when the row as a whole is wrong.
    row: 0-based number of the row, counted over everything offered since the first append (refused rows count too);
        for a file, the row in that file. None when no single row is to blame.
    expected, got: what the schema asks for and what was found, in words.
    file: the file that was read, when the data came from one.
    value: the refused value as it stands in a text file; None where it comes from elsewhere, or no value is to blame.
    refused: every refused row of one ``append_rows`` call as its own DataError (the first 1,000 of them).
    n_refused: how many rows that call refused.
    findings: what `vecmill.validate` found in files, each an error of its own; empty for all other errors.
    """

    def __init__(
        self,
        *,
        expected: str,
        got: str,
        field: str | None = None,
        row: int | None = None,
        file: str | None = None,
        value: str | None = None,
        refused: Sequence[DataError] = (),
        n_refused: int | None = None,
        findings: Sequence[object] = (),
    ) -> None:
        self.findings = tuple(findings)
        self.field = field
        self.row = row
        self.expected = expected
        self.got = got
        self.file = file
        self.value = value
        self.refused = tuple(refused)
        self.n_refused = n_refused if n_refused is not None else max(1, len(self.refused))
        where = [
            part
            for part in (
                f"file {file!r}" if file is not None else "",
                f"field {field!r}" if field is not None else "",
                f"row {row}" if row is not None else "",
            )
            if part
        ]
        text = f"expected {expected}, got {got}"
        if self.n_refused > 1:
            text += f" (the first of {self.n_refused} refused rows; all others were taken)"
        super().__init__(f"{', '.join(where)}: {text}" if where else text)

    def __reduce__(self) -> tuple[object, ...]:
        names = ("expected", "got", "field", "row", "file", "value", "refused", "findings")
        facts = {name: getattr(self, name) for name in names}
        return (_rebuild, (type(self), {**facts, "n_refused": self.n_refused}))


class StoreError(VecmillError, OSError):
    """A file or an object could not be written, read or published.

    Attributes: ``path`` (what could not be written or read), ``reason``, and ``safe``, a sentence that says which
    rows are already published and will stay. The ``OSError`` underneath is the ``__cause__``; its ``errno`` is copied.
    """

    def __init__(self, reason: str, *, path: str, safe: str = "", errno: int | None = None) -> None:
        text = f"{path}: {reason}"
        super().__init__(f"{text}; {safe}" if safe else text)
        self.path = path
        self.reason = reason
        self.safe = safe
        self.errno = errno

    def __reduce__(self) -> tuple[object, ...]:
        facts = {"reason": self.reason, "path": self.path, "safe": self.safe, "errno": self.errno}
        return (_rebuild, (type(self), facts))


class ImportJobError(VecmillError, RuntimeError):
    """The server refused an import job, or the job failed, or its answer was lost.

    Attributes: ``code`` (the server's error code, or the HTTP status when that is not 200; None when the server said
    nothing), ``reason`` (its words, or ours), ``job_id`` (None when there is no job), ``unclear`` (True when the
    server may have done what it was asked to: its answer was lost, or was none).
    """

    def __init__(
        self, reason: str, *, code: int | None = None, job_id: str | None = None, unclear: bool = False
    ) -> None:
        self.unclear = unclear
        self.code = code
        self.reason = reason
        self.job_id = job_id
        where = f"import job {job_id}: " if job_id is not None else ""
        super().__init__(f"{where}{reason}" + (f" (code {code})" if code is not None else ""))

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), {name: getattr(self, name) for name in _JOB_FACTS}))


_JOB_FACTS = ("reason", "code", "job_id", "unclear")


def _rebuild(kind: type[VecmillError], facts: dict[str, object]) -> VecmillError:
    """Unpickle an exception whose constructor takes keywords (BaseException would replay ``args``)."""
    reason = facts.pop("reason", None)
    return kind(reason, **facts) if reason is not None else kind(**facts)
