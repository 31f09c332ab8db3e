"""Carry out a plan: start its jobs, a few at a time, follow them all, and know afterwards what has arrived."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from vecmill.errors import ImportJobError
from vecmill.importer.flows import Watch, Wish
from vecmill.importer.journal import ASKED, COMPLETED, CREATED, Entry, Journal
from vecmill.importer.planner import Batch
from vecmill.importer.reply import JobProgress, State
from vecmill.importer.rest_jobs import Jobs
from vecmill.importer.retry import Polling

IN_FLIGHT = 8
# Servers list finished jobs for three hours (dataCoord.import.taskRetention); an hour of margin.
_LISTED_S = 7_200
_LOOK = "see whether the rows are there, and import them with --again if not"


@dataclass(frozen=True, slots=True)
class Settings:
    """How to run a plan.

    Attributes
    ----------
    wait: follow the jobs to their end; else only create them. two_phase: commit once all rows of all jobs are in.
    in_flight: jobs that are not over, at the same time.
    timeout_s: for all of it. stall_timeout_s: in which no change of a job is too long.
    progress: called after every look with it, and with the rows of the jobs that are completed.
    """

    wait: bool = True
    two_phase: bool = False
    in_flight: int = IN_FLIGHT
    timeout_s: float | None = None
    stall_timeout_s: float | None = None
    progress: Callable[[JobProgress, int], object] | None = None
    polling: Polling = field(default_factory=Polling)


@dataclass(frozen=True, slots=True)
class JobResult:
    """One job: the request of the plan, the rows of its files, its state, whether an earlier run made it."""

    number: int
    job_id: str
    rows: int
    state: str
    earlier: bool = False


def run(batches: Sequence[Batch], jobs: Jobs, journal: Journal, settings: Settings) -> list[JobResult]:
    """Import all batches; return their jobs in order. What an earlier run has done, or begun, is not done again.

    Raises
    ------
    ImportJobError: a job was refused, failed, or did not import the rows that were written; notes say which jobs are
        completed and which go on. In two phases, all jobs are aborted then, and no row is visible.
    """
    return _Run(jobs, journal, settings).run(batches)


class _Run:
    def __init__(self, jobs: Jobs, journal: Journal, settings: Settings) -> None:
        self._jobs = jobs
        self._journal = journal
        self._settings = settings
        self._began_s = time.monotonic()
        self._results: dict[int, JobResult] = {}
        self._open: dict[str, Batch] = {}  # jobs of this plan that are not completed, as far as we know

    def run(self, batches: Sequence[Batch]) -> list[JobResult]:
        try:
            if not self._settings.wait:
                for batch in batches:
                    self._start(batch)
            elif self._settings.two_phase:
                self._follow(batches, State.UNCOMMITTED)
                waiting = [batch for batch in batches if self._results[batch.number].state == State.UNCOMMITTED]
                for batch in waiting:
                    self._jobs.commit(self._results[batch.number].job_id)
                self._follow(waiting, State.COMPLETED)
            else:
                self._follow(batches, State.COMPLETED)
        except ImportJobError as err:
            err.add_note(self._told())
            raise
        return [self._results[batch.number] for batch in batches]

    def _start(self, batch: Batch) -> JobResult:
        """Create the job of a batch, or find the one that there is."""
        known = self._results.get(batch.number)
        if known is not None:
            return known
        key = f"{self._jobs.key(batch)}@{self._jobs.server}"
        entry = self._journal.get(key)
        base = Entry(ASKED, self._jobs.server, self._jobs.collection_name, batch.rows)
        job_id = "" if entry is None else self._earlier(batch, entry)
        earlier = bool(job_id)
        state = str(State.COMPLETED if entry is not None and entry.state == COMPLETED else State.PENDING)
        if not job_id:
            self._journal.note(key, base)
            try:
                job_id = self._jobs.start(batch)
            except ImportJobError as err:
                if not err.unclear:
                    self._journal.drop(key)
                raise
            state = State.PENDING
        if state != State.COMPLETED:
            self._journal.note(key, replace(base, state=CREATED, job_id=job_id))
            self._open[job_id] = batch
        result = JobResult(batch.number, job_id, batch.rows, state, earlier)
        self._results[batch.number] = result
        return result

    def _earlier(self, batch: Batch, entry: Entry) -> str:
        """Return the job that an earlier run has made of a batch, "" if there is none that may still count."""
        if entry.state == COMPLETED:
            return entry.job_id
        if entry.state == CREATED:
            try:
                return "" if self._jobs.look(entry.job_id).state == State.FAILED else entry.job_id
            except ImportJobError as err:
                err.add_note(f"an earlier run created this job of request {batch.number} and was cut off; {_LOOK}")
                raise
        found = self._jobs.find(batch)
        if found is None and time.time() - entry.time_s > _LISTED_S:
            when = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.time_s))
            raise ImportJobError(
                f"an earlier run asked for request {batch.number} at {when} and was cut off before the answer, and the "
                f"server lists no such job any more; {_LOOK}"
            )
        return found or ""

    def _follow(self, batches: Sequence[Batch], until: State) -> None:
        """Start the jobs and look at them until all have reached ``until``."""
        settings = self._settings
        pending = deque(batches)
        running: dict[int, tuple[str, Watch, float]] = {}  # job, its watch, when to look again
        while pending or running:
            while pending and len(running) < settings.in_flight:
                batch = pending.popleft()
                result = self._start(batch)
                if result.state != State.COMPLETED:
                    wish = Wish(until, batch.rows, settings.timeout_s, settings.stall_timeout_s, self._tell)
                    watch = Watch(result.job_id, wish, self._began_s, replace(settings.polling))
                    running[batch.number] = (result.job_id, watch, 0.0)
            if not running:
                continue
            number, (job_id, watch, due_s) = min(running.items(), key=lambda one: one[1][2])
            if (wait_s := due_s - time.monotonic()) > 0:
                time.sleep(wait_s)
            seen = self._jobs.look(job_id)
            pause_s = watch.pause_after(seen, time.monotonic())
            if pause_s is None:
                del running[number]
                self._reached(number, seen)
            else:
                running[number] = (job_id, watch, time.monotonic() + pause_s)

    def _reached(self, number: int, seen: JobProgress) -> None:
        result = self._results[number] = replace(self._results[number], state=seen.state)
        if seen.state == State.COMPLETED:
            batch = self._open.pop(result.job_id)
            key = f"{self._jobs.key(batch)}@{self._jobs.server}"
            entry = Entry(COMPLETED, self._jobs.server, self._jobs.collection_name, batch.rows, result.job_id)
            self._journal.note(key, entry)
            self._tell(seen)

    def _tell(self, seen: JobProgress) -> None:
        if self._settings.progress is not None:
            done = sum(one.rows for one in self._results.values() if one.state == State.COMPLETED)
            self._settings.progress(seen, done)

    def _told(self) -> str:
        """Say what has become of the other jobs, after one of them has failed; abort them in two phases."""
        done = [one for one in self._results.values() if one.state == State.COMPLETED]
        others = sorted(self._open)
        words = [f"completed: {sum(one.rows for one in done):,} rows in {len(done)} job(s)"]
        if self._settings.two_phase and not done:
            stuck = []
            for job_id in others:
                try:
                    self._jobs.abort(job_id)
                except ImportJobError as err:
                    stuck.append(f"{job_id} ({err.reason})")
            words = ["all jobs aborted, no row is visible"]
            if stuck:
                words = [f"not aborted: {', '.join(stuck)}"]
        elif others:
            words.append(f"not known to be completed: job(s) {', '.join(others)}; the same command goes on from here")
        return "; ".join(words)
