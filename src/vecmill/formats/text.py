"""Formats of rows as text: the common part of JSON, JSON Lines and CSV.

Rows are rendered from column blocks by one kernel call for some thousand values, into buffers that are used again, and
leave at once: memory is bounded by blocks, not by the segment. Rendering costs more than all else, so a second thread
shares it: it renders ahead what this one has not come to yet.
"""

from __future__ import annotations

import contextlib
import json
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecmill._native.row_write import RowText
from vecmill.encode.blocks import TEXT_GUESS, Bytes, FixedBlock, Span, VariableBlock
from vecmill.encode.plan import ColumnPlan
from vecmill.formats.base import SingleFileSegment
from vecmill.output_formats import FileFormat, FormatRules
from vecmill.store.sink import Mark, SinkFolder

# Memory of rendered text, and what is rendered at once: handing work to another thread and waiting for it takes about
# 0.2 ms, this ten times that.
_PAGE_BYTES = 2 * 1024 * 1024
_CHUNK_BYTES = _PAGE_BYTES * 7 // 8
# Chunks that the second thread may be ahead.
_AHEAD = 3


# As RowText takes them. A column: kind, dim, lead, items. Its values: (n, width), or bytes with offsets; validity.
_Cell = tuple[str, int, bytes, tuple[Any, ...]]
_View = tuple[Bytes, NDArray[np.int32] | None, Bytes | None]


@dataclass(frozen=True, slots=True)
class Layout:
    """How rows of a format are put together.

    ``head`` and ``tail`` begin and end the file; ``row_head`` begins a row, less its first ``skip`` bytes in the first
    one; ``leads`` stand before each value; ``row_tail`` ends a row; ``null`` is the text of a null; ``separator`` is
    that of CSV, None for JSON: text with its first byte is quoted.
    """

    head: bytes
    row_head: bytes
    leads: Sequence[bytes]
    row_tail: bytes
    tail: bytes
    null: bytes
    skip: int = 0
    separator: bytes | None = None


class TextFormat:
    """A format of rows as text. Subclasses define ``layout_of``, and ``row``, their row of `FORMATS`."""

    stage_bytes = 8 * 1024 * 1024
    span_bytes = 8 * 1024 * 1024
    import_options: Mapping[str, str] = {}
    row: FileFormat
    rules: FormatRules

    def layout_of(self, plans: Sequence[ColumnPlan]) -> Layout:
        """Return the layout of a file with these columns."""
        raise NotImplementedError

    def row_nbytes(self, plans: Sequence[ColumnPlan]) -> int:
        """Return the bytes of a row: numbers as in embeddings, ``TEXT_GUESS`` bytes for each text."""
        layout = self.layout_of(plans)
        frame = len(layout.row_head) + sum(map(len, layout.leads)) + len(layout.row_tail)
        return frame + sum(2 + TEXT_GUESS if plan.is_variable else _usual_nbytes(plan) for plan in plans)

    def open(self, plans: Sequence[ColumnPlan], folder: SinkFolder, helper: Executor | None) -> TextSegment:
        """Open a file."""
        return TextSegment(plans, self.layout_of(plans), folder, self.row.endings[0], helper)


class TextSegment(SingleFileSegment):
    """One file of rows while it is written."""

    def __init__(
        self, plans: Sequence[ColumnPlan], layout: Layout, folder: SinkFolder, suffix: str, helper: Executor | None
    ) -> None:
        self._plans = plans
        self._layout = layout
        self._helper = helper
        self._renderer = _Renderer(plans, layout)
        self._most = len(layout.row_head) + sum(map(len, layout.leads)) + len(layout.row_tail)
        self._most += sum(max(_most_nbytes(plan), len(layout.null)) for plan in plans)
        super().__init__(folder, suffix, layout.head)

    @property
    def n_bytes(self) -> int:
        """Bytes of the file, if it ended here."""
        return self._file.n_bytes + (0 if self._sealed else len(self._layout.tail))

    def fitting(self, span: Span, max_bytes: int) -> int:
        """Return how many rows of a span can be written until the file has ``max_bytes``.

        A number takes as many bytes as it takes: where the most it could be is too much, the rows are rendered to see.
        """
        room = max_bytes - self.n_bytes
        if self._most_nbytes(span) <= room:
            return span.n_rows
        n_rows = 0
        for chunk in self._chunks(span):
            ends = self._renderer.row_ends(chunk)
            n_rows += int(np.searchsorted(ends, room, side="right"))
            room -= int(ends[-1])
            if room < 0:
                break
        return n_rows

    def _most_nbytes(self, span: Span) -> int:
        n_bytes = span.n_rows * self._most
        for plan, column in zip(self._plans, span.columns, strict=True):
            if isinstance(column, VariableBlock):
                n_bytes += _most_variable(plan, column)
        return n_bytes

    def write(self, span: Span) -> None:
        """Append the rows of a span."""
        chunks = self._chunks(span)
        rendered = self._renderer.one_by_one(chunks) if self._helper is None else self._shared(chunks, self._helper)
        with contextlib.closing(rendered):
            for n_rows, pieces in rendered:
                skip = 0 if self.n_rows else self._layout.skip
                for piece in pieces:
                    self._file.append(piece[skip:])
                    skip = 0
                self._renderer.release(pieces)
                self.n_rows += n_rows

    def _chunks(self, span: Span) -> list[Span]:
        variable = sum(column.n_bytes for column in span.columns if isinstance(column, VariableBlock))
        step = max(1, _CHUNK_BYTES // (self._most + variable // max(1, span.n_rows)))
        n_chunks = -(-span.n_rows // step)
        cuts = [span.n_rows * i // n_chunks for i in range(n_chunks + 1)] if n_chunks else []
        return [span.rows(start, stop) for start, stop in pairwise(cuts)]

    def _shared(self, chunks: list[Span], helper: Executor) -> Generator[tuple[int, list[Bytes]], None, None]:
        """Render chunks with two threads and yield them in order. Raise the error of the first chunk that has one."""
        if len(chunks) == 1:
            yield from self._renderer.one_by_one(chunks)
            return
        jobs: deque[_Job] = deque()
        rest = iter(chunks)
        try:
            while True:
                while len(jobs) < _AHEAD and (chunk := next(rest, None)) is not None:
                    jobs.append(_Job(chunk, helper.submit(self._renderer.render, chunk)))
                if not jobs:
                    return
                if not jobs[0].future.done():
                    # The helper may be rendering the first chunk: take the first one that is not begun.
                    for job in jobs:
                        if job.future.cancel():
                            job.future = _done(self._renderer, job.chunk)
                            break
                job = jobs[0]
                pieces = job.future.result()
                jobs.popleft()
                yield job.chunk.n_rows, pieces
        finally:
            for job in jobs:
                job.future.cancel()
            wait([job.future for job in jobs])

    def mark(self) -> tuple[Mark, int]:
        """Return the end of the file and its rows."""
        return self._file.mark(), self.n_rows

    def rollback(self, mark: tuple[Mark, int]) -> None:
        """Forget the rows since ``mark``."""
        self._file.rollback(mark[0])
        self.n_rows = mark[1]

    def _tail(self) -> bytes:
        return self._layout.tail


@dataclass(slots=True)
class _Job:
    """A chunk, and the future of its text."""

    chunk: Span
    future: Future[list[Bytes]]


def _done(renderer: _Renderer, chunk: Span) -> Future[list[Bytes]]:
    """Render a chunk in this thread. The future keeps an error until the chunk's turn."""
    future: Future[list[Bytes]] = Future()
    try:
        future.set_result(renderer.render(chunk))
    except Exception as error:
        future.set_exception(error)
    return future


class _Renderer:
    """Renders chunks of rows as text. Two threads may use it at the same time."""

    def __init__(self, plans: Sequence[ColumnPlan], layout: Layout) -> None:
        leads = [*layout.leads]
        leads[0] = layout.row_head + leads[0]
        self._rows = RowText(
            columns=[_cell(plan, lead, layout) for plan, lead in zip(plans, leads, strict=True)],
            tail=layout.row_tail, null=layout.null, separator=layout.separator,
        )  # fmt: skip
        self._spare: list[Bytes] = []

    def one_by_one(self, chunks: Sequence[Span]) -> Generator[tuple[int, list[Bytes]], None, None]:
        """Render chunks in this thread; yield (rows, pieces) of each."""
        for chunk in chunks:
            yield chunk.n_rows, self.render(chunk)

    def render(self, chunk: Span, ends: NDArray[np.int64] | None = None) -> list[Bytes]:
        """Return the text in pieces, to ``release`` later. ``ends`` (n,): receives the bytes up to each row's end."""
        pieces: list[Bytes] = []
        page = self._page(0)
        used = n_bytes = first = 0
        for n_rows, columns in _runs(chunk):
            row = 0
            while row < n_rows:
                part = None if ends is None else ends[first : first + n_rows]
                done, size = self._rows.render_into(columns, row, n_rows, page[used:], part)
                if part is not None:
                    part[row:done] += n_bytes
                used, n_bytes = used + size, n_bytes + size
                if done < n_rows:  # no room for all that the next row could take
                    if used:
                        pieces.append(page[:used])
                    page, used = self._page(0 if used else 2 * len(page)), 0
                row = done
            first += n_rows
        pieces.append(page[:used])
        return pieces

    def row_ends(self, chunk: Span) -> NDArray[np.int64]:
        """Return (n,) bytes from the start of the chunk to the end of each row."""
        ends = np.empty(chunk.n_rows, np.int64)
        self.release(self.render(chunk, ends))
        return ends

    def release(self, pieces: Sequence[Bytes]) -> None:
        """Take back the memory of rendered pieces."""
        for piece in pieces:
            page = piece.base
            if isinstance(page, np.ndarray) and len(page) == _PAGE_BYTES and len(self._spare) <= _AHEAD:
                self._spare.append(page)

    def _page(self, n_bytes: int) -> Bytes:
        if n_bytes <= _PAGE_BYTES:
            with contextlib.suppress(IndexError):
                return self._spare.pop()
        return np.empty(max(n_bytes, _PAGE_BYTES), np.uint8)


def _runs(span: Span) -> Iterator[tuple[int, list[_View]]]:
    """Yield (rows, columns) such that every column is a part of one block."""
    blocks: list[Iterator[FixedBlock | VariableBlock]] = [
        iter((one,)) if isinstance(one, VariableBlock) else one.blocks() for one in span.columns
    ]
    current = [next(one) for one in blocks]
    at = [0] * len(blocks)
    left = span.n_rows
    while True:
        n = min(block.n_rows - start for block, start in zip(current, at, strict=True))
        yield n, [_view(block, start, start + n) for block, start in zip(current, at, strict=True)]
        left -= n
        if not left:
            return
        for i, block in enumerate(current):
            at[i] += n
            if at[i] == block.n_rows:
                current[i], at[i] = next(blocks[i]), 0


def _view(block: FixedBlock | VariableBlock, start: int, stop: int) -> _View:
    validity = None if block.validity is None else block.validity[start:stop]
    if isinstance(block, VariableBlock):
        return block.data, block.offsets[start : stop + 1], validity
    return block.values[start:stop], None, validity


def _cell(plan: ColumnPlan, lead: bytes, layout: Layout) -> _Cell:
    leads = (
        [b""]
        if plan.kind.group == "array"
        else member_leads([item.name for item in plan.items], layout.separator is not None)
    )
    items = tuple(_cell(item, one, layout) for item, one in zip(plan.items, leads, strict=True))
    return plan.kind.name, plan.dim, lead, items


def member_leads(names: Sequence[str], is_csv: bool) -> list[bytes]:
    """Return the text before each member of a JSON object; with doubled quotes for a CSV cell if ``is_csv``."""
    leads = [f"{',' if i else '{'}{json.dumps(name, ensure_ascii=False)}:" for i, name in enumerate(names)]
    return [(lead.replace('"', '""') if is_csv else lead).encode() for lead in leads]


def _most_nbytes(plan: ColumnPlan) -> int:
    """Return the most bytes of a fixed width value with two quotes, 0 for variable width."""
    return 0 if plan.is_variable else _nbytes(plan, plan.kind.text_most)


def _usual_nbytes(plan: ColumnPlan) -> int:
    """Return the bytes that a fixed width value takes in embeddings, with two quotes."""
    return _nbytes(plan, plan.kind.text_usual or plan.kind.text_most)


def _nbytes(plan: ColumnPlan, number: int) -> int:
    return number * (plan.kind.n_numbers(plan.dim) if plan.is_vector else 1) + 4


def _most_variable(plan: ColumnPlan, block: VariableBlock) -> int:
    """Return the most bytes that the values of a block can take."""
    n, n_bytes = block.n_rows, block.n_bytes
    if plan.kind.group == "array" and plan.items[0].width:
        return 4 * n + n_bytes // plan.items[0].width * plan.items[0].kind.text_most
    if plan.items:
        return (8 + sum(len(item.name) + 8 for item in plan.items)) * n_bytes + 4 * n
    data = block.data[block.offsets[0] : block.offsets[-1]]
    escaped = np.count_nonzero(data == ord('"')) + np.count_nonzero(data == ord("\\"))
    return n_bytes + 4 * n + int(escaped) + 5 * int(np.count_nonzero(data < 0x20))
