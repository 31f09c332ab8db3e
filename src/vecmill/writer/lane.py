"""Spans into segments, one after another: when one would grow beyond the chunk size, it is full and the next begins."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from vecmill.encode.blocks import Span
from vecmill.formats.base import SegmentFiles

# A segment that is filled so far is closed rather than given a part of the next span: small row groups cost readers.
_WELL_FILLED = 0.9


class Outgrown(Exception):  # noqa: N818  a signal between layers
    """A segment would be full before it has the rows that were meant for it."""


class Stopped(Exception):  # noqa: N818  a signal between threads
    """What the lane writes will be dropped."""


class Lane:
    """Writes spans into ``open``; what is full gathers in ``full``, in order, and is told to ``on_full``.

    ``counted``: what is written is one segment; Outgrown is raised if it does not fit.
    """

    def __init__(
        self,
        open_segment: Callable[[], SegmentFiles],
        chunk_size: int,
        on_full: Callable[[SegmentFiles], object],
        *,
        counted: bool = False,
    ) -> None:
        self._counted = counted
        self._stopped = False
        self._open_segment = open_segment
        self._chunk_size = chunk_size
        self._on_full = on_full
        self.open: SegmentFiles | None = None
        self.full: list[SegmentFiles] = []

    def write(self, span: Span) -> None:
        """Append a span to the open segment, and to new ones what would take that beyond the chunk size."""
        while span.n_rows:
            if self._stopped:
                raise Stopped
            if self.open is None:
                self.open = self._open_segment()
            n = self._fitting(self.open, span)
            if self._counted and n < span.n_rows:
                raise Outgrown
            if n == 0:
                self.roll()
            elif n == span.n_rows:
                self.open.write(span)
                return
            else:
                self.open.write(span.rows(0, n))
                span = span.rows(n, span.n_rows)

    def _fitting(self, segment: SegmentFiles, span: Span) -> int:
        """Return how many rows of a span the segment takes: at least one if it is empty, 0 if it is full."""
        n = segment.fitting(span, self._chunk_size)
        if n < span.n_rows and segment.n_rows and segment.n_bytes >= _WELL_FILLED * self._chunk_size:
            return 0
        # One long text can make a whole NPY column wide: the rows before it go first.
        return n or (0 if segment.n_rows else 1)

    def stop(self) -> None:
        """Let the thread that writes end soon, by Stopped."""
        self._stopped = True

    def start_over(self, open_segment: Callable[[], SegmentFiles]) -> None:
        """Remove what was written; from now on write without a count, as many segments as it takes."""
        self.drop()
        self._open_segment, self._counted = open_segment, False

    @property
    def counted(self) -> bool:
        """Whether what is written is one segment."""
        return self._counted

    def roll(self) -> None:
        """Close the open segment, if it holds rows."""
        segment = self.open
        if segment is None or not segment.n_rows:
            return
        self.open = None
        self.full.append(segment)
        self._on_full(segment)

    def drop(self, but: SegmentFiles | None = None) -> None:
        """Remove all segments except ``but``."""
        segments, self.full = self.full, []
        if self.open is not None:
            segments.append(self.open)
            self.open = None
        with contextlib.ExitStack() as stack:  # all of them, whatever one of them raises
            for segment in segments:
                if segment is not but:
                    stack.callback(segment.drop)
