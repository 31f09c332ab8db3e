"""Spans into segments, one after another: when one would grow beyond the chunk size, it is full and the next begins."""

from __future__ import annotations

from collections.abc import Callable

from vecmill.blocks import Span
from vecmill.formats.base import SegmentFiles


class Lane:
    """Writes spans into ``open``; what is full gathers in ``full``, in order, and is told to ``on_full``."""

    def __init__(
        self,
        open_segment: Callable[[], SegmentFiles],
        chunk_size: int,
        on_full: Callable[[SegmentFiles], object],
    ) -> None:
        self._open_segment = open_segment
        self._chunk_size = chunk_size
        self._on_full = on_full
        self.open: SegmentFiles | None = None
        self.full: list[SegmentFiles] = []

    def write(self, span: Span) -> None:
        """Append a span to the open segment, or to a new one if it does not fit."""
        if self.open is not None and self.open.n_rows and self.open.grown_nbytes(span) > self._chunk_size:
            self.roll()
        if self.open is None:
            self.open = self._open_segment()
        self.open.write(span)

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
        for segment in segments:
            if segment is not but:
                segment.drop()
