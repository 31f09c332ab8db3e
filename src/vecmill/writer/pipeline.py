"""From rows in the stage and columns of a batch to segments: what leaves when, and what is taken back.

A batch is taken whole or refused whole, whatever its size. Its rows are checked while they are written, so before
the first of them a mark is set; if a later one is bad, the segment that was open goes back to the mark and those
begun since are dropped. Until the batch is whole, nothing that holds its rows is published.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, pairwise
from typing import Any

from vecmill.encode.batch import Batch
from vecmill.encode.blocks import TEXT_GUESS, Span, VariableBlock
from vecmill.encode.cutter import BatchCutter, FieldMisfit
from vecmill.encode.plan import ColumnPlan
from vecmill.encode.stage import Stage
from vecmill.formats.base import CountedFormat, Format, SegmentFiles
from vecmill.schema.collection import CollectionSchema
from vecmill.store.sink import Sink, undoing
from vecmill.writer.lane import Lane, Outgrown
from vecmill.writer.options import WriterOptions
from vecmill.writer.publisher import Callback, Publisher

# Segments that a large batch fills at the same time. Each lane holds a few blocks and the text of a span.
_MAX_CORES = 4
# Text of one column that is encoded at once: the span ends where that is full.
_TEXT_BYTES = 8 * 1024 * 1024
# Rows that fill so much of a segment may be one of their own, where that lets them leave at once.
_WORTH_A_SEGMENT = 0.5


@dataclass(slots=True)
class Tally:
    """Rows of a batch that were looked at so far."""

    n_rows: int = 0


@dataclass(slots=True)
class _Transaction:
    """What a batch has to undo: the segment that was open goes back to ``mark``, those of ``lanes`` are dropped."""

    first: SegmentFiles | None
    mark: Any
    lanes: list[Lane] = field(default_factory=list)
    running: list[Future[None]] = field(default_factory=list)


class Pipeline:
    """Drives stage, format and publisher for one writer. The caller holds the writer's lock."""

    def __init__(
        self,
        schema: CollectionSchema,
        plans: Sequence[ColumnPlan],
        form: Format,
        sink: Sink,
        options: WriterOptions,
        publisher: Publisher,
    ) -> None:
        self._plans = plans
        self._form = form
        self._sink = sink
        self._chunk_size = chunk_size = options.segment_size
        self._publisher = publisher
        self.row_bytes = form.row_nbytes(plans)
        self._span_bytes = _even_share(chunk_size, form.span_bytes)
        self._cutter = BatchCutter(schema, plans, min(self._span_bytes, _TEXT_BYTES))
        in_memory = sum(plan.width or TEXT_GUESS for plan in plans)
        self.stage = Stage(plans, min(form.stage_bytes, self._span_bytes) * in_memory // self.row_bytes)
        self._n_drained = 0
        self._tokens = itertools.count(publisher.manifest.last_number + 1)
        self._cores = min(_MAX_CORES, options.cores or os.cpu_count() or 1)
        self._helper = ThreadPoolExecutor(1, thread_name_prefix="vecmill-helper") if self._cores > 1 else None
        self._lane = Lane(partial(self._open_segment, self._helper), chunk_size, self._seal_later)
        self._pool: ThreadPoolExecutor | None = None
        self._transaction: _Transaction | None = None
        self.is_broken = False

    @property
    def n_rows(self) -> int:
        """Rows in the stage and in the open segment."""
        segment = self._lane.open  # read once: another thread may hand it over meanwhile
        return self.stage.n_rows + (segment.n_rows if segment else 0)

    @property
    def n_bytes(self) -> int:
        """Their encoded bytes."""
        segment = self._lane.open
        return self.stage.n_bytes + (segment.n_bytes if segment else 0)

    @property
    def n_staged(self) -> int:
        """Rows that were ever put into the stage: for a caller who wants to know how many of his were."""
        return self._n_drained + self.stage.n_rows

    @staticmethod
    def new_tally() -> Tally:
        """Return a count that ``append`` keeps."""
        return Tally()

    # -- rows

    def drain(self) -> None:
        """Write the rows of the stage to the open segment."""
        n = self.stage.n_rows
        if n:
            with self._breaking():
                self._lane.write(self.stage.span())
                self.stage.clear()
                self._n_drained += n
                self._hand_over()

    # -- batches

    def append(self, batches: Iterator[Batch], first_row: int, tally: Tally) -> None:
        """Take batches as one, all or nothing. Rows are numbered from ``first_row`` on in the DataError."""
        first = next(batches, None)
        if first is None:
            return
        second = next(batches, None)
        if second is None and first.n_rows <= self.stage.capacity:
            tally.n_rows += first.n_rows
            if self._add_to_stage(first, first_row):
                return
            tally.n_rows -= first.n_rows
        self.drain()
        ahead = [first] if second is None else [first, second]
        self._begin(ahead, batches)
        try:
            for batch in chain(ahead, batches):
                row = first_row + tally.n_rows
                tally.n_rows += batch.n_rows
                if batch.n_rows > self.stage.capacity or not self._add_to_stage(batch, row):
                    self.drain()
                    self._write_batch(batch, row)
        except BaseException:
            self._undo()
            raise
        self._keep()

    def _add_to_stage(self, batch: Batch, first_row: int) -> bool:
        """Copy a small batch into the stage, draining it first if need be. False if its text is too long for that."""
        sources = self._cutter.sources(batch, first_row)
        n = batch.n_rows
        if n == 0:
            return True
        try:
            ready = self._cutter.texts(sources, 0, n)
            texts = [one for one in ready if isinstance(one, VariableBlock)]
            sizes = [block.n_bytes for block in texts]
            if any(block.n_rows < n for block in texts):
                return False
            if self.stage.n_rows + n > self.stage.capacity or not self.stage.text_room(sizes):
                self.drain()
                if not self.stage.text_room(sizes):
                    return False
            self.stage.add(self._cutter.span(ready, 0, n).columns, n)
        except FieldMisfit as error:
            raise error.misfit.at(error.plan.name, first_row) from error.misfit.__cause__
        return True

    def _write_batch(self, batch: Batch, first_row: int) -> None:
        """Write a large batch past the stage; one that fills several segments on several cores."""
        head = self._rows_per_span()
        if self._sink.keeps_headless and self._write_counted(batch, first_row):
            return
        if batch.n_rows <= 2 * head or self._cores == 1:
            self._write_rows(self._lane, batch, (0, batch.n_rows), first_row)
            return
        self._write_rows(self._lane, batch, (0, head), first_row)
        assert self._lane.open is not None
        # What a row takes is now known, as far as the text so far tells; a lane that runs full begins a new segment.
        # The margin is for what it may take more: a few rows too many would be a segment of their own.
        row_bytes = self._lane.open.n_bytes / self._lane.open.n_rows
        row_bytes *= min(1.1, 1.02 + 32 * len(self._plans) / row_bytes)
        whole = max(1, int(self._chunk_size / row_bytes))
        rest = max(0, int((self._chunk_size - self._lane.open.n_bytes) / row_bytes))
        # A range of several segments: what the margin, or text that grows, leaves over is one small segment a range.
        n_segments = -(-(batch.n_rows - head - rest) // whole) + 1
        step = whole * -(-n_segments // self._cores)
        cuts = [head, *range(min(head + rest + step - whole, batch.n_rows), batch.n_rows, step), batch.n_rows]
        ranges = [(start, stop) for start, stop in pairwise(cuts) if start < stop]
        if len(ranges) == 1:
            self._write_rows(self._lane, batch, ranges[0], first_row)
        else:
            self._write_ranges(batch, ranges, first_row)

    def _write_counted(self, batch: Batch, first_row: int) -> bool:
        """Write a batch as segments of their own whose rows are counted first. False: it is too small, or needs not.

        The segments are of one size, from half a chunk to a whole one.
        """
        form, n = self._form, batch.n_rows
        if not isinstance(form, CountedFormat) or n * self.row_bytes < _WORTH_A_SEGMENT / 2 * self._chunk_size:
            return False
        row_bytes = form.nbytes_like(self._plans, self._head(batch, first_row))
        # As for other batches; and each file has a header.
        whole = int(0.98 * (self._chunk_size - 256 * len(self._plans)) / row_bytes)
        if whole < 1:
            return False
        n_segments = -(-n // whole)
        step = -(-n // n_segments)
        if step < _WORTH_A_SEGMENT * whole:
            return False
        self._lane.roll()
        cuts = [*range(0, n, step), n]
        lanes = [
            Lane(
                partial(self._open_counted, form, row_bytes, stop - start),
                self._chunk_size,
                self._seal_now,
                counted=True,
            )
            for start, stop in pairwise(cuts)
        ]
        self._run_lanes(lanes, batch, list(pairwise(cuts)), first_row)
        return True

    def _head(self, batch: Batch, first_row: int) -> Span:
        """Return the first rows of a batch, about a span."""
        n = min(batch.n_rows, self._rows_per_span())
        try:
            ready = self._cutter.texts(self._cutter.sources(batch, first_row), 0, n)
        except FieldMisfit as error:
            raise error.misfit.at(error.plan.name, first_row) from error.misfit.__cause__
        return self._cutter.span(ready, 0, n)

    def _write_ranges(self, batch: Batch, ranges: Sequence[tuple[int, int]], first_row: int) -> None:
        """Write each range of rows into segments of its own, some at a time; the first goes on in the open segment."""
        lanes = [Lane(self._open_segment, self._chunk_size, self._seal_now) for _ in ranges]
        lanes[0].open, self._lane.open = self._lane.open, None
        self._run_lanes(lanes, batch, ranges, first_row)

    def _run_lanes(
        self, lanes: Sequence[Lane], batch: Batch, ranges: Sequence[tuple[int, int]], first_row: int
    ) -> None:
        transaction = self._transaction
        assert transaction is not None
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._cores, thread_name_prefix="vecmill-lane")
        transaction.lanes += lanes
        for i, (lane, rows) in enumerate(zip(lanes, ranges, strict=True)):
            if i >= self._cores:
                transaction.running[i - self._cores].result()
            is_last = i == len(ranges) - 1
            transaction.running.append(self._pool.submit(self._run_lane, lane, batch, rows, first_row, is_last))
        for future in transaction.running:
            future.result()
        transaction.running.clear()
        for lane in lanes:
            self._lane.full += lane.full
        self._lane.open = lanes[-1].open
        del transaction.lanes[-len(lanes) :]

    def _run_lane(self, lane: Lane, batch: Batch, rows: tuple[int, int], first_row: int, is_last: bool) -> None:
        try:
            self._write_rows(lane, batch, rows, first_row)
        except Outgrown:  # a text is longer than those that the count was made of
            lane.start_over(self._open_segment)
            self._write_rows(lane, batch, rows, first_row)
        if not is_last:
            lane.roll()
        elif lane.counted and lane.open is not None:  # it takes no more, but is published with the next rows or commit
            lane.open.seal()

    def _rows_per_span(self) -> int:
        return max(1, self._span_bytes // self.row_bytes)

    def _write_rows(self, lane: Lane, batch: Batch, rows: tuple[int, int], first_row: int) -> None:
        """Write some rows of a batch into a lane, in even spans."""
        sources = self._cutter.sources(batch, first_row)
        start, end = rows
        n_spans = max(1, -(-(end - start) // self._rows_per_span()))
        step = -(-(end - start) // n_spans)
        try:
            while start < end:
                ready = self._cutter.texts(sources, start, min(start + step, end))
                span = self._cutter.span(ready, start, min(start + step, end))
                lane.write(span)
                start += span.n_rows
        except FieldMisfit as error:
            raise error.misfit.at(error.plan.name, first_row) from error.misfit.__cause__

    # -- segments

    @contextlib.contextmanager
    def _breaking(self) -> Iterator[None]:
        """Between begin and end, nobody can say which rows the files hold: an error there, of any kind, is the end."""
        self.is_broken = True
        yield
        self.is_broken = False

    def _open_segment(self, helper: Executor | None = None) -> SegmentFiles:
        folder = self._sink.open_segment(next(self._tokens))
        with undoing(folder.drop):
            return self._form.open(self._plans, folder, helper)

    def _open_counted(self, form: CountedFormat, row_bytes: int, n_rows: int) -> SegmentFiles:
        folder = self._sink.open_segment(next(self._tokens))
        with undoing(folder.drop):
            return form.open_counted(self._plans, folder, row_bytes, n_rows)

    def commit(self, callback: Callback | None) -> bool:
        """Hand over all rows for publishing. Return whether there were any. ``callback``: see ``Publisher.publish``."""
        self.drain()
        with self._breaking():
            self._lane.roll()
            had_rows = bool(self._lane.full)
            self._hand_over(callback)
        return had_rows

    def _hand_over(self, callback: Callback | None = None) -> None:
        """Publish the full segments, unless they hold rows of a batch that is not whole yet."""
        if self._transaction is None and self._lane.full:
            self._publisher.raise_failure()
            while self._lane.full:
                self._publisher.publish(self._lane.full.pop(0), callback)

    def _may_go_back(self, segment: SegmentFiles) -> bool:
        return self._transaction is not None and segment is self._transaction.first

    def _seal_now(self, segment: SegmentFiles) -> None:
        if not self._may_go_back(segment):
            segment.seal()

    def _seal_later(self, segment: SegmentFiles) -> None:
        """Within a batch, full segments are sealed though not published, so that they hold no files open."""
        if self._transaction is not None and not self._may_go_back(segment):
            self._publisher.seal(segment)

    def _begin(self, ahead: list[Batch], batches: Iterator[Batch]) -> None:
        """Set the mark. Where it takes memory to go back (``hold``), find out how large the batch is, as far as that
        matters; if it is too large, the open segment ends before it.
        """
        first = self._lane.open
        if first is not None:
            n_bytes = sum(batch.n_rows for batch in ahead) * self.row_bytes
            while n_bytes <= self._sink.hold_bytes and (batch := next(batches, None)) is not None:
                ahead.append(batch)
                n_bytes += batch.n_rows * self.row_bytes
            if not self._sink.hold(n_bytes):
                with self._breaking():
                    self._lane.roll()
                    self._hand_over()
                first = None
        self._transaction = _Transaction(first, first.mark() if first else None)

    def _keep(self) -> None:
        self._transaction = None
        with self._breaking():
            self._sink.release()
            self._hand_over()

    def _undo(self) -> None:
        """Go back to the mark. If that fails too, the writer is broken."""
        transaction, self._transaction = self._transaction, None
        assert transaction is not None
        with self._breaking(), contextlib.ExitStack() as stack:  # all of it, whatever a part of it raises
            for lane in transaction.lanes:
                lane.stop()
            wait(transaction.running)
            self._publisher.pause()
            self.stage.clear()
            stack.callback(self._sink.release)
            if transaction.first is not None:
                stack.callback(transaction.first.rollback, transaction.mark)
            stack.callback(setattr, self._lane, "open", transaction.first)
            for lane in [self._lane, *transaction.lanes]:
                stack.callback(lane.drop, but=transaction.first)

    def drop(self) -> None:
        """Forget all rows that were not handed over, and remove their files."""
        self.stage.clear()
        self._lane.drop()

    def close(self) -> None:
        """Drop what was not handed over, and end the threads."""
        try:
            self.drop()
        finally:
            for pool in (self._pool, self._helper):
                if pool is not None:
                    pool.shutdown()


def _even_share(chunk_size: int, span_bytes: int) -> int:
    """Return a span size that fills a chunk in whole spans, with a little left for headers and footer."""
    n_spans = -(-chunk_size // span_bytes)
    return max(1, int(chunk_size * 0.98) // n_spans)
