"""NPY column sets: ``<n>/<field>.npy``, one file for each field, version 1.0 in C order, as numpy writes it.

Numbers and vectors leave as they come; the row count in the header is patched at the end. Text cannot: every value of a
``<U`` column takes the width of the longest, which is known only when the segment is sealed. It waits as UTF-8 in a
scratch file (4 to 16 times smaller than what it becomes), so that memory does not grow with the segment.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np

from vecmill._native import text as kernel
from vecmill.encode.blocks import TEXT_GUESS, FixedColumn, Span, VariableBlock
from vecmill.encode.plan import ColumnPlan
from vecmill.formats.base import fitting_rows
from vecmill.formats.npy_header import npy_header
from vecmill.manifest import FileEntry
from vecmill.output_formats import FORMATS, BulkFileType
from vecmill.store.sink import Mark, SinkFile, SinkFolder, undoing

_EXPAND_BYTES = 512 * 1024
# Handing work to another thread and waiting for it takes about 0.2 ms, the check of this much three times that.
_WORTH_TWO_THREADS = 8 * 1024 * 1024
# npy_header makes 128 bytes for any width and row count there can be.
_TEXT_HEADER_BYTES = 128


class NpyFormat:
    """NPY. The stage stays in the cache of a core, where rows are scattered, checked and written."""

    import_options: Mapping[str, str] = {}
    rules = FORMATS[BulkFileType.NUMPY].rules
    stage_bytes = 1024 * 1024
    span_bytes = 32 * 1024 * 1024

    def row_nbytes(self, plans: Sequence[ColumnPlan]) -> int:
        """Return the bytes of a row with ``TEXT_GUESS`` bytes for each text."""
        return sum(plan.width or TEXT_GUESS for plan in plans)

    def open(self, plans: Sequence[ColumnPlan], folder: SinkFolder, helper: Executor | None) -> NpySegment:
        """Open a column set."""
        return NpySegment(plans, folder, helper)

    def nbytes_like(self, plans: Sequence[ColumnPlan], span: Span) -> int:
        """Return the bytes of a row, if no text is longer than the longest one of ``span``."""
        n_bytes = 0
        for plan, column in zip(plans, span.columns, strict=True):
            if isinstance(column, VariableBlock):
                n_bytes += 4 * max(1, kernel.longest_codepoints(column.offsets, column.data))
            else:
                n_bytes += plan.width
        return n_bytes

    def open_counted(self, plans: Sequence[ColumnPlan], folder: SinkFolder, row_bytes: int, n_rows: int) -> NpySegment:
        """Open a column set of exactly ``n_rows`` rows."""
        return NpySegment(
            plans, folder, None, n_rows=n_rows, text_bytes=n_rows * (row_bytes - sum(p.width for p in plans))
        )


class NpySegment:
    """The column files of one segment."""

    def __init__(
        self,
        plans: Sequence[ColumnPlan],
        folder: SinkFolder,
        helper: Executor | None,
        *,
        n_rows: int | None = None,
        text_bytes: int | None = None,
    ) -> None:
        """``n_rows``, ``text_bytes``: final row count and total UTF-8 bytes of text. None: unknown, both of them."""
        self._folder = folder
        self._count = n_rows
        self.n_rows = 0
        self._sealed: list[tuple[str, int, str]] = []  # (field, bytes, checksum)
        self._columns: list[_FixedFile | _TextFile] = []
        with undoing(self._close):
            for plan in plans:
                if plan.is_variable:
                    self._columns.append(_TextFile(plan, folder, text_bytes))
                else:
                    self._columns.append(_FixedFile(plan, folder, helper, n_rows))

    @property
    def n_bytes(self) -> int:
        """Encoded bytes so far. Each text takes 4 bytes for each code point of the longest one in its column."""
        return sum(column.nbytes(self.n_rows) for column in self._columns)

    def _grown_nbytes(self, span: Span) -> int:
        """Return the encoded bytes of the segment with ``span``."""
        rows = self.n_rows + span.n_rows
        return sum(c.grown_nbytes(rows, column) for c, column in zip(self._columns, span.columns, strict=True))

    def fitting(self, span: Span, max_bytes: int) -> int:
        """Return how many rows of a span can be written before the segment has more than ``max_bytes``."""
        if self._count is not None and self.n_rows == self._count:
            return 0
        return fitting_rows(self._grown_nbytes, span, max_bytes)

    def write(self, span: Span) -> None:
        """Append the rows of a span to every column."""
        for file, column in zip(self._columns, span.columns, strict=True):
            file.write(column, span.n_rows)
        self.n_rows += span.n_rows

    def mark(self) -> tuple[int, list[Any]]:
        """Return the state of all columns."""
        return self.n_rows, [column.mark() for column in self._columns]

    def rollback(self, mark: tuple[int, list[Any]]) -> None:
        """Forget what came since ``mark``."""
        self.n_rows, marks = mark
        for column, one in zip(self._columns, marks, strict=True):
            column.rollback(one)

    def seal(self) -> None:
        """Expand the text, write the headers, close the files."""
        if not self._sealed:
            self._sealed = [(column.name, *column.seal(self.n_rows)) for column in self._columns]

    def publish(self, number: int) -> tuple[FileEntry, ...]:
        """Make the set visible."""
        folder = self._folder.publish(number)
        return tuple(
            FileEntry(path=f"{folder}/{name}.npy", rows=self.n_rows, bytes=n_bytes, checksum=checksum, field=name)
            for name, n_bytes, checksum in self._sealed
        )

    def withdraw(self) -> None:
        """Hide the set again."""
        self._folder.withdraw()

    def drop(self) -> None:
        """Close and remove the files."""
        self._close()
        self._folder.drop()

    def _close(self) -> None:
        with contextlib.ExitStack() as stack:  # all columns, even if one raises
            for column in self._columns:
                stack.callback(column.close)


class _FixedFile:
    """A column of numbers or vectors."""

    def __init__(
        self, plan: ColumnPlan, folder: SinkFolder, helper: Executor | None, n_rows: int | None = None
    ) -> None:
        self._plan = plan
        self.name = plan.name
        self._helper = helper
        self._per_row = plan.width // plan.element.itemsize
        self._header_bytes = len(self._header(0))
        self._n_rows = n_rows
        if n_rows is None:
            self._file = folder.create(f"{plan.name}.npy", self._header_bytes)
        else:
            self._file = folder.create_known(f"{plan.name}.npy", self._header(n_rows), n_rows * plan.width)

    def _header(self, n_rows: int) -> bytes:
        shape = (n_rows, self._per_row) if self._plan.is_vector else (n_rows,)
        return npy_header(self._plan.element.str, shape)

    def nbytes(self, n_rows: int) -> int:
        return self._header_bytes + n_rows * self._plan.width

    def grown_nbytes(self, n_rows: int, _column: object) -> int:
        return self.nbytes(n_rows)

    def write(self, column: FixedColumn | VariableBlock, n_rows: int) -> None:
        assert not isinstance(column, VariableBlock)
        width, half = self._plan.width, n_rows // 2
        if self._helper is None or not column.releases_gil or n_rows * width < _WORTH_TWO_THREADS:
            for block in column.blocks():
                if block.lasts and self._n_rows is not None:  # a counted segment ends with the batch that brings it
                    self._file.append_lasting(block.values)
                else:
                    self._file.append(block.values)
            return
        first, second = column.rows(0, half), column.rows(half, n_rows)
        self._file.append_both(
            (block.values for block in first.blocks()),
            half * width,
            (block.values for block in second.blocks()),
            (n_rows - half) * width,
            self._helper,
        )

    def mark(self) -> Mark:
        return self._file.mark()

    def rollback(self, mark: Mark) -> None:
        self._file.rollback(mark)

    def seal(self, n_rows: int) -> tuple[int, str]:
        if self._n_rows is None:
            return self._file.finish(self._header(n_rows))
        assert n_rows == self._n_rows
        return self._file.finish()

    def close(self) -> None:
        self._file.close()


class _TextFile:
    """A column of text: UTF-8 in a scratch file, as PLAIN BYTE_ARRAY values, until its width is known."""

    def __init__(self, plan: ColumnPlan, folder: SinkFolder, n_bytes: int | None = None) -> None:
        self.name = plan.name
        self._folder = folder
        self._scratch = folder.scratch(plan.name, n_bytes)
        self._pieces: list[tuple[int, int]] = []  # (rows, bytes) of what was appended, in order
        self._longest = 0
        self._measured: tuple[object, int] = (None, 0)
        self._file: SinkFile | None = None

    def nbytes(self, n_rows: int) -> int:
        return _TEXT_HEADER_BYTES + n_rows * 4 * max(1, self._longest)

    def grown_nbytes(self, n_rows: int, column: object) -> int:
        return _TEXT_HEADER_BYTES + n_rows * 4 * max(1, self._longest, self._longest_of(column))

    def _longest_of(self, column: object) -> int:
        assert isinstance(column, VariableBlock)
        if self._measured[0] is not column:  # measured once, though asked for twice
            self._measured = (column, kernel.longest_codepoints(column.offsets, column.data))
        return self._measured[1]

    def write(self, column: FixedColumn | VariableBlock, _n_rows: int) -> None:
        assert isinstance(column, VariableBlock)
        self._longest = max(self._longest, self._longest_of(column))
        self._measured = (None, 0)
        plain = np.empty(4 * column.n_rows + column.n_bytes, np.uint8)
        used = kernel.plain_byte_array_into(column.offsets, column.data, None, plain)
        self._scratch.append(plain[:used])
        self._pieces.append((column.n_rows, used))

    def mark(self) -> tuple[Mark, int, int]:
        return self._scratch.mark(), len(self._pieces), self._longest

    def rollback(self, mark: tuple[Mark, int, int]) -> None:
        self._scratch.rollback(mark[0])
        del self._pieces[mark[1] :]
        self._longest = mark[2]

    def seal(self, n_rows: int) -> tuple[int, str]:
        # numpy itself never writes <U0, and the server refuses it.
        width = max(1, self._longest)
        header = npy_header(f"<U{width}", (n_rows,))
        self._file = self._folder.create_known(f"{self.name}.npy", header, 4 * width * n_rows)
        step = max(1, _EXPAND_BYTES // (4 * width))
        ucs4 = np.empty((min(step, n_rows), width), np.uint32)
        at = 0
        for rows, n_bytes in _merged(self._pieces):
            plain = np.frombuffer(self._scratch.read(at, n_bytes), np.uint8)
            at += n_bytes
            for low in range(0, rows, step):
                out = ucs4[: min(step, rows - low)]
                plain = plain[kernel.ucs4_from_plain_into(plain, out) :]
                self._file.append(out)
        self._scratch.close()
        self._pieces.clear()
        return self._file.finish()

    def close(self) -> None:
        self._scratch.close()
        if self._file is not None:
            self._file.close()


def _merged(pieces: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return pieces with small neighbours joined, for fewer reads."""
    joined: list[tuple[int, int]] = []
    for rows, n_bytes in pieces:
        if joined and joined[-1][1] + n_bytes <= _EXPAND_BYTES:
            joined[-1] = (joined[-1][0] + rows, joined[-1][1] + n_bytes)
        else:
            joined.append((rows, n_bytes))
    return joined
