"""The answers of the import API: bytes in, values or a `Trouble` out.

A server tells a failure by a ``code`` other than 0, in an answer with HTTP status 200 (old servers use the code 200 for
success). Any other answer (the status of a proxy, HTML, half a document) does not tell whether the server has done what
it was asked to: `Kind.UNCLEAR`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import Any

from vecmill.errors import ImportJobError

_WELL = (0, 200)
_UNCLEAR_STATUS = (408, 500, 502, 504)
_BUSY_STATUS = (429, 503)
_BUSY_WORDS = ("reached the limit", "too many", "rate limit", "job queue")
_MOST_WORDS = 300


class Kind(Enum):
    """What a failed exchange means for another try."""

    REFUSED = auto()  # the server said no
    BUSY = auto()  # the server said: not now
    NOT_SENT = auto()  # nothing reached the server
    UNCLEAR = auto()  # the server may have done it


class Trouble(Exception):  # noqa: N818 - as StopIteration, it says how something ended
    """An exchange without a usable answer. It stays inside the importer: callers get an `ImportJobError`."""

    def __init__(self, kind: Kind, reason: str, code: int | None = None) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason
        self.code = code

    def error(self, job_id: str | None = None, *, doing: str = "") -> ImportJobError:
        """Return the error that the caller gets; ``doing`` says what has come to nothing."""
        reason = f"{doing}: {self.reason}" if doing else self.reason
        return ImportJobError(reason, code=self.code, job_id=job_id, unclear=self.kind is Kind.UNCLEAR)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: a status and a body, or why nothing did, and whether the request had been sent."""

    status: int = 0
    content: bytes = b""
    failure: str = ""
    sent: bool = True


def read_answer(answer: Answer) -> dict[str, Any]:
    """Return the ``data`` of an answer. Raises Trouble."""
    if answer.failure:
        raise Trouble(Kind.UNCLEAR if answer.sent else Kind.NOT_SENT, answer.failure)
    document = _document(answer)
    if answer.status != 200:
        words = _words(document.get("message")) if document else ""
        reason = f"the server answered with HTTP status {answer.status}{': ' if words else ''}{words}"
        kind = Kind.REFUSED
        if answer.status in _BUSY_STATUS:
            kind = Kind.BUSY
        elif answer.status in _UNCLEAR_STATUS or answer.status >= 520:
            kind = Kind.UNCLEAR
        raise Trouble(kind, reason, _code(document) or answer.status)
    code = _code(document)
    if document is None or code is None:
        raise Trouble(Kind.UNCLEAR, f"the answer is no JSON object with a code: {_words(answer.content)!r}")
    if code not in _WELL:
        reason = _words(document.get("message")) or "the server gave no reason"
        busy = any(words in reason.lower() for words in _BUSY_WORDS)
        raise Trouble(Kind.BUSY if busy else Kind.REFUSED, reason, code)
    data = document.get("data")
    return dict(data) if isinstance(data, Mapping) else {}


def read_job_id(data: Mapping[str, Any]) -> str:
    """Return the id of a new job. Raises Trouble when there is none."""
    job_id = data.get("jobId")
    if isinstance(job_id, bool) or not isinstance(job_id, str | int) or job_id == "":
        raise Trouble(Kind.UNCLEAR, f"the answer names no job: {_words(json.dumps(data, default=str))}")
    return str(job_id)


def _code(document: Mapping[str, Any] | None) -> int | None:
    code = document.get("code") if document is not None else None
    return code if isinstance(code, int) and not isinstance(code, bool) else None


def _document(answer: Answer) -> dict[str, Any] | None:
    try:
        document = json.loads(answer.content)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _words(text: object) -> str:
    """Return a server's words as one line of bounded length."""
    if isinstance(text, bytes):
        text = text.decode(errors="replace")
    line = " ".join(str(text if text is not None else "").split())
    return line if len(line) <= _MOST_WORDS else f"{line[:_MOST_WORDS]}..."


class State(StrEnum):
    """States of a job, in the server's words."""

    PENDING = "Pending"
    STARTED = "Started"  # this and the next: over gRPC, Milvus 2.2 and 2.3
    PERSISTED = "Persisted"
    INSERTING = "Inserting"  # no state of a job: what is done where there is no import
    PRE_IMPORTING = "PreImporting"
    IMPORTING = "Importing"
    SORTING = "Sorting"
    INDEX_BUILDING = "IndexBuilding"
    UNCOMMITTED = "Uncommitted"
    COMMITTING = "Committing"
    COMPLETED = "Completed"
    FAILED = "Failed"


# What the server does in a state. `Importing` covers four phases, told apart by how far the job is (10 + 30 + 30 + 10 +
# 10 + 10 per cent: pending, pre-import, import, sort, index, done).
_WAITS: dict[str, str] = {
    State.PENDING: "waiting for a free data node",
    State.STARTED: "the server reads the files",
    State.PERSISTED: "all rows are written; waiting until they can be loaded",
    State.INSERTING: "rows are read back and inserted",
    State.PRE_IMPORTING: "the server reads and checks all files",
    State.SORTING: "sorting and merging the new segments",
    State.INDEX_BUILDING: "waiting for the index build",
    State.UNCOMMITTED: "all rows are in; waiting for commit",
    State.COMMITTING: "making the rows visible",
    State.COMPLETED: "done",
    State.FAILED: "failed",
}
_IMPORTING = (
    (40, "the server reads and checks all files"),
    (70, "the server reads all files again and writes its segments"),
    (80, "sorting and merging the new segments"),
    (99, "waiting for the index build"),
    (101, "making the rows visible"),
)


@dataclass(frozen=True, slots=True)
class FileProgress:
    """How far one import file is; ``name`` as the server writes it, ``state`` that of its task."""

    name: str
    state: str
    percent: int
    imported_rows: int
    total_rows: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class JobProgress:
    """How far a job is.

    Attributes
    ----------
    job_id, state, percent (0 to 100), reason (why it failed, else ""): in the server's words.
    imported_rows, total_rows: both stay 0 before the import phase. None: the server did not say.
    files: one entry per import file, once the server knows them.
    stalled_s: seconds since any of this changed; 0 in an answer of `describe`.
    """

    job_id: str
    state: str
    percent: int
    reason: str = ""
    imported_rows: int | None = None
    total_rows: int | None = None
    collection_name: str = ""
    files: tuple[FileProgress, ...] = ()
    stalled_s: float = 0.0

    @property
    def phase(self) -> str:
        """What the job is doing or waiting for, in words."""
        if self.state == State.IMPORTING:
            return next(words for most, words in _IMPORTING if self.percent < most)
        return _WAITS.get(self.state, "a state that vecmill does not know")

    @property
    def is_over(self) -> bool:
        """True if the job has ended: Completed or Failed."""
        return self.state in (State.COMPLETED, State.FAILED)

    @property
    def rows(self) -> int | None:
        """Rows that the job has imported. None: the server does not tell."""
        return self.imported_rows if self.imported_rows is not None else self.total_rows

    def __str__(self) -> str:
        rows = f", {self.rows:,} rows" if self.rows else ""
        job = f"job {self.job_id}: " if self.job_id else ""
        return f"{job}{self.state} {self.percent} %{rows}: {self.reason or self.phase}"


def read_progress(data: Mapping[str, Any], job_id: str) -> JobProgress:
    """Return the progress that a describe answer tells. Raises Trouble when it holds no state."""
    state = data.get("state")
    if not isinstance(state, str) or not state:
        raise Trouble(Kind.UNCLEAR, f"the answer holds no state: {_words(json.dumps(data, default=str))}")
    details = data.get("details")
    return JobProgress(
        job_id=str(data.get("jobId") or job_id),
        state=_state(state),
        percent=min(100, max(0, _number(data.get("progress")) or 0)),
        reason=_words(data.get("reason")),
        imported_rows=_number(data.get("importedRows")),
        total_rows=_number(data.get("totalRows")),
        collection_name=str(data.get("collectionName") or ""),
        files=tuple(_file(one) for one in details if isinstance(one, Mapping)) if isinstance(details, list) else (),
    )


@dataclass(frozen=True, slots=True)
class JobSummary:
    """One line of a list of jobs."""

    job_id: str
    state: str
    percent: int
    collection_name: str = ""
    reason: str = ""


def read_jobs(data: Mapping[str, Any]) -> tuple[JobSummary, ...]:
    """Return the jobs of a list answer; older servers call the records tasks. Raises Trouble when there is no list."""
    known = next((name for name in ("records", "tasks") if name in data), None)
    records = (data[known] or []) if known else None  # an empty list of Go's is null
    if not isinstance(records, list):
        raise Trouble(Kind.UNCLEAR, f"the answer holds no list of jobs: {_words(json.dumps(data, default=str))}")
    return tuple(
        JobSummary(
            job_id=str(one.get("jobId") or ""),
            state=_state(str(one.get("state") or "")),
            percent=_number(one.get("progress")) or 0,
            collection_name=str(one.get("collectionName") or ""),
            reason=_words(one.get("reason")),
        )
        for one in records
        if isinstance(one, Mapping)
    )


def _state(name: str) -> str:
    return name.removeprefix("Import") if name.startswith("Import") and name != "Importing" else name


def _file(raw: Mapping[str, Any]) -> FileProgress:
    return FileProgress(
        name=str(raw.get("fileName") or ""),
        state=_state(str(raw.get("state") or "")),
        percent=_number(raw.get("progress")) or 0,
        imported_rows=_number(raw.get("importedRows")) or 0,
        total_rows=_number(raw.get("totalRows")) or 0,
        reason=_words(raw.get("reason")),
    )


def _number(value: object) -> int | None:
    """Return a count; some servers send numbers as text. None: there is no number."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        return int(value) if isinstance(value, str | int | float) else None
    except (ValueError, OverflowError):
        return None
