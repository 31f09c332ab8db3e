"""Full segments become visible: they are sealed and published in the background, in order, and listed in the manifest.

One thread does it: two would only race for the same disk. At most two segments wait for it; then the caller waits.
After the first failure nothing more is published, so that the published rows are always the first ones, without a gap.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from vecmill.formats.base import SegmentFiles
from vecmill.manifest import Manifest, Segment
from vecmill.store.sink import Sink, undoing

_MAX_WAITING = 2

Callback = Callable[[list[str]], object]


class Publisher:
    """Publishes the segments of one writer. Methods are called by one thread at a time.

    ``manifest``: the published segments. ``before``: called before each segment is listed. ``failed``: a job has ended
    with an error; may be read without a lock, and is set before `raise_failure` can see the error.
    """

    def __init__(self, sink: Sink, manifest: Manifest) -> None:
        self.manifest = manifest
        self._sink = sink
        self._pool: ThreadPoolExecutor | None = None
        self._jobs: deque[Future[None]] = deque()
        self._abandoned = threading.Event()
        self.before: Callable[[], object] | None = None
        self.failed = False

    @property
    def batch_files(self) -> list[list[str]]:
        """Paths of the published files, one list per segment: the shape that the import API takes."""
        return [[self._sink.address(entry.path) for entry in segment.files] for segment in self.manifest.segments]

    def safe_words(self) -> str:
        """Say which rows are published, for an error message."""
        n_files = len(self.manifest.files)
        if n_files == 0:
            return "no rows were published before"
        where = self._sink.manifest_name
        return f"{self.manifest.n_rows} rows in {n_files} files are published and safe, see {where}"

    def seal(self, segment: SegmentFiles) -> None:
        """Finish the files of a segment in the background, without publishing them yet."""
        self._submit(segment.seal)

    def publish(self, segment: SegmentFiles, callback: Callback | None = None) -> None:
        """Seal and publish a segment in the background under the next number; then call ``callback`` with its files."""

        def job() -> None:
            with undoing(segment.drop):
                if self.failed or self._abandoned.is_set():
                    segment.drop()
                    return
                segment.seal()
                number = len(self.manifest.segments) + 1
                if self.before is not None:
                    self.before()
                entries = segment.publish(number)
                with undoing(segment.withdraw):
                    self._record(Segment(number=number, rows=entries[0].rows, files=entries))
            if callback is not None:
                callback([self._sink.address(entry.path) for entry in entries])

        with undoing(segment.drop):
            self._submit(job)

    def _submit(self, job: Callable[[], object]) -> None:
        """Queue a job; wait while too many are queued. Errors of jobs are left to ``raise_failure``."""
        while self._jobs and not self.failed and (len(self._jobs) > _MAX_WAITING or self._jobs[0].done()):
            wait([self._jobs[0]])
            if not self.failed:
                self._jobs.popleft()
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="vecmill-publish")
        self._jobs.append(self._pool.submit(self._watched, job))

    def _watched(self, job: Callable[[], object]) -> None:
        try:
            job()
        except BaseException:
            self.failed = True
            raise

    def _record(self, segment: Segment) -> None:
        """Add a published segment to the manifest: first where it lies, then for callers to see."""
        self._sink.replace_manifest(self.manifest.to_json(segment))
        self.manifest.segments.append(segment)

    def raise_failure(self) -> None:
        """Raise the error of a job that has failed, if there is one. Jobs that still run are not waited for."""
        while self._jobs and (self.failed or self._jobs[0].done()):
            self._jobs.popleft().result()

    def pause(self) -> None:
        """Wait for all jobs. Their errors are left to ``raise_failure``."""
        wait(self._jobs)

    def settle(self) -> BaseException | None:
        """Wait for all jobs. Return the first error that was not raised before; None: there is none."""
        errors = [future.exception() for future in self._jobs]
        self._jobs.clear()
        return next((error for error in errors if error is not None), None)

    def wait(self) -> None:
        """Wait until all segments are published. Raises the first error."""
        while self._jobs:
            self._jobs.popleft().result()

    def close(self, *, abandon: bool) -> None:
        """End the thread. With ``abandon``, what is not yet published is removed instead."""
        if abandon:
            self._abandoned.set()
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=False)
        self._sink.end(is_empty=not self.manifest.segments)
