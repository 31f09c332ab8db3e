"""Rows and batches of one writer on their way to segments, and full segments on to the publisher.

Rows gather in the stage and leave as one span when it is full; small batches are copied into it, and large ones go past
it. A batch is taken whole or refused whole: its rows are checked while they are written, so a mark is set before the
first one, and the writer goes back to it if a later one is bad. Until then no segment with its rows is published.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain

from vecmill.encode.batch import Batch
from vecmill.encode.blocks import TEXT_GUESS, VariableBlock
from vecmill.encode.cutter import BatchCutter, refusing_from
from vecmill.encode.plan import ColumnPlan
from vecmill.encode.stage import Stage
from vecmill.formats.base import CountedFormat, Format
from vecmill.schema.collection import CollectionSchema
from vecmill.store.sink import Sink
from vecmill.writer.batch_ranges import Cuts, even_share
from vecmill.writer.large import LargeBatches
from vecmill.writer.options import WriterOptions
from vecmill.writer.publisher import Callback, Publisher
from vecmill.writer.segments import SegmentOpener, Segments
from vecmill.writer.transaction import Mark

# Segments that a large batch fills at the same time. Each holds a few blocks and the text of a span in memory.
_MAX_CORES = 4
# Most text of one column that is encoded at once: a span ends where that is full.
_TEXT_BYTES = 8 * 1024 * 1024


class Pipeline:
    """Stage, segments and large batches of one writer. The caller holds the writer's lock.

    ``stage``: the rows that wait. ``row_bytes``: estimate of the encoded bytes of a row. ``is_broken``: an error
    left the files such that nobody can say which rows they hold.
    """

    def __init__(
        self,
        schema: CollectionSchema,
        plans: Sequence[ColumnPlan],
        form: Format,
        sink: Sink,
        options: WriterOptions,
        publisher: Publisher,
    ) -> None:
        self.row_bytes = form.row_nbytes(plans)
        span_bytes = even_share(options.segment_size, form.span_bytes)
        n_cores = min(_MAX_CORES, options.cores or os.cpu_count() or 1)
        cuts = Cuts(options.segment_size, span_bytes, self.row_bytes, len(plans), n_cores)
        in_memory = sum(plan.width or TEXT_GUESS for plan in plans)
        self.stage = Stage(plans, min(form.stage_bytes, span_bytes) * in_memory // self.row_bytes)
        self._sink = sink
        self._publisher = publisher
        self._helper = ThreadPoolExecutor(1, thread_name_prefix="vecmill-helper") if n_cores > 1 else None
        opener = SegmentOpener(form, plans, sink, publisher.manifest.last_number + 1)
        self._segments = Segments(partial(opener.open, self._helper), options.segment_size)
        self._cutter = BatchCutter(schema, plans, min(span_bytes, _TEXT_BYTES))
        counted = form if sink.keeps_headless and isinstance(form, CountedFormat) else None
        self._large = LargeBatches(self._segments, opener, self._cutter, cuts, counted)
        self._mark: Mark | None = None
        self.is_broken = False

    @property
    def n_rows(self) -> int:
        """Rows in the stage and in the open segment."""
        segment = self._segments.current  # read once: another thread may hand it over meanwhile
        return self.stage.n_rows + (segment.n_rows if segment else 0)

    @property
    def n_bytes(self) -> int:
        """Encoded bytes of these rows."""
        segment = self._segments.current
        return self.stage.n_bytes + (segment.n_bytes if segment else 0)

    def drain(self) -> None:
        """Write the rows of the stage to the open segment."""
        if self.stage.n_rows:
            with self._breaking():
                self._segments.write(self.stage.span(), None if self._mark is None else self._mark.seal_later)
                self.stage.clear()
                self._hand_over()

    def append(self, batches: Iterator[Batch], first_row: int) -> tuple[int, BaseException | None]:
        """Take batches as one, all or nothing; ``first_row``: number of their first row.

        Return how many of their rows were looked at, and the error for which all of them are refused, or None.
        """
        n_rows = 0
        try:
            first = next(batches, None)
            if first is None:
                return 0, None
            second = next(batches, None)
            if second is None and first.n_rows <= self.stage.capacity:
                n_rows = first.n_rows
                if self._add_to_stage(first, first_row):
                    return n_rows, None
                n_rows = 0
            self.drain()
            ahead = [first] if second is None else [first, second]
            mark = self._set_mark(ahead, batches)
            try:
                for batch in chain(ahead, batches):
                    row = first_row + n_rows
                    n_rows += batch.n_rows
                    if batch.n_rows > self.stage.capacity or not self._add_to_stage(batch, row):
                        self.drain()
                        self._large.write(batch, row, mark)
            except BaseException:
                self._mark = None
                with self._breaking():
                    mark.restore()
                raise
            self._keep()
        except BaseException as error:
            return n_rows, error
        return n_rows, None

    def _add_to_stage(self, batch: Batch, first_row: int) -> bool:
        """Copy a small batch into the stage, draining it first if need be. Return False if its text is too long."""
        n = batch.n_rows
        with refusing_from(first_row):
            sources = self._cutter.sources(batch)
            if n == 0:
                return True
            ready = self._cutter.texts(sources, 0, n)
            texts = [one for one in ready if isinstance(one, VariableBlock)]
            if any(block.n_rows < n for block in texts):
                return False
            sizes = [block.n_bytes for block in texts]
            if self.stage.n_rows + n > self.stage.capacity or not self.stage.text_room(sizes):
                self.drain()
                if not self.stage.text_room(sizes):
                    return False
            self.stage.add(self._cutter.span(ready, 0, n).columns, n)
        return True

    def _set_mark(self, ahead: list[Batch], batches: Iterator[Batch]) -> Mark:
        """Set the mark. Where going back takes memory (`Sink.hold`), move batches to ``ahead`` until it is known
        whether they are too large for that; if so, end the open segment first.
        """
        if self._segments.current is not None:
            n_bytes = sum(batch.n_rows for batch in ahead) * self.row_bytes
            while n_bytes <= self._sink.hold_bytes and (batch := next(batches, None)) is not None:
                ahead.append(batch)
                n_bytes += batch.n_rows * self.row_bytes
            if not self._sink.hold(n_bytes):
                with self._breaking():
                    self._segments.roll()
                    self._hand_over()
        self._mark = Mark(self.stage, self._segments, self._sink, self._publisher)
        return self._mark

    def _keep(self) -> None:
        """Keep what was written since the mark."""
        self._mark = None
        with self._breaking():
            self._sink.release()
            self._hand_over()

    def commit(self, callback: Callback | None) -> bool:
        """Hand over all rows for publishing. Return whether there were any. ``callback``: see ``Publisher.publish``."""
        self.drain()
        with self._breaking():
            self._segments.roll()
            had_rows = self._segments.has_full
            self._hand_over(callback)
        return had_rows

    def _hand_over(self, callback: Callback | None = None) -> None:
        """Publish the full segments, unless they hold rows of a batch that is not whole yet."""
        if self._mark is None and self._segments.has_full:
            self._publisher.raise_failure()
            while self._segments.has_full:
                self._publisher.publish(self._segments.pop_full(), callback)

    @contextlib.contextmanager
    def _breaking(self) -> Iterator[None]:
        """Mark the pipeline as broken, should the body raise: then nobody can say which rows the files hold."""
        self.is_broken = True
        yield
        self.is_broken = False

    def drop(self) -> None:
        """Drop all rows that were not handed over, and remove their files."""
        self.stage.clear()
        self._segments.drop()

    def close(self) -> None:
        """Drop the rows that were not handed over, and end the threads."""
        try:
            self.drop()
        finally:
            self._large.close()
            if self._helper is not None:
                self._helper.shutdown()
