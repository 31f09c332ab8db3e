"""Columns of text files: JSON Lines, JSON, CSV, TSV, COPY; plain, gzip or zstd; files or standard input."""

from __future__ import annotations

import bisect
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any

from vecmill.errors import DataError
from vecmill.sources.base import MAX_BATCH_ROWS, Column, names_text
from vecmill.sources.pgcopy import decode_binary
from vecmill.sources.textcolumns import Unfit, Values, decode
from vecmill.sources.textfiles import NOTHING, TextFiles, as_column, check_row_size, located, newlines
from vecmill.sources.textrows import Problem, Spans, Splitter
from vecmill.sources.textstream import Blocks, Input


class TextSource:
    """Columns of text files that follow one another; see `Source`. A batch never spans two files.

    ``wanted`` maps field names to columns of the files. ``strict``: a key of JSON that is no column is an error, as its
    values would be lost.
    """

    n_rows = None

    def __init__(
        self, files: TextFiles, wanted: Mapping[str, str], *, strict: bool = False, batch_rows: int | None = None
    ) -> None:
        self._files = files
        self._strict = strict
        self._batch_rows = batch_rows
        for name in wanted.values():
            if name not in files.types:
                got = f"columns {names_text(files.names)}"
                raise DataError(file=files.inputs[0].name, expected=f"a column {name!r}", got=got)
        self.columns = tuple(
            Column(name, column, as_column(files.types[column]), None) for name, column in wanted.items()
        )
        self.n_bytes = sum(source.n_bytes for source in files.inputs)
        self._ends: list[int] = []

    def locate(self, row: int, name: str | None = None) -> tuple[str, int]:
        """Return the file that holds ``row``, as far as files have been read, and the row in that file."""
        i = min(bisect.bisect_right(self._ends, row), len(self._files.inputs) - 1)
        return self._files.inputs[i].name, row - (self._ends[i - 1] if i else 0)

    def batches(
        self, names: Sequence[str] | None = None, *, batch_rows: int | None = None, start_row: int = 0
    ) -> Iterator[Mapping[str, Any]]:
        """Yield the rows as columns; see `Source.batches`. The rows before one that is refused come first."""
        columns = [c for c in self.columns if names is None or c.name in names]
        strict = self._strict and names is None
        rows = batch_rows or self._batch_rows or MAX_BATCH_ROWS
        before = 0
        for i, source in enumerate(self._files.inputs):
            if i < len(self._ends) and self._ends[i] <= start_row:
                before = self._ends[i]
                continue
            n = yield from self._read(source, columns, rows, max(0, start_row - before), strict)
            before += n
            if i == len(self._ends):
                self._ends.append(before)

    def _read(
        self, source: Input, columns: Sequence[Column], batch_rows: int, skip: int, strict: bool
    ) -> Generator[Mapping[str, Any], None, int]:
        """Yield the batches of one file; return its rows."""
        wanted = list(dict.fromkeys(column.source for column in columns))
        row = 0
        line = self._files.first_line
        with Blocks(source) as blocks:
            tail = NOTHING
            splitter: Splitter | None = None
            final = False
            while not final:
                data, final = blocks.next(tail)
                if splitter is None:
                    splitter = self._files.splitter(source, wanted, strict=strict, first=(data, final))
                position = 0
                while True:
                    began = position
                    spans, position, skipped = splitter.take(data, position, final, batch_rows, skip)
                    row += skipped
                    skip -= skipped
                    batch, problem = self._decoded(spans, columns, wanted)
                    n = len(next(iter(batch.values()))) if batch else spans.n_rows
                    if n:
                        yield batch
                        row += n
                    if problem is not None:
                        raise located(source.name, row, line, data, problem)
                    if position == began and not n and not skipped:
                        break
                if line is not None:
                    line += newlines(data[:position])
                tail = data[position:]
                check_row_size(source.name, row, tail)
        return row

    def _decoded(
        self, spans: Spans, columns: Sequence[Column], wanted: Sequence[str]
    ) -> tuple[dict[str, Any], Problem | None]:
        """Return the columns of the rows that are well, and what is wrong with the next one."""
        function = decode_binary if self._files.kind == "copy-binary" else decode
        problem = spans.problem
        while True:
            made: dict[str, Any] = {}
            worst: tuple[int, Problem] | None = None
            for column in columns:
                c = wanted.index(column.source)
                twin = next((name for name in made if self._source(name) == column.source), None)
                if twin is not None:
                    made[column.name] = made[twin]
                    continue
                n = spans.n_rows if worst is None else worst[0]
                values = Values(
                    spans.data, spans.starts[c, :n], spans.ends[c, :n], spans.kinds[c, :n], self._files.style
                )
                try:
                    made[column.name] = function(values, self._files.types[column.source])
                except Unfit as unfit:
                    at = int(values.starts[unfit.row])
                    at = at if at >= 0 else int(spans.row_starts[unfit.row])
                    worst = unfit.row, Problem(at, unfit.expected, unfit.got, column.name)
            if worst is None:
                return made, problem
            spans, problem = spans.first(worst[0]), worst[1]

    def _source(self, name: str) -> str:
        return next(column.source for column in self.columns if column.name == name)
