"""From rows in the stage and columns of a batch to segments: what leaves when, and what is taken back.

A batch is taken whole or refused whole, whatever its size. Its rows are checked while they are written, so before
the first of them a mark is set; if a later one is bad, the segment that was open goes back to the mark and those
begun since are dropped. Until the batch is whole, nothing that holds its rows is published.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from vecmill.batch import Batch
from vecmill.blocks import FixedBlock, Span, SpanColumn, TextBlock
from vecmill.columns import FixedSource, MetaText, Source, TextSource, open_column
from vecmill.formats.base import Format, SegmentFiles
from vecmill.manifest import FileEntry
from vecmill.misfit import Misfit
from vecmill.plan import ColumnPlan
from vecmill.publisher import Callback, Publisher
from vecmill.refusals import unknown_field
from vecmill.schema import CollectionSchema
from vecmill.segment import TEXT_GUESS, Stage
from vecmill.sinks.local import SegmentFolder
from vecmill.textjson import DYNAMIC_FIELD


@dataclass(slots=True)
class Tally:
    """Rows of a batch that were looked at so far."""

    n_rows: int = 0


@dataclass(slots=True)
class _Segment:
    """An open segment."""

    number: int
    files: SegmentFiles
    sealed: Future[tuple[FileEntry, ...]] | None = None


@dataclass(slots=True)
class _Transaction:
    """What a batch has to undo: the first segment goes back to ``mark``, the ``full`` ones after it are dropped."""

    first: _Segment | None
    mark: Any
    full: list[_Segment] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Part:
    """Some rows of a source, as a column of a span."""

    plan: ColumnPlan
    source: FixedSource
    start: int
    stop: int

    def blocks(self) -> Iterator[FixedBlock]:
        try:
            yield from self.source.blocks(self.start, self.stop)
        except Misfit as misfit:
            raise _FieldMisfit(self.plan, misfit) from misfit.__cause__


class _FieldMisfit(Exception):  # noqa: N818  a Misfit on its way up, with its field
    def __init__(self, plan: ColumnPlan, misfit: Misfit) -> None:
        super().__init__(plan.name, misfit)
        self.plan = plan
        self.misfit = misfit


class Pipeline:
    """Drives stage, format and publisher for one writer. The caller holds the writer's lock."""

    def __init__(
        self,
        schema: CollectionSchema,
        plans: Sequence[ColumnPlan],
        form: Format,
        root: Path,
        chunk_size: int,
        publisher: Publisher,
    ) -> None:
        self._plans = plans
        self._form = form
        self._root = root
        self._chunk_size = chunk_size
        self._publisher = publisher
        self._fields = {one.name for one in schema.fields}
        self._row_bytes = sum(plan.width or TEXT_GUESS for plan in plans)
        self._span_bytes = _even_share(chunk_size, form.span_bytes)
        self.stage = Stage(plans, min(form.stage_bytes, self._span_bytes))
        self._segment: _Segment | None = None
        self._next_number = 1
        self._transaction: _Transaction | None = None
        self.is_broken = False

    @property
    def n_rows(self) -> int:
        """Rows in the stage and in the open segment."""
        return self.stage.n_rows + (self._segment.files.n_rows if self._segment else 0)

    @property
    def n_bytes(self) -> int:
        """Their encoded bytes."""
        return self.stage.n_bytes + (self._segment.files.n_bytes if self._segment else 0)

    @staticmethod
    def new_tally() -> Tally:
        """Return a count that ``append`` keeps."""
        return Tally()

    # -- rows

    def drain(self) -> None:
        """Write the rows of the stage to the open segment."""
        if self.stage.n_rows:
            self._write(self.stage.span())
            self.stage.clear()

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
        self._begin()
        try:
            for batch in chain([first] if second is None else [first, second], batches):
                row = first_row + tally.n_rows
                tally.n_rows += batch.n_rows
                if batch.n_rows > self.stage.capacity or not self._add_to_stage(batch, row):
                    self.drain()
                    self._write_batch(batch, row)
        except BaseException:
            self._undo()
            raise
        self._keep()

    def _sources(self, batch: Batch, first_row: int) -> list[Source]:
        names = {plan.name for plan in self._plans}
        extras = {name: column for name, column in batch.columns.items() if name not in names}
        has_meta = self._plans[-1].kind == "meta"
        for name in extras:
            if not has_meta or name in self._fields:
                raise unknown_field(name, self._fields, None)
        if has_meta and DYNAMIC_FIELD in batch.columns:
            extras[DYNAMIC_FIELD] = batch.columns[DYNAMIC_FIELD]
        sources: list[Source] = []
        for plan in self._plans:
            try:
                if plan.kind == "meta" and extras:
                    sources.append(MetaText(plan, extras))
                else:
                    sources.append(open_column(plan, batch.columns.get(plan.name), batch.n_rows))
            except Misfit as misfit:
                raise misfit.at(plan.name, first_row) from misfit.__cause__
        return sources

    def _add_to_stage(self, batch: Batch, first_row: int) -> bool:
        """Copy a small batch into the stage, draining it first if need be. False if its text is too long for that."""
        sources = self._sources(batch, first_row)
        n = batch.n_rows
        if n == 0:
            return True
        try:
            ready = self._texts(sources, 0, n)
            texts = [one for one in ready if isinstance(one, TextBlock)]
            sizes = [block.n_bytes for block in texts]
            if any(block.n_rows < n for block in texts):
                return False
            if self.stage.n_rows + n > self.stage.capacity or not self.stage.text_room(sizes):
                self.drain()
                if not self.stage.text_room(sizes):
                    return False
            self.stage.add([_staged(plan, one, n) for plan, one in zip(self._plans, ready, strict=True)], n)
        except _FieldMisfit as error:
            raise error.misfit.at(error.plan.name, first_row) from error.misfit.__cause__
        return True

    def _texts(self, sources: Sequence[Source], start: int, stop: int) -> list[Source | TextBlock]:
        """Encode the text columns of some rows; the others stay as they are."""
        ready: list[Any] = []
        for plan, source in zip(self._plans, sources, strict=True):
            if not plan.is_text:
                ready.append(source)
                continue
            taker: TextSource = source  # type: ignore[assignment]
            try:
                ready.append(taker.take(start, stop, self._span_bytes))
            except Misfit as misfit:
                raise _FieldMisfit(plan, misfit) from misfit.__cause__
        return ready

    def _write_batch(self, batch: Batch, first_row: int) -> None:
        """Write a large batch past the stage, in even spans."""
        sources = self._sources(batch, first_row)
        n = batch.n_rows
        most = max(1, self._span_bytes // self._row_bytes)
        step = -(-n // -(-n // most)) if n else 0
        start = 0
        try:
            while start < n:
                ready = self._texts(sources, start, min(start + step, n))
                rows = min([min(step, n - start), *(one.n_rows for one in ready if isinstance(one, TextBlock))])
                columns: list[SpanColumn] = []
                for plan, one in zip(self._plans, ready, strict=True):
                    if isinstance(one, TextBlock):
                        columns.append(one.rows(0, rows))
                    else:
                        fixed: FixedSource = one  # type: ignore[assignment]
                        columns.append(_Part(plan, fixed, start, start + rows))
                self._write(Span(rows, columns))
                start += rows
        except _FieldMisfit as error:
            raise error.misfit.at(error.plan.name, first_row) from error.misfit.__cause__

    # -- segments

    def _write(self, span: Span) -> None:
        files = self._segment.files if self._segment is not None else None
        if files is not None and files.n_rows and files.grown_nbytes(span) > self._chunk_size:
            self._roll()
        if self._segment is None:
            folder = SegmentFolder(self._root, self._next_number)
            self._segment = _Segment(self._next_number, self._form.open(self._plans, folder))
            self._next_number += 1
        self._segment.files.write(span)

    def _roll(self, callback: Callback | None = None) -> None:
        """Hand the open segment over: to the publisher, or within a batch to those that wait for its end."""
        segment, self._segment = self._segment, None
        assert segment is not None
        transaction = self._transaction
        if transaction is None:
            self._publisher.publish(segment.number, segment.files, callback=callback)
            return
        if segment is not transaction.first:  # that one may have to go back to its mark: it stays open
            segment.sealed = self._publisher.seal(segment.files)
        transaction.full.append(segment)

    def commit(self, callback: Callback | None) -> None:
        """Hand over all rows for publishing."""
        self.drain()
        if self._segment is not None and self._segment.files.n_rows:
            self._roll(callback)

    def _begin(self) -> None:
        first = self._segment
        self._transaction = _Transaction(first, first.files.mark() if first else None)

    def _keep(self) -> None:
        transaction, self._transaction = self._transaction, None
        assert transaction is not None
        for segment in transaction.full:
            self._publisher.publish(segment.number, segment.files, segment.sealed)

    def _undo(self) -> None:
        """Go back to the mark. If that fails too, the writer is broken."""
        transaction, self._transaction = self._transaction, None
        assert transaction is not None
        self.is_broken = True
        self.stage.clear()
        begun = [*transaction.full, *([self._segment] if self._segment else [])]
        self._segment = transaction.first
        for segment in begun:
            if segment is transaction.first:
                continue
            if segment.sealed is not None:
                segment.sealed.result()
            segment.files.drop()
            self._next_number = min(self._next_number, segment.number)
        if transaction.first is not None:
            transaction.first.files.rollback(transaction.mark)
        self.is_broken = False

    def drop(self) -> None:
        """Forget all rows that were not handed over, and remove their files."""
        segment, self._segment = self._segment, None
        self.stage.clear()
        if segment is not None:
            segment.files.drop()


def _staged(plan: ColumnPlan, one: Source | TextBlock, n_rows: int) -> Any:
    if isinstance(one, TextBlock):
        return one
    fixed: FixedSource = one  # type: ignore[assignment]
    return _Part(plan, fixed, 0, n_rows)


def _even_share(chunk_size: int, span_bytes: int) -> int:
    """Return a span size that fills a chunk in whole spans, with a little left for headers and footer."""
    n_spans = -(-chunk_size // span_bytes)
    return max(1, int(chunk_size * 0.98) // n_spans)
