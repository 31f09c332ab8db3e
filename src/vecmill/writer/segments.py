"""The segments of a writer while rows are written to them: opened, filled one after another, and full."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import Executor

from vecmill.encode.blocks import Span
from vecmill.encode.plan import ColumnPlan
from vecmill.formats.base import CountedFormat, Format, SegmentFiles
from vecmill.store.sink import Sink, undoing

# A segment that is filled this far is closed rather than given a part of the next span: small row groups cost readers.
_WELL_FILLED = 0.9

Finish = Callable[[SegmentFiles], object]
"""Called with a segment when it is full, before the next one is opened."""


class Outgrown(Exception):  # noqa: N818  a signal between layers
    """A counted segment is full before it has all of its rows."""


class Stopped(Exception):  # noqa: N818  a signal between threads
    """The segments that a thread writes will be dropped."""


class SegmentOpener:
    """Opens the segments of one writer; may be called from several threads. Raises StoreError."""

    def __init__(self, form: Format, plans: Sequence[ColumnPlan], sink: Sink, first_token: int) -> None:
        self._form = form
        self._plans = plans
        self._sink = sink
        self._tokens = itertools.count(first_token)

    def open(self, helper: Executor | None = None) -> SegmentFiles:
        """Open a segment. ``helper``: a second thread that may share its work."""
        folder = self._sink.open_segment(next(self._tokens))
        with undoing(folder.drop):
            return self._form.open(self._plans, folder, helper)

    def open_counted(self, form: CountedFormat, row_bytes: int, n_rows: int) -> SegmentFiles:
        """Open a segment of exactly ``n_rows``, of about ``row_bytes`` encoded bytes each."""
        folder = self._sink.open_segment(next(self._tokens))
        with undoing(folder.drop):
            return form.open_counted(self._plans, folder, row_bytes, n_rows)


class Segments:
    """Writes spans into the open segment, and begins the next one where that would grow beyond ``segment_bytes``.

    ``open_segment`` opens a segment. ``is_counted``: all rows belong into one segment; Outgrown is raised if they do
    not fit. Used by one thread at a time, `stop` aside.
    """

    def __init__(
        self,
        open_segment: Callable[[], SegmentFiles],
        segment_bytes: int,
        *,
        current: SegmentFiles | None = None,
        is_counted: bool = False,
    ) -> None:
        self._open_segment = open_segment
        self._segment_bytes = segment_bytes
        self._current = current
        self._full: list[SegmentFiles] = []
        self._is_counted = is_counted
        self._is_stopped = False

    @property
    def current(self) -> SegmentFiles | None:
        """The open segment; None: the next row begins one."""
        return self._current

    @property
    def is_counted(self) -> bool:
        """Whether all rows belong into one segment."""
        return self._is_counted

    @property
    def has_full(self) -> bool:
        """Whether there are full segments."""
        return bool(self._full)

    def write(self, span: Span, finish: Finish | None = None) -> None:
        """Append a span to the open segment, and to new ones the rows for which that has no room."""
        while span.n_rows:
            if self._is_stopped:
                raise Stopped
            if self._current is None:
                self._current = self._open_segment()
            n = self._fitting(self._current, span)
            if self._is_counted and n < span.n_rows:
                raise Outgrown
            if n == 0:
                self.roll(finish)
            elif n == span.n_rows:
                self._current.write(span)
                return
            else:
                self._current.write(span.rows(0, n))
                span = span.rows(n, span.n_rows)

    def _fitting(self, segment: SegmentFiles, span: Span) -> int:
        """Return how many rows of a span the segment takes: at least one if it is empty, 0 if it is full."""
        n = segment.fitting(span, self._segment_bytes)
        if n < span.n_rows and segment.n_rows and segment.n_bytes >= _WELL_FILLED * self._segment_bytes:
            return 0
        # One long text can make a whole NPY column wide: the rows before it go first.
        return n or (0 if segment.n_rows else 1)

    def roll(self, finish: Finish | None = None) -> None:
        """Close the open segment, if it holds rows."""
        segment = self._current
        if segment is None or not segment.n_rows:
            return
        self._current = None
        self._full.append(segment)
        if finish is not None:
            finish(segment)

    def pop_full(self) -> SegmentFiles:
        """Return the first of the full segments, which is the caller's from now on."""
        return self._full.pop(0)

    def detach(self) -> SegmentFiles | None:
        """Return the open segment, which is the caller's from now on."""
        segment, self._current = self._current, None
        return segment

    def absorb(self, others: Sequence[Segments]) -> None:
        """Take over the segments of others, in order, while none is open here; that of the last one stays open."""
        for other in others:
            if self._current is not None:
                self._full.append(self._current)
            self._full += other._full
            self._current = other._current

    def stop(self) -> None:
        """Let the thread that writes end soon, by Stopped."""
        self._is_stopped = True

    def start_over(self, open_segment: Callable[[], SegmentFiles]) -> None:
        """Remove what was written; from now on write without a count, into as many segments as it takes."""
        self.drop()
        self._open_segment, self._is_counted = open_segment, False

    def drop(self, but: SegmentFiles | None = None) -> None:
        """Remove all segments except ``but``, which is the open one then."""
        segments = [*self._full, *([self._current] if self._current is not None else [])]
        self._full, self._current = [], but
        with contextlib.ExitStack() as stack:  # drops every segment, also when dropping another one fails
            for segment in segments:
                if segment is not but:
                    stack.callback(segment.drop)
