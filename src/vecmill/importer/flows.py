"""What is sent to a server, and when it is sent again: generators that know no network and no clock.

A flow yields `Send` (a request; it gets the `Answer` back) and `Pause`, and returns its result. `ImportClient` and
`AsyncImportClient` drive the same flows.

A request that only reads may always be repeated, and so may a commit or an abort, since the second one finds the first
one's work. A create may be repeated only if nothing of it reached the server, if the server said "not now", or if the
server keeps idempotency keys. Otherwise the job of a create without an answer is searched for. If it is not found, that
is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from vecmill.errors import ImportJobError
from vecmill.importer.options import Server
from vecmill.importer.reply import (
    Answer,
    JobProgress,
    JobSummary,
    Kind,
    State,
    Trouble,
    read_answer,
    read_job_id,
    read_jobs,
    read_progress,
)
from vecmill.importer.request import (
    Request,
    abort_request,
    commit_request,
    describe_request,
    key_header,
    list_request,
    request_files,
)
from vecmill.importer.waiting import Patience, Watch

_PAGE_SIZE, _MOST_PAGES = 100, 100
_MOST_ATTEMPTS = 20  # of one import whose earlier jobs all failed
_FIRST_TRIES = 4  # at the first contact: a server that is not there is told soon
_MORE_TRIES = 8  # while a job is followed: a server that is started anew takes a minute or two


@dataclass(frozen=True, slots=True)
class Send:
    """Send a request; its answer comes back."""

    request: Request


@dataclass(frozen=True, slots=True)
class Pause:
    """Do nothing for some seconds."""

    seconds: float


T = TypeVar("T")
Progress = Callable[[JobProgress], object]
Flow = Generator[Send | Pause, Answer, T]


@dataclass(frozen=True, slots=True)
class Created:
    """A job; ``existed`` is True if it was there before this create, since the server knew its idempotency key."""

    job_id: str
    existed: bool = False


def ask(server: Server, request: Request, read: Callable[[Mapping[str, Any]], T]) -> Flow[T]:
    """Return what ``read`` makes of the answer to a request that may be repeated. Raises Trouble."""
    pauses = server.retry.pauses()
    while True:
        try:
            return read(read_answer((yield Send(request))))
        except Trouble as trouble:
            pause = next(pauses, None)
            if trouble.kind is Kind.REFUSED or pause is None:
                raise
        yield Pause(pause)


def ask_once(request: Request) -> Flow[dict[str, Any]]:
    """Return the data of the answer to a request that must not be repeated. Raises Trouble."""
    return read_answer((yield Send(request)))


def describe(server: Server, job_id: str) -> Flow[JobProgress]:
    """Return how far a job is."""
    return (yield from ask(server, describe_request(server, job_id), lambda data: read_progress(data, job_id)))


def list_jobs(server: Server, collection_name: str = "") -> Flow[tuple[JobSummary, ...]]:
    """Return all jobs of a collection, or of all collections; page by page where there are pages."""
    found: dict[str, JobSummary] = {}
    for page in range(1, _MOST_PAGES + 1):
        jobs = yield from ask(server, list_request(server, collection_name, page, _PAGE_SIZE), read_jobs)
        new = {job.job_id: job for job in jobs if job.job_id not in found}
        found |= new
        if len(jobs) < _PAGE_SIZE or not new:
            break
    kept = (job for job in found.values() if not collection_name or job.collection_name in ("", collection_name))
    return tuple(kept)


def create(server: Server, request: Request, key: str) -> Flow[Created]:
    """Create a job, exactly once. Raises Trouble.

    A server that keeps keys answers a key that it knows by the job of that key. If that job failed it imported nothing,
    and the next key is tried: ``key``, ``key.2``, ``key.3``, ...
    """
    collection_name = request.body["collectionName"]
    try:
        first = _with_tries(server, min(_FIRST_TRIES, server.retry.tries))
        before = {job.job_id for job in (yield from list_jobs(first, collection_name))}
    except Trouble as trouble:
        if trouble.kind is Kind.NOT_SENT:
            raise
        before = None  # not allowed to list, perhaps
    attempt = 1
    while True:
        numbered = key if attempt == 1 else f"{key}.{attempt}"
        job_id = yield from _create_once(server, replace(request, headers=key_header(numbered)), before)
        existed = before is not None and job_id in before
        if not existed or attempt == _MOST_ATTEMPTS:
            return Created(job_id, existed)
        if (yield from describe(server, job_id)).state != State.FAILED:
            return Created(job_id, existed)
        attempt += 1


def _create_once(server: Server, request: Request, before: set[str] | None) -> Flow[str]:
    pauses, room_pauses = server.retry.pauses(), server.retry.pauses_within(server.retry.room_s)
    while True:
        try:
            return read_job_id(read_answer((yield Send(request))))
        except Trouble as trouble:
            if trouble.kind is Kind.REFUSED:
                raise
            if trouble.kind is Kind.UNCLEAR and not server.keeps_keys:
                return (yield from _search(server, request, before, trouble))
            pause = next(room_pauses if trouble.kind is Kind.BUSY else pauses, None)
            if pause is None:
                raise
        yield Pause(pause)


def _search(server: Server, request: Request, before: set[str] | None, lost: Trouble) -> Flow[str]:
    """Return the job that a create without an answer has made: a new job of the same files. Raises Trouble."""
    unknown: set[str] = set()
    for pause in server.retry.pauses_within(server.retry.settle_s):
        if before is None:
            break
        yield Pause(pause)
        try:
            now = {job.job_id for job in (yield from list_jobs(server, request.body["collectionName"]))}
            unknown = now - before
            for job_id in sorted(unknown):
                progress = yield from describe(server, job_id)
                if not progress.files:
                    continue  # it has not opened its files yet
                if same_files(progress, request):
                    return job_id
                unknown.discard(job_id)
                before = before | {job_id}
        except Trouble as trouble:
            if trouble.kind is Kind.REFUSED:
                break
    if unknown:
        maybe = f"job {', '.join(sorted(unknown))} has come up since and may be it"
    elif before is None:
        maybe = "the server did not list its jobs"
    else:
        maybe = "no job with these files has come up since"
    reason = f"{lost.reason}; the job may have been created or not: {maybe}. See the list of jobs before another try"
    raise Trouble(Kind.UNCLEAR, reason, lost.code)


def same_files(progress: JobProgress, request: Request) -> bool:
    """Return True if a job reads the files of ``request``, as far as the server's names for them tell."""
    groups = [[_tail(path) for path in group] for group in request_files(request)]
    names = [file.name for file in progress.files]
    return len(names) <= len(groups) and all(
        any(all(tail in name for tail in group) for group in groups) for name in names
    )


def _tail(path: str) -> str:
    """Return the last two parts of a path: servers differ in what they put before them."""
    return "/".join(path.partition("?")[0].rstrip("/").split("/")[-2:])


def end(server: Server, job_id: str, verb: str) -> Flow[None]:
    """Commit or abort (``verb``) a job. Does nothing if that is done already. Raises Trouble."""
    request = commit_request(server, job_id) if verb == "commit" else abort_request(server, job_id)
    reached = {"commit": (State.COMMITTING, State.COMPLETED), "abort": (State.FAILED,)}[verb]
    try:
        yield from ask(server, request, dict)
    except Trouble:
        if (yield from describe(server, job_id)).state not in reached:
            raise


@dataclass(frozen=True, slots=True)
class Goal:
    """What a wait for a job is to reach.

    Attributes
    ----------
    until: the state that ends the wait before the end of the job: Uncommitted; or Completed.
    expected_rows: rows that were written. None: the rows that arrive are not compared.
    progress: called with the `JobProgress` after every look. None: nothing is called.
    """

    until: State = State.COMPLETED
    expected_rows: int | None = None
    progress: Progress | None = None


class JobWatch:
    """Follows one job through its states: a look goes in, the pause before the next look comes out.

    ``began_s`` is when the wait began. None: now.
    """

    def __init__(self, job_id: str, goal: Goal, patience: Patience, began_s: float | None = None) -> None:
        self._job_id = job_id
        self._goal = goal
        self._watch = Watch(patience, began_s=began_s)

    def pause_after(self, seen: JobProgress) -> float | None:
        """Return the seconds until the next look. None: the goal is reached. Raises ImportJobError."""
        goal = self._goal
        stalled_s = self._watch.saw(seen)
        if goal.progress is not None:
            goal.progress(replace(seen, stalled_s=stalled_s))
        if seen.state == State.FAILED:
            raise ImportJobError(seen.reason or "the job failed, the server gave no reason", job_id=self._job_id)
        if seen.state in (goal.until, State.COMPLETED):
            check_rows(seen, goal.expected_rows)
            return None
        try:
            return self._watch.pause()
        except TimeoutError as late:
            reason = f"{late}: {seen.state} at {seen.percent} %, {seen.phase}; the server goes on with it"
            raise ImportJobError(reason, job_id=self._job_id) from None


def check_rows(seen: JobProgress, expected_rows: int | None) -> None:
    """Raise ImportJobError if the rows that arrived are not as many as were written."""
    if expected_rows is None or seen.rows is None or seen.rows == expected_rows:
        return
    words = f"{expected_rows:,} rows were written, but the server tells of {seen.rows:,} imported"
    raise ImportJobError(words, job_id=seen.job_id)


def wait(server: Server, job_id: str, goal: Goal, patience: Patience) -> Flow[JobProgress]:
    """Follow a job to its goal; return the last look at it. Raises Trouble and ImportJobError."""
    watch = JobWatch(job_id, goal, patience)
    patient = _with_tries(server, server.retry.tries + _MORE_TRIES)
    while True:
        seen = yield from describe(patient, job_id)
        pause = watch.pause_after(seen)
        if pause is None:
            return seen
        yield Pause(pause)


def _with_tries(server: Server, tries: int) -> Server:
    return replace(server, retry=replace(server.retry, tries=tries))
