"""Large batches, written past the stage: in spans, and into several segments at the same time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial

from vecmill.encode.batch import Batch
from vecmill.encode.cutter import BatchCutter, refusing_from
from vecmill.formats.base import CountedFormat, SegmentFiles
from vecmill.writer.batch_ranges import Cuts, Rows
from vecmill.writer.segments import Finish, Outgrown, SegmentOpener, Segments
from vecmill.writer.transaction import Mark


class LargeBatches:
    """Writes batches into the segments of a writer, and past them, with threads of its own.

    ``counted``: the format, if its files are better begun when their rows are counted.
    """

    def __init__(
        self, segments: Segments, opener: SegmentOpener, cutter: BatchCutter, cuts: Cuts, counted: CountedFormat | None
    ) -> None:
        self._segments = segments
        self._opener = opener
        self._cutter = cutter
        self._cuts = cuts
        self._counted = counted
        self._pool: ThreadPoolExecutor | None = None

    def write(self, batch: Batch, first_row: int, mark: Mark) -> None:
        """Write a batch whose first row has the number ``first_row``. Raises DataError, StoreError."""
        with refusing_from(first_row):
            if self._counted is not None and self._write_counted(self._counted, batch, mark):
                return
            if not self._cuts.is_shared(batch.n_rows):
                self._write_rows(self._segments, batch, (0, batch.n_rows), mark.seal_later)
                return
            head = self._cuts.span_rows
            self._write_rows(self._segments, batch, (0, head), mark.seal_later)
            current = self._segments.current
            assert current is not None
            ranges = self._cuts.ranges(batch.n_rows, head, current.n_rows, current.n_bytes)
            if len(ranges) == 1:
                self._write_rows(self._segments, batch, ranges[0], mark.seal_later)
            else:
                self._write_ranges(batch, ranges, mark)

    def _write_counted(self, form: CountedFormat, batch: Batch, mark: Mark) -> bool:
        """Write a batch as segments of its own, whose rows are counted first. Return False if it is too small."""
        if not self._cuts.may_be_counted(batch.n_rows):
            return False
        head = next(self._cutter.spans(batch, 0, batch.n_rows, self._cuts.span_rows))
        row_bytes = form.nbytes_like(self._cutter.plans, head)
        ranges = self._cuts.counted(batch.n_rows, row_bytes)
        if not ranges:
            return False
        self._segments.roll(mark.seal_later)
        openers = [partial(self._opener.open_counted, form, row_bytes, stop - start) for start, stop in ranges]
        self._run([self._new(opener, is_counted=True) for opener in openers], batch, ranges, mark)
        return True

    def _write_ranges(self, batch: Batch, ranges: Sequence[Rows], mark: Mark) -> None:
        """Write each range of rows into segments of its own; the first one goes on in the open segment."""
        first = Segments(self._opener.open, self._cuts.segment_bytes, current=self._segments.detach())
        self._run([first, *(self._new(self._opener.open) for _ in ranges[1:])], batch, ranges, mark)

    def _new(self, open_segment: Callable[[], SegmentFiles], *, is_counted: bool = False) -> Segments:
        return Segments(open_segment, self._cuts.segment_bytes, is_counted=is_counted)

    def _run(self, shares: Sequence[Segments], batch: Batch, ranges: Sequence[Rows], mark: Mark) -> None:
        """Write each range of rows into its share, a few at a time. Then, also on an error, the writer has them all."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._cuts.n_cores, thread_name_prefix="vecmill-batch")
        running: list[Future[None]] = []
        try:
            for i, (share, rows) in enumerate(zip(shares, ranges, strict=True)):
                if i >= self._cuts.n_cores:
                    running[i - self._cuts.n_cores].result()
                is_last = i == len(ranges) - 1
                running.append(self._pool.submit(self._fill, share, batch, rows, mark.seal, is_last=is_last))
            for future in running:
                future.result()
        except BaseException:
            for share in shares:
                share.stop()
            wait(running)
            raise
        finally:
            self._segments.absorb(shares)

    def _fill(self, share: Segments, batch: Batch, rows: Rows, seal: Finish, *, is_last: bool) -> None:
        try:
            self._write_rows(share, batch, rows, seal)
        except Outgrown:  # a text is longer than those that the count was made of
            share.start_over(self._opener.open)
            self._write_rows(share, batch, rows, seal)
        if not is_last:
            share.roll(seal)
        elif share.is_counted and share.current is not None:  # takes no more rows; is published with the next ones
            share.current.seal()

    def _write_rows(self, segments: Segments, batch: Batch, rows: Rows, finish: Finish) -> None:
        start, stop = rows
        for span in self._cutter.spans(batch, start, stop, self._cuts.even_step(stop - start)):
            segments.write(span, finish)

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()
