"""Where in a text file something is wrong: its row, and its line."""

from __future__ import annotations

from vecmill._native import json_read
from vecmill.errors import DataError
from vecmill.sources.text.json_rows import RowProblem
from vecmill.sources.text.stream import MAX_ROW_BYTES, Bytes, TextInput


def check_row_size(file: str, row: int, tail: Bytes) -> None:
    """Raise DataError for a row that is longer than a row may be."""
    if len(tail) > MAX_ROW_BYTES:
        raise DataError(
            file=file, row=row, expected=f"rows of at most {MAX_ROW_BYTES} bytes", got=f"more than {len(tail)}"
        )


def located(file: str, row: int, line: int | None, problem: RowProblem) -> DataError:
    """Return the error for a row; ``line`` is that of the problem, None where there are no lines."""
    where = "" if line is None else f" (line {line})"
    return DataError(
        file=file, field=problem.field, row=row, expected=problem.expected, got=f"{problem.got}{where}",
        value=problem.value,
    )  # fmt: skip


class Lines:
    """Line numbers of bytes, counted on from the last byte that was asked for: there may be many bad rows."""

    def __init__(self, first: int | None) -> None:
        self._line = first
        self._at = 0

    def at(self, data: Bytes, position: int) -> int | None:
        """Return the number of the line at ``position``, None where there are no lines."""
        if self._line is not None:
            low, high = sorted((self._at, position))
            n = json_read.count_lines(data[low:high])
            self._line += n if position == high else -n
            self._at = position
        return self._line

    def block_ends(self, data: Bytes, position: int) -> None:
        """Go over to the block that begins at ``position`` of this one."""
        self.at(data, position)
        self._at = 0


def lines_of(source: TextInput, first: int | None) -> Lines:
    """Return the line numbers of a file, from that of its first line on; none of rows that were written anew."""
    return Lines(first if source.has_lines else None)
