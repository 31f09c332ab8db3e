"""Columns of text files: JSON Lines, JSON, CSV, TSV, COPY; plain, gzip or zstd; files or standard input."""

from __future__ import annotations

import bisect
import json
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vecmill.errors import DataError
from vecmill.schema.fields import DYNAMIC_FIELD
from vecmill.sources.base import MAX_BATCH_ROWS, Column, names_text
from vecmill.sources.text.columns import Unfit, Values, texts_of
from vecmill.sources.text.fields import read_column
from vecmill.sources.text.files import TextFiles, as_column
from vecmill.sources.text.json_rows import RowProblem, Spans, Splitter
from vecmill.sources.text.located import check_row_size, lines_of, located
from vecmill.sources.text.pgcopy import decode_binary
from vecmill.sources.text.stream import NOTHING, Blocks, TextInput
from vecmill.sources.text.types import json_type
from vecmill.sources.text.words import decode_words


class TextSource:
    """Columns of text files that follow one another; see `Source`. A batch never spans two files.

    ``wanted`` maps field names to columns of the files. ``takes_all``: a key of JSON that is no column is an error, as
    its values would be lost; or part of the dynamic field, where the options say so (``rest``). ``dropped``: keys that
    are passed over all the same.
    """

    n_rows = None

    def __init__(
        self,
        files: TextFiles,
        wanted: Mapping[str, str],
        *,
        takes_all: bool = False,
        dropped: Collection[str] = (),
        batch_rows: int | None = None,
    ) -> None:
        self._files = files
        self._wanted = dict(wanted)
        self._rest = takes_all and files.options.rest and files.dialect.is_json
        self._strict = takes_all and not self._rest
        self._dropped = dropped
        self._batch_rows = batch_rows
        if self._rest:
            self._wanted.pop(DYNAMIC_FIELD, None)
        for name in self._wanted.values():
            if name not in files.types:
                got = f"columns {names_text(files.names)}"
                raise DataError(file=files.inputs[0].name, expected=f"a column {name!r}", got=got)
        columns = [_column(name, column, files) for name, column in self._wanted.items()]
        if self._rest:
            columns.append(Column(DYNAMIC_FIELD, DYNAMIC_FIELD, json_type(), 0))
        self.columns = tuple(columns)
        self.n_bytes = sum(source.n_bytes for source in files.inputs)
        self._ends: list[int] = []
        self._suspended: _Suspended | None = None

    def without(self, names: Collection[str]) -> TextSource:
        """Return the source without these columns: another source has them."""
        wanted = {name: column for name, column in self._wanted.items() if name not in names}
        return self._with(wanted)

    def finds(self, name: str) -> bool:
        """Whether the files have such a column, which may be a path into JSON."""
        return self._files.find(name)

    def with_column(self, name: str) -> TextSource:
        """Return the source with one more column, which the files have."""
        return self._with({**self._wanted, name: name})

    def _with(self, wanted: Mapping[str, str]) -> TextSource:
        takes_all = self._strict or self._rest
        return TextSource(self._files, wanted, takes_all=takes_all, dropped=self._dropped, batch_rows=self._batch_rows)

    def locate(self, row: int, name: str | None = None) -> tuple[str, int]:
        """Return the file that holds ``row``, among the files read so far, and the row in that file."""
        i = min(bisect.bisect_right(self._ends, row), len(self._files.inputs) - 1)
        return self._files.inputs[i].name, row - (self._ends[i - 1] if i else 0)

    def batches(
        self, names: Sequence[str] | None = None, *, batch_rows: int | None = None, start_row: int = 0
    ) -> Iterator[Mapping[str, Any]]:
        """Yield the rows as columns; see `Source.batches`. Rows before a bad row come first, then its error.

        A call that asks for the rows behind that row, with the same ``names``, goes on in the open file: a file may
        hold very many bad rows.
        """
        asked = (None if names is None else tuple(names), batch_rows)
        last, self._suspended = self._suspended, None
        if last is not None and (last.asked, last.row) == (asked, start_row):
            items = last.items
        else:
            if last is not None:
                last.items.close()
            items = self._items(names, batch_rows or self._batch_rows or MAX_BATCH_ROWS, start_row)
        row = start_row
        try:
            for item in items:
                if isinstance(item, DataError):
                    if self.locate(row) == (item.file, item.row):
                        self._suspended = _Suspended(asked, row + 1, items)
                    raise item
                yield item
                row += len(next(iter(item.values())))
        finally:
            if self._suspended is None or self._suspended.items is not items:
                items.close()

    def _items(
        self, names: Sequence[str] | None, batch_rows: int, start_row: int
    ) -> Generator[Mapping[str, Any] | DataError, None, None]:
        """Yield batches, and an error for every row that is refused; raise it if nothing behind it can be read."""
        columns = [c for c in self.columns if names is None or c.name in names]
        before = 0
        for i, source in enumerate(self._files.inputs):
            if i < len(self._ends) and self._ends[i] <= start_row:
                before = self._ends[i]
                continue
            n = yield from self._read(source, columns, batch_rows, max(0, start_row - before))
            before += n
            if i == len(self._ends):
                self._ends.append(before)

    def _read(
        self, source: TextInput, columns: Sequence[Column], batch_rows: int, skip: int
    ) -> Generator[Mapping[str, Any] | DataError, None, int]:
        """Yield the batches and errors of one file; return its rows. A column that it does not have is left out."""
        import pyarrow as pa

        asked, columns = columns, self._in_file(source, columns)
        makes_rest = self._rest and any(column.name == DYNAMIC_FIELD for column in columns)
        wanted = list(dict.fromkeys(column.source for column in columns if column.source in self._files.types))
        if makes_rest:
            wanted.append(DYNAMIC_FIELD)
        known = [*self._files.keys_of(self._wanted), *self._dropped] if self._strict or self._rest else ()
        row = 0
        lines = lines_of(source, self._files.dialect.first_line)
        with Blocks(source, block_bytes=self._files.options.block_bytes) as blocks:
            tail = NOTHING
            splitter: Splitter | None = None
            final = False
            while not final:
                data, final = blocks.next(tail)
                if splitter is None:
                    splitter = self._files.splitter(
                        source, wanted, known=known, strict=self._strict, rest=makes_rest, first=(data, final)
                    )
                position = 0
                while True:
                    began, first = position, row
                    spans, position, skipped = splitter.take(data, position, final, batch_rows, skip)
                    row += skipped
                    skip -= skipped
                    while True:
                        batch, problem, n = self._decoded(spans, columns, wanted)
                        if n:
                            yield batch if "" not in batch else {column.name: pa.nulls(n) for column in asked}
                            row += n
                        if problem is None:
                            break
                        error = located(source.name, row, lines.at(data, problem.position), problem)
                        yield error
                        row += 1
                        if n < spans.n_rows:
                            spans = spans.behind(n + 1)
                            continue
                        more = splitter.behind(data, position, final)
                        if more is None:
                            raise error
                        spans, position = more
                    if position == began and row == first:
                        break
                lines.block_ends(data, position)
                tail = data[position:]
                check_row_size(source.name, row, tail)
        return row

    def _in_file(self, source: TextInput, columns: Sequence[Column]) -> Sequence[Column]:
        """Return the columns that a file has; if it has none of them, one without a name that counts its rows."""
        there = self._files.headers.get(source.name)
        if there is None:
            return columns
        found = [column for column in columns if column.source in there]
        return found or [Column("", there[0], self._files.types[there[0]], None)]

    def _decoded(
        self, spans: Spans, columns: Sequence[Column], wanted: Sequence[str]
    ) -> tuple[dict[str, Any], RowProblem | None, int]:
        """Return (columns of the rows before the first bad row, what is wrong with it or None, number of rows)."""
        is_binary = self._files.dialect.is_binary
        decode = decode_words if self._files.dialect.is_words else decode_binary
        problem = spans.problem
        places = {name: c for c, name in enumerate(wanted)}
        while True:
            made: dict[str, Any] = {}
            worst: tuple[int, RowProblem] | None = None
            twins: dict[str, str] = {}
            for column in columns:
                if spans.rest is not None and column.name == DYNAMIC_FIELD:
                    continue
                c = places[column.source]
                twin = twins.setdefault(column.source, column.name)
                if twin in made:
                    made[column.name] = made[twin]
                    continue
                n = spans.n_rows if worst is None else worst[0]
                values = Values(
                    spans.data, spans.starts[c, :n], spans.ends[c, :n], spans.kinds[c, :n], self._files.dialect.style
                )
                try:
                    if is_binary:
                        made[column.name] = decode(values, self._files.types[column.source])
                    else:
                        made[column.name] = read_column(values, self._files.wanted(column.source))
                except Unfit as unfit:
                    at = int(values.starts[unfit.row])
                    at = at if at >= 0 else int(spans.row_starts[unfit.row])
                    shown = None if is_binary else values.text(unfit.row)
                    worst = unfit.row, RowProblem(at, unfit.expected, unfit.got, column.name, shown)
            if worst is None:
                if spans.rest is not None:
                    made[DYNAMIC_FIELD] = self._dynamic(spans, wanted)
                return made, problem, spans.n_rows
            spans, problem = spans.first(worst[0]), worst[1]

    def _dynamic(self, spans: Spans, wanted: Sequence[str]) -> Any:
        """Return the dynamic field: the members of each row that are no column, and those of its own ``$meta``."""
        import pyarrow as pa

        assert spans.rest is not None
        offsets, data = spans.rest
        texts = pa.StringArray.from_buffers(spans.n_rows, pa.py_buffer(offsets), pa.py_buffer(data))
        c = wanted.index(DYNAMIC_FIELD)
        own = Values(spans.data, spans.starts[c], spans.ends[c], spans.kinds[c], self._files.dialect.style)
        if own.kinds.any():
            texts = pa.array(map(_merged, texts.to_pylist(), texts_of(own)), pa.string())
        return pa.ExtensionArray.from_storage(json_type(), texts)


def _merged(rest: str, own: str | None) -> str:
    """Return the members of two JSON objects as one; the second may be text of one."""
    if own is None or own == "null":
        return rest
    if own[:1] == '"':
        own = str(json.loads(own))
    own = own.strip()
    inside, more = rest[1:-1].strip(), own[1:-1].strip()
    if own[:1] + own[-1:] != "{}" or not inside:
        return own  # what is no object is refused when it is written
    return f"{{{inside},{more}}}" if more else rest


def _column(name: str, column: str, files: TextFiles) -> Column:
    file, absent = files.found.get(column, ("", ""))
    type_ = as_column(files.types[column])
    return Column(name, column, type_, None, file=file, absent=absent, is_optional=column in files.optional)


@dataclass(frozen=True, slots=True)
class _Suspended:
    """Reading that stopped at a bad row: the arguments it was called with, and the row it goes on with."""

    asked: tuple[tuple[str, ...] | None, int | None]
    row: int
    items: Generator[Mapping[str, Any] | DataError, None, None]
