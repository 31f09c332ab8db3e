"""Rows of a batch on their way past the stage: parts of its columns, as columns of a span."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vecmill.blocks import FixedBlock
from vecmill.columns import FixedSource
from vecmill.misfit import Misfit
from vecmill.plan import ColumnPlan


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows of a source, as a column of a span."""

    plan: ColumnPlan
    source: FixedSource
    start: int
    stop: int

    def blocks(self) -> Iterator[FixedBlock]:
        """See FixedColumn. Raises FieldMisfit."""
        try:
            yield from self.source.blocks(self.start, self.stop)
        except Misfit as misfit:
            raise FieldMisfit(self.plan, misfit) from misfit.__cause__

    @property
    def releases_gil(self) -> bool:
        """See FixedColumn."""
        return self.source.releases_gil

    def rows(self, start: int, stop: int) -> Part:
        """See FixedColumn."""
        return Part(self.plan, self.source, self.start + start, self.start + stop)


class FieldMisfit(Exception):  # noqa: N818  a signal between layers
    """A Misfit on its way up, with its field."""

    def __init__(self, plan: ColumnPlan, misfit: Misfit) -> None:
        super().__init__(plan.name, misfit)
        self.plan = plan
        self.misfit = misfit
