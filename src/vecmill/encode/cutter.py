"""Batches cut into spans: some rows of their columns, checked and encoded when they are read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from vecmill.encode.arrow import is_text, plain_storage
from vecmill.encode.batch import Batch
from vecmill.encode.blocks import FixedBlock, Span, SpanColumn, VariableBlock
from vecmill.encode.columns import FixedSource, JsonText, MetaText, Source, VariableSource, open_column
from vecmill.encode.misfit import Misfit, unknown_field
from vecmill.encode.plan import ColumnPlan
from vecmill.errors import VecmillError
from vecmill.schema.collection import DYNAMIC_FIELD, CollectionSchema
from vecmill.types.text import META


@dataclass(frozen=True, slots=True)
class Part:
    """Rows [start, stop) of a source, as a column of a span."""

    plan: ColumnPlan
    source: FixedSource
    start: int
    stop: int

    def blocks(self) -> Iterator[FixedBlock]:
        """See FixedColumn. Raises FieldMisfit."""
        with _naming(self.plan):
            yield from self.source.blocks(self.start, self.stop)

    @property
    def releases_gil(self) -> bool:
        """See FixedColumn."""
        return self.source.releases_gil

    def rows(self, start: int, stop: int) -> Part:
        """See FixedColumn."""
        return Part(self.plan, self.source, self.start + start, self.start + stop)


class FieldMisfit(Exception):  # noqa: N818  a signal between layers
    """A Misfit with the plan of its column."""

    def __init__(self, plan: ColumnPlan, misfit: Misfit) -> None:
        super().__init__(plan.name, misfit)
        self.plan = plan
        self.misfit = misfit


@contextlib.contextmanager
def _naming(plan: ColumnPlan) -> Iterator[None]:
    """Raise a Misfit of the body as FieldMisfit, and so what NumPy or Arrow raises for a column that it cannot read."""
    try:
        yield
    except Misfit as misfit:
        raise FieldMisfit(plan, misfit) from misfit.__cause__
    except VecmillError:
        raise
    except (BufferError, LookupError, NotImplementedError, OverflowError, TypeError, ValueError) as error:
        got = f"a column that raises {type(error).__name__}: {' '.join(str(error).split())}"
        raise FieldMisfit(plan, Misfit(plan.expected, got)) from error


@contextlib.contextmanager
def refusing_from(first_row: int) -> Iterator[None]:
    """Raise a FieldMisfit of the body as DataError, for a batch whose first row has the number ``first_row``."""
    try:
        yield
    except FieldMisfit as error:
        raise error.misfit.at(error.plan.name, first_row) from error.misfit.__cause__


class BatchCutter:
    """Makes spans of the batches of one writer. ``text_bytes``: most text of a column that is encoded at once."""

    def __init__(self, schema: CollectionSchema, plans: Sequence[ColumnPlan], text_bytes: int) -> None:
        self._fields = {one.name for one in schema.fields}
        self.plans = plans
        self._text_bytes = text_bytes

    def sources(self, batch: Batch) -> list[Source]:
        """Return the columns of a batch, one per plan. Raises FieldMisfit; DataError for unknown columns."""
        names = {plan.name for plan in self.plans}
        extras = {name: column for name, column in batch.columns.items() if name not in names}
        has_meta = self.plans[-1].kind is META
        for name in extras:
            if not has_meta or name in self._fields:
                raise unknown_field(name, self._fields, None)
        if has_meta and DYNAMIC_FIELD in batch.columns:
            extras[DYNAMIC_FIELD] = batch.columns[DYNAMIC_FIELD]
        sources: list[Source] = []
        for plan in self.plans:
            with _naming(plan):
                if plan.kind is META and extras:
                    sources.append(self._dynamic(plan, extras))
                else:
                    sources.append(open_column(plan, batch.columns.get(plan.name), batch.n_rows))
        return sources

    def _dynamic(self, plan: ColumnPlan, extras: dict[str, Any]) -> Source:
        """Return ``$meta``: as it is given, if it is text and all there is."""
        given = extras.get(DYNAMIC_FIELD)
        if len(extras) == 1 and given is not None and hasattr(given, "type"):
            array = plain_storage(given)
            if is_text(array.type):
                return JsonText(plan, array, [*self._fields, DYNAMIC_FIELD])
        return MetaText(plan, extras)

    def spans(self, batch: Batch, start: int, stop: int, step: int) -> Iterator[Span]:
        """Yield rows of a batch in spans of ``step`` rows, or fewer where their text is long. Raises as `sources`.

        The columns of fixed width are encoded when the spans are read, which raises FieldMisfit too.
        """
        sources = self.sources(batch)
        while start < stop:
            end = min(start + step, stop)
            span = self.span(self.texts(sources, start, end), start, end)
            yield span
            start += span.n_rows

    def texts(self, sources: Sequence[Source], start: int, stop: int) -> list[Source | VariableBlock]:
        """Encode the text columns of rows [start, stop), or of as many as there is room for. Raises FieldMisfit."""
        ready: list[Any] = []
        for plan, source in zip(self.plans, sources, strict=True):
            if not plan.is_variable:
                ready.append(source)
                continue
            taker: VariableSource = source  # type: ignore[assignment]
            with _naming(plan):
                ready.append(taker.take(start, stop, self._text_bytes))
        return ready

    def span(self, ready: Sequence[Source | VariableBlock], start: int, stop: int) -> Span:
        """Return rows from ``start`` on as a span: to ``stop``, or as far as their texts in ``ready`` go."""
        n = min([stop - start, *(one.n_rows for one in ready if isinstance(one, VariableBlock))])
        columns: list[SpanColumn] = []
        for plan, one in zip(self.plans, ready, strict=True):
            if isinstance(one, VariableBlock):
                columns.append(one.rows(0, n))
            else:
                fixed: FixedSource = one  # type: ignore[assignment]
                columns.append(Part(plan, fixed, start, start + n))
        return Span(n, columns)
