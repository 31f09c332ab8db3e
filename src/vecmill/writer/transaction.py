"""A batch is taken whole or refused whole: the point to go back to, set before its first row is written."""

from __future__ import annotations

from vecmill.encode.stage import Stage
from vecmill.formats.base import SegmentFiles
from vecmill.store.sink import Sink
from vecmill.writer.publisher import Publisher
from vecmill.writer.segments import Segments


class Mark:
    """The state of a writer before a batch: the stage was empty, no segment full, and one segment open, or none.

    Segments that get full within the batch are sealed, so that they hold no files open, but not published. The one that
    was open before can be rolled back only until it is sealed, so it stays as it is.
    """

    def __init__(self, stage: Stage, segments: Segments, sink: Sink, publisher: Publisher) -> None:
        self._stage = stage
        self._segments = segments
        self._sink = sink
        self._publisher = publisher
        self._segment = segments.current
        self._position = None if self._segment is None else self._segment.mark()

    def seal(self, segment: SegmentFiles) -> None:
        """Seal a full segment."""
        if segment is not self._segment:
            segment.seal()

    def seal_later(self, segment: SegmentFiles) -> None:
        """Seal a full segment in the background."""
        if segment is not self._segment:
            self._publisher.seal(segment)

    def restore(self) -> None:
        """Go back. Every step is taken, also after one that raised; then the writer is not what it was."""
        self._publisher.pause()
        self._stage.clear()
        try:
            self._segments.drop(but=self._segment)
        finally:
            try:
                if self._segment is not None:
                    self._segment.rollback(self._position)
            finally:
                self._sink.release()
