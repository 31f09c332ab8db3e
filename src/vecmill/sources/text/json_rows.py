"""JSON Lines into rows: where each value stands in a block of bytes. And the protocol of all splitters.

A splitter is made for one file and the columns wanted of it, and is given one block after another. It decodes nothing:
`columns` does.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vecmill._native import json_read
from vecmill.sources.base import names_text, one_line
from vecmill.sources.text.paths import KeyPath, follow
from vecmill.sources.text.stream import Bytes

MAX_ROWS = 1 << 14
"""Most rows of one call: the size of `SpanBuffers`."""
_LEAST_ROWS, _MOST_SPANS = 64, 1 << 20

WORDS = {
    json_read.DEEP: ("values nested less than 512 deep", "deeper ones"),
    json_read.SHORT: ("a whole JSON value", "an end in the middle of one"),
}


@dataclass(frozen=True, slots=True)
class RowProblem:
    """What is wrong with a row, and at which byte of the block. ``value``: the wrong value, as it stands there."""

    position: int
    expected: str
    got: str
    field: str | None = None
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Spans:
    """Some rows of a block: value i of column c is ``data[starts[c, i]:ends[c, i]]``, of a kind (see `json_read`).

    ``problem`` is about the row behind them. ``rest``: offsets (n + 1,) int32 and UTF-8 of the members of each row that
    are no column, as one object. Valid until the splitter is asked again.
    """

    data: Bytes
    row_starts: NDArray[np.int64]
    row_ends: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    kinds: NDArray[np.uint8]
    problem: RowProblem | None = None
    rest: tuple[NDArray[np.int32], Bytes] | None = None

    @property
    def n_rows(self) -> int:
        """Return the number of rows."""
        return len(self.row_starts)

    def first(self, n: int) -> Spans:
        """Return the first ``n`` rows."""
        rest = None if self.rest is None else (self.rest[0][: n + 1], self.rest[1])
        return Spans(
            self.data, self.row_starts[:n], self.row_ends[:n], self.starts[:, :n], self.ends[:, :n], self.kinds[:, :n],
            rest=rest,
        )  # fmt: skip

    def behind(self, n: int) -> Spans:
        """Return the rows from the one with the number ``n`` on."""
        return Spans(
            self.data, self.row_starts[n:], self.row_ends[n:], self.starts[:, n:], self.ends[:, n:], self.kinds[:, n:],
            self.problem, None if self.rest is None else (self.rest[0][n:], self.rest[1]),
        )  # fmt: skip


class Splitter(Protocol):
    """Rows of one file, in order."""

    def take(self, data: Bytes, start: int, final: bool, max_rows: int, skip: int = 0) -> tuple[Spans, int, int]:
        """Return rows from byte ``start`` of a block on, where to go on, and how many rows were skipped before them.

        No rows, none skipped, and no problem: more of the file is needed. ``final``: nothing comes behind this block.
        Up to ``skip`` rows are only counted; what is wrong with them is not looked at where they can be told apart.
        """

    def behind(self, data: Bytes, position: int, final: bool) -> tuple[Spans, int] | None:
        """Go on behind the row that the last call found a problem with, in the same block; None if its end is unknown.

        ``position`` is where that call said to go on. Returns rows, and where to go on.
        """


class SpanBuffers:
    """Arrays for the spans of one call, used again and again: of fewer rows where there are very many columns."""

    def __init__(self, n_columns: int) -> None:
        self.n_rows = n_rows = max(_LEAST_ROWS, min(MAX_ROWS, _MOST_SPANS // max(n_columns, 1)))
        self.rows = np.empty(n_rows, np.int64)
        self.row_ends = np.empty(n_rows, np.int64)
        self.starts = np.empty((n_columns, n_rows), np.int64)
        self.ends = np.empty((n_columns, n_rows), np.int64)
        self.kinds = np.empty((n_columns, n_rows), np.uint8)

    def spans(self, data: Bytes, n: int, problem: RowProblem | None) -> Spans:
        """Return the first ``n`` rows, and what is wrong with the one behind them."""
        return Spans(
            data, self.rows[:n], self.row_ends[:n], self.starts[:, :n], self.ends[:, :n], self.kinds[:, :n], problem
        )


class JsonObjects:
    """Rows that are JSON objects; their keys are the columns.

    ``columns``: the wanted ones. ``known``: further keys that a row may have. ``strict``: any other key is an error.
    ``rest``: those other keys are kept, see `Spans`.
    """

    def __init__(
        self, columns: Sequence[KeyPath], *, known: Sequence[str] = (), strict: bool = False, rest: bool = False
    ) -> None:
        self._columns = columns
        keys = dict.fromkeys([*(column.key for column in columns), *known])
        self._places = [list(keys).index(column.key) for column in columns]
        self._is_flat = self._places == list(range(len(keys))) and not any(column.steps for column in columns)
        self._walker = json_read.ObjectWalker([key.encode() for key in keys], strict)
        self._keys = tuple(keys)
        self._keeps_rest = rest
        self._room = SpanBuffers(len(keys))
        # Rows of the block that are known but not walked yet, and what was wrong with the one behind them.
        self._left = range(0)
        self._problem_behind: RowProblem | None = None
        self._passable = False

    def behind(self, data: Bytes, position: int, final: bool) -> tuple[Spans, int] | None:
        """See `Splitter.behind`."""
        return (self._walk_on(data), position) if self._passable else None

    def _walk(self, data: Bytes, n: int, problem: RowProblem | None, skip: int) -> tuple[Spans, int]:
        room = self._room
        skip = min(skip, n)
        if skip:
            n -= skip
            room.rows[:n] = room.rows[skip : skip + n].copy()
            room.row_ends[:n] = room.row_ends[skip : skip + n].copy()
        self._left, self._problem_behind = range(n), problem
        return self._walk_on(data), skip

    def _walk_on(self, data: Bytes) -> Spans:
        """Walk the rows that are left, up to one that is refused."""
        room, left = self._room, self._left
        starts, ends = room.rows[left.start : left.stop], room.row_ends[left.start : left.stop]
        offsets = out = None
        if self._keeps_rest:
            offsets = np.zeros(len(starts) + 1, np.int32)
            out = np.empty(max(1, int((ends - starts).sum())), np.uint8)
        done, why, position = self._walker.walk(data, starts, ends, room.starts, room.ends, room.kinds, offsets, out)
        problem = self._problem_behind
        if why != json_read.OK:
            problem = self._problem(data, int(starts[done]), int(ends[done]), why, position)
        self._left = left[done + 1 :]
        self._passable = why != json_read.OK
        rest = None
        if offsets is not None and out is not None:
            rest = offsets[: done + 1], out[: max(1, int(offsets[done]))].copy()
        spans = Spans(
            data, starts[:done], ends[:done], room.starts[:, :done], room.ends[:, :done], room.kinds[:, :done], problem,
            rest,
        )  # fmt: skip
        return spans if self._is_flat else self._followed(spans)

    def _followed(self, spans: Spans) -> Spans:
        """Return the columns that are wanted: their keys' values, or what a path leads to in them."""
        shape = len(self._columns), spans.n_rows
        starts, ends, kinds = np.empty(shape, np.int64), np.empty(shape, np.int64), np.empty(shape, np.uint8)
        for i, (column, place) in enumerate(zip(self._columns, self._places, strict=True)):
            starts[i], ends[i], kinds[i] = spans.starts[place], spans.ends[place], spans.kinds[place]
            follow(spans.data, column.steps, starts[i], ends[i], kinds[i])
        return Spans(spans.data, spans.row_starts, spans.row_ends, starts, ends, kinds, spans.problem, spans.rest)

    def _problem(self, data: Bytes, start: int, end: int, why: int, position: int) -> RowProblem:
        if why in (json_read.TWICE, json_read.UNKNOWN):
            key_end, _, _ = json_read.value_end(data, position)
            key = json.loads(data[position:key_end].tobytes())
            if why == json_read.TWICE:
                return RowProblem(position, "a key once", "it twice", key)
            got = f"the key {key!r}, which the rows at the beginning do not have; name the columns, or give their types"
            return RowProblem(position, f"one of the keys {names_text(self._keys)}", got, key)
        if why == json_read.DEEP:
            return RowProblem(position, *WORDS[why])
        raw = data[start:end].tobytes()
        return RowProblem(position, "a JSON object", _what_is_wrong(raw))


def _what_is_wrong(raw: bytes) -> str:
    """Say in Python's words why a row is no JSON object."""
    try:
        value = json.loads(raw.decode())
    except RecursionError:
        return "values nested too deep"
    except UnicodeDecodeError:
        return "bytes that are not UTF-8"
    except ValueError as err:
        where = getattr(err, "colno", None)
        reason = getattr(err, "msg", one_line(err))
        return f"{reason[0].lower()}{reason[1:]} at character {where}" if where else reason
    shown = raw.decode(errors="replace").strip()
    return f"{type(value).__name__} {shown if len(shown) <= 40 else shown[:37] + '...'}"


class JsonLines(JsonObjects):
    """One object a line; blank lines do not count."""

    def take(self, data: Bytes, start: int, final: bool, max_rows: int, skip: int = 0) -> tuple[Spans, int, int]:
        """See `Splitter.take`."""
        room = self._room
        n = min(max_rows, room.n_rows)
        n, position = json_read.split_lines(data, start, final, room.rows[:n], room.row_ends[:n])
        spans, skipped = self._walk(data, n, None, skip)
        return spans, position, skipped
