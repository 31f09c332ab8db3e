"""Jobs of an import, begun or gone on with after a kill: followed to their end, and compared by their rows."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from vecmill.errors import ImportJobError
from vecmill.importer.flows import Goal, JobWatch
from vecmill.importer.jobs import Jobs, PlannedJob
from vecmill.importer.journal import ASKED, COMPLETED, CREATED, Journal, JournalEntry
from vecmill.importer.options import JobOptions
from vecmill.importer.reply import JobProgress, State
from vecmill.importer.waiting import Patience

# Servers list finished jobs for three hours (dataCoord.import.taskRetention); an hour of margin.
_LISTED_S = 7_200
_LOOK = "see whether the rows are there, and import them with --again if not"


Progress = Callable[[JobProgress, int], object]
"""Called after every look with it, and with the rows of the jobs that are completed."""


@dataclass(frozen=True, slots=True)
class JobResult:
    """What became of a planned job: its id and state; ``earlier`` is True if an earlier run created it."""

    number: int
    job_id: str
    rows: int
    state: str
    earlier: bool = False


def run_jobs(
    planned: Sequence[PlannedJob],
    jobs: Jobs,
    journal: Journal,
    options: JobOptions,
    patience: Patience,
    progress: Progress | None = None,
) -> list[JobResult]:
    """Run all planned jobs; return their results in order. Jobs that an earlier run began are not created again.

    ``patience.timeout_s`` is for all of them together, ``patience.stall_timeout_s`` for each.

    Raises
    ------
    ImportJobError: a job was refused, failed, or did not import the rows that were written; notes say which jobs are
        completed and which go on. In two phases, all jobs are aborted then, and no row is visible.
    """
    return _Run(jobs, journal, options, patience, progress).run(planned)


class _Run:
    def __init__(
        self, jobs: Jobs, journal: Journal, options: JobOptions, patience: Patience, progress: Progress | None
    ) -> None:
        self._jobs = jobs
        self._journal = journal
        self._options = options
        self._patience = patience
        self._progress = progress
        self._began_s = patience.now()
        self._results: dict[int, JobResult] = {}
        self._open: dict[str, PlannedJob] = {}  # by id: those that are not known to be completed

    def run(self, planned: Sequence[PlannedJob]) -> list[JobResult]:
        try:
            if not self._options.wait:
                for job in planned:
                    self._start(job)
            elif self._options.two_phase:
                self._follow(planned, State.UNCOMMITTED)
                waiting = [job for job in planned if self._results[job.number].state == State.UNCOMMITTED]
                for job in waiting:
                    self._jobs.commit(self._results[job.number].job_id)
                self._follow(waiting, State.COMPLETED)
            else:
                self._follow(planned, State.COMPLETED)
        except ImportJobError as err:
            err.add_note(self._told())
            raise
        return [self._results[job.number] for job in planned]

    def _start(self, job: PlannedJob) -> JobResult:
        """Create a job, or find the one that an earlier run created."""
        known = self._results.get(job.number)
        if known is not None:
            return known
        key = self._key(job)
        entry = self._journal.get(key)
        base = JournalEntry(ASKED, self._jobs.address, self._jobs.collection_name, job.rows)
        job_id = "" if entry is None else self._earlier(job, entry)
        earlier = bool(job_id)
        state = str(State.COMPLETED if entry is not None and entry.state == COMPLETED else State.PENDING)
        if not job_id:
            self._journal.note(key, base)
            try:
                job_id = self._jobs.start(job)
            except ImportJobError as err:
                if not err.unclear:
                    self._journal.drop(key)
                raise
            state = State.PENDING
        if state != State.COMPLETED:
            self._journal.note(key, replace(base, state=CREATED, job_id=job_id))
            self._open[job_id] = job
        result = JobResult(job.number, job_id, job.rows, state, earlier)
        self._results[job.number] = result
        return result

    def _earlier(self, job: PlannedJob, entry: JournalEntry) -> str:
        """Return the id of the job that an earlier run created. "": there is none, or it failed."""
        if entry.state == COMPLETED:
            return entry.job_id
        if entry.state == CREATED:
            try:
                return "" if self._jobs.look(entry.job_id).state == State.FAILED else entry.job_id
            except ImportJobError as err:
                err.add_note(f"an earlier run created this job of request {job.number} and was cut off; {_LOOK}")
                raise
        found = self._jobs.find(job)
        if found is None and time.time() - entry.time_s > _LISTED_S:
            when = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.time_s))
            raise ImportJobError(
                f"an earlier run asked for request {job.number} at {when} and was cut off before the answer, and the "
                f"server lists no such job any more; {_LOOK}"
            )
        return found or ""

    def _follow(self, planned: Sequence[PlannedJob], until: State) -> None:
        """Start the jobs and look at them until all have reached ``until``."""
        patience = self._patience
        pending = deque(planned)
        running: dict[int, tuple[str, JobWatch, float]] = {}  # by number: id, watch, when to look again
        while pending or running:
            while pending and len(running) < self._options.in_flight:
                job = pending.popleft()
                result = self._start(job)
                if result.state != State.COMPLETED:
                    watch = JobWatch(result.job_id, Goal(until, job.rows, self._tell), patience, self._began_s)
                    running[job.number] = (result.job_id, watch, 0.0)
            if not running:
                continue
            number, (job_id, watch, due_s) = min(running.items(), key=lambda one: one[1][2])
            if (wait_s := due_s - patience.now()) > 0:
                patience.sleep(wait_s)
            seen = self._jobs.look(job_id)
            pause_s = watch.pause_after(seen)
            if pause_s is None:
                del running[number]
                self._reached(number, seen)
            else:
                running[number] = (job_id, watch, patience.now() + pause_s)

    def _reached(self, number: int, seen: JobProgress) -> None:
        result = self._results[number] = replace(self._results[number], state=seen.state)
        if seen.state == State.COMPLETED:
            job = self._open.pop(result.job_id)
            key = self._key(job)
            entry = JournalEntry(COMPLETED, self._jobs.address, self._jobs.collection_name, job.rows, result.job_id)
            self._journal.note(key, entry)
            self._tell(seen)

    def _key(self, job: PlannedJob) -> str:
        return f"{job.key}@{self._jobs.address}"

    def _tell(self, seen: JobProgress) -> None:
        if self._progress is not None:
            done = sum(one.rows for one in self._results.values() if one.state == State.COMPLETED)
            self._progress(seen, done)

    def _told(self) -> str:
        """Return what has become of the other jobs after one has failed; abort them if there are two phases."""
        done = [one for one in self._results.values() if one.state == State.COMPLETED]
        others = sorted(self._open)
        words = [f"completed: {sum(one.rows for one in done):,} rows in {len(done)} job(s)"]
        if self._options.two_phase and not done:
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
