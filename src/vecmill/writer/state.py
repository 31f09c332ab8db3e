"""Whether a writer takes more rows, and what it raises if not."""

from __future__ import annotations

from typing import NoReturn

from vecmill.errors import StoreError
from vecmill.store.sink import undoing
from vecmill.writer.pipeline import Pipeline
from vecmill.writer.publisher import Publisher


class WriterState:
    """Open, failed, or closed. After a failed write nobody knows what is on disk of the current segment: it is the end.

    ``where``: the writer's folder, for messages. ``failure``: the error that ended the writer. ``is_over``: closed or
    failed; segments that fail in the background are seen by `check` only.
    """

    def __init__(self, pipeline: Pipeline, publisher: Publisher, where: str) -> None:
        self._pipeline = pipeline
        self._publisher = publisher
        self._where = where
        self.failure: BaseException | None = None
        self.is_closed = False
        self.is_over = False

    def check(self) -> None:
        """Raise ValueError if the writer is closed; if it has failed, StoreError with the first failure."""
        if self.is_closed:
            raise ValueError("the writer is closed")
        if self.failure is not None:
            self._raise_again(self.failure)
        try:
            self._publisher.raise_failure()
        except BaseException as error:
            self.fail(error)

    def close(self) -> None:
        """Take no more rows."""
        self.is_closed = self.is_over = True

    def fail_if_fatal(self, error: BaseException) -> None:
        """End the writer with an error, unless the caller's data are to blame and nothing of them was taken."""
        if (
            self._pipeline.is_broken
            or isinstance(error, StoreError | MemoryError | AssertionError)
            or not isinstance(error, Exception)
        ):
            self.fail(error)

    def fail(self, error: BaseException) -> NoReturn:
        """End the writer with an error, and raise it. Segments that were handed over are published still."""
        unseen = self._publisher.settle()  # from here on it is known what is safe
        if unseen is not None:
            for note in (f"and publishing failed: {unseen}", *getattr(unseen, "__notes__", ())):
                error.add_note(note)
        if isinstance(error, StoreError):
            error = with_safe_words(error, self._publisher.safe_words())
        self.failure = error
        self.is_over = True
        with undoing(self._pipeline.drop):
            raise error

    def _raise_again(self, failure: BaseException) -> NoReturn:
        """Raise the failure as a new exception: one that is raised often gathers tracebacks."""
        if isinstance(failure, StoreError):
            raise with_safe_words(failure, failure.safe)
        reason = f"the writer has failed before ({type(failure).__name__}: {failure})"
        raise StoreError(reason, path=self._where, safe=self._publisher.safe_words()) from failure


def with_safe_words(error: StoreError, safe: str) -> StoreError:
    """Return a new error like this one that says what is safe."""
    told = StoreError(error.reason, path=error.path, safe=safe, errno=error.errno)
    for note in getattr(error, "__notes__", ()):
        told.add_note(note)
    told.__cause__ = error.__cause__
    return told
