"""Word vectors, a word and its numbers a row: GloVe's text, word2vec's text (fastText's .vec) and its binary form.

word2vec's files begin with a line of two numbers, rows and dim. A binary row is the word, a blank, float32 values, and
from some writers a line end. In text words may hold blanks, as some of GloVe's do.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecmill._native import json_read, pgcopy_read
from vecmill.errors import DataError
from vecmill.sources.text.columns import Unfit, Values, decode
from vecmill.sources.text.json_rows import RowProblem, SpanBuffers, Spans
from vecmill.sources.text.stream import Bytes
from vecmill.sources.text.types import vector_type

COLUMNS = ("word", "vector")
_MAX_WORD = 1 << 16
_MAX_DIM = 1 << 16
_LEAST_NUMBERS = 4
"""So many numbers behind a word tell GloVe's text; fewer may be anything."""

_HEADER = re.compile(rb"([1-9][0-9]{0,11}) ([1-9][0-9]{0,5})[ \t]*\r?\n")
_NUMBER = re.compile(rb"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def form_of(head: bytes) -> str | None:
    """Return which kind of word vectors a file is that begins like this: glove, word2vec, word2vec-binary, or None."""
    header = _HEADER.match(head)
    if header is None:
        lines = [_numbers(line) for line in head.split(b"\n")[:3]]
        whole = lines[:-1] if len(lines) < 3 or len(lines[-1][1]) < len(lines[0][1]) else lines
        word, numbers = lines[0]
        if any(len(line[1]) != len(numbers) for line in whole) or _NUMBER.fullmatch(word):
            return None
        return "glove" if len(numbers) >= _LEAST_NUMBERS and all(map(_NUMBER.fullmatch, numbers)) else None
    dim, behind = int(header[2]), head[header.end() :]
    line, end, _ = behind.partition(b"\n")
    numbers = _numbers(line)[1] if end else _numbers(line)[1][:-1]
    if numbers and all(map(_NUMBER.fullmatch, numbers[-dim:])) and (len(numbers) >= dim or not end):
        return "word2vec"
    blank = behind.find(b" ")
    values = np.frombuffer(behind[blank + 1 : blank + 1 + 4 * dim][: (len(behind) - blank - 1) // 4 * 4], "<f4")
    sane = len(values) > 0 and bool((np.abs(values) < 1e6).all())  # False for NaN
    return "word2vec-binary" if blank > 0 and sane else None


def _numbers(line: bytes) -> tuple[bytes, list[bytes]]:
    """Return the text before the first blank, and what the other blanks cut."""
    word, *numbers = line.rstrip(b" \t\r").split(b" ")
    return word, numbers


def _header(data: Bytes) -> tuple[int, int, int] | None:
    """Return rows, dim and the end of the first line of word2vec's files; None if there is none."""
    found = _HEADER.match(data[:64].tobytes())
    return None if found is None else (int(found[1]), int(found[2]), found.end())


class WordVectors:
    """Rows of one file; see `Splitter`. ``wanted``: some of `COLUMNS`. ``dim``: of GloVe's rows, if it is known.

    ``data`` is the first block of the file. Raises DataError for a file that is not of the kind.
    """

    def __init__(self, kind: str, wanted: Sequence[str], data: Bytes, file: str, dim: int | None = None) -> None:
        header = None if kind == "glove" else _header(data)
        if kind != "glove" and header is None and len(data):
            got = repr(data[:20].tobytes().decode(errors="replace"))
            raise DataError(file=file, expected="a first line of two numbers, rows and dim (or --kind glove)", got=got)
        self._n_rows = None if header is None else header[0]
        self._begin = 0 if header is None else header[2]
        self.dim = header[1] if header is not None else dim or _common_dim(data)
        if not 0 < self.dim <= _MAX_DIM and len(data):
            raise DataError(file=file, expected=f"1 to {_MAX_DIM} numbers behind every word", got=f"{self.dim}")
        self._is_binary = kind == "word2vec-binary"
        self._wanted = wanted
        self._room = SpanBuffers(len(wanted))
        self._seen = 0
        self._begun = False

    def types(self) -> dict[str, Any]:
        """Return the types of the columns."""
        import pyarrow as pa

        return dict(zip(COLUMNS, (pa.string(), vector_type(self.dim, "float32")), strict=True))

    def take(self, data: Bytes, start: int, final: bool, max_rows: int, skip: int = 0) -> tuple[Spans, int, int]:
        """See `Splitter.take`."""
        if not self._begun:
            start, self._begun = self._begin, True
        n = min(skip or max_rows, self._room.n_rows)
        split = self._split_binary if self._is_binary else self._split_text
        spans, position = split(data, start, final, n)
        n = spans.n_rows
        self._seen += n
        if n == 0 and final and spans.problem is None and self._n_rows not in (None, self._seen):
            problem = RowProblem(position, f"{self._n_rows} rows, as the first line tells", f"{self._seen}")
            spans = self._room.spans(data, 0, problem)
        return (self._room.spans(data, 0, spans.problem), position, n) if skip else (spans, position, 0)

    def behind(self, data: Bytes, position: int, final: bool) -> None:
        """See `Splitter.behind`: there is nothing behind a row without an end."""

    def _spans(self, data: Bytes, n: int, places: Sequence[tuple[Any, Any]], problem: RowProblem | None) -> Spans:
        """Return rows whose word and vector are at these places."""
        room = self._room
        for i, name in enumerate(self._wanted):
            room.starts[i, :n], room.ends[i, :n] = places[COLUMNS.index(name)]
        room.kinds[:, :n] = json_read.STRING
        return room.spans(data, n, problem)

    def _split_text(self, data: Bytes, start: int, final: bool, n: int) -> tuple[Spans, int]:
        """Find lines, and put the numbers of each in brackets, in a copy, as the readers of lists want them."""
        room = self._room
        n, position = json_read.split_lines(data, start, final, room.rows[:n], room.row_ends[:n])
        starts, ends = room.rows[:n], room.row_ends[:n].copy()
        while (blank := np.isin(data[ends - 1], (9, 13, 32)) & (ends > starts)).any():
            ends -= blank
        blanks = np.flatnonzero(data[start:position] == 32) + start
        first, behind = np.searchsorted(blanks, starts), np.searchsorted(blanks, ends)
        # From the end: a word may hold blanks. A line with fewer numbers has them all in its vector, and is refused.
        at = np.append(blanks, len(data))[np.maximum(first, behind - self.dim)]
        at = np.minimum(at, ends)
        for row in np.flatnonzero(behind - first > self.dim).tolist():
            if _NUMBER.fullmatch(data[starts[row] : at[row]].tobytes().rpartition(b" ")[2]):
                at[row] = blanks[first[row]]
        own = np.empty(len(data) + 1, np.uint8)
        own[start:position] = data[start:position]
        own[at], own[ends] = ord("["), ord("]")
        return self._spans(own, n, [(starts, at), (at, ends + 1)], None), position

    def _split_binary(self, data: Bytes, start: int, final: bool, n: int) -> tuple[Spans, int]:
        room, size = self._room, 4 * self.dim
        text = data[start:].tobytes()
        found: list[tuple[int, int]] = []
        at, problem = 0, None
        while len(found) < n:
            word = at + (text[at : at + 1] == b"\n")
            blank = text.find(b" ", word, word + _MAX_WORD)
            if blank < 0 and len(text) - word >= _MAX_WORD:
                problem = RowProblem(start + word, "a word and a blank", f"{_MAX_WORD} bytes without one")
            if problem is not None or blank < 0 or blank + 1 + size > len(text):
                break
            found.append((word, blank))
            at = blank + 1 + size
        if final and problem is None and len(found) < n:
            if text[at:] in (b"", b"\n"):
                at = len(text)
            elif not found:
                expected = f"a word, a blank and {self.dim} float32 values"
                problem = RowProblem(start + at, expected, f"{len(text) - at} bytes before the end of the file")
        words, ends = np.array(found, np.int64).reshape(-1, 2).T + start
        room.rows[: len(found)], room.row_ends[: len(found)] = words, ends + 1 + size
        return self._spans(data, len(found), [(words, ends), (ends + 1, ends + 1 + size)], problem), start + at


def _common_dim(data: Bytes) -> int:
    """Return with how many numbers most lines of a block end."""
    lines = data[: 1 << 19].tobytes().split(b"\n")
    counts: Counter[int] = Counter()
    for line in lines[:-1] or lines:
        _, numbers = _numbers(line)
        counts[sum(1 for _ in takewhile(_NUMBER.fullmatch, reversed(numbers)))] += bool(numbers)
    return counts.most_common(1)[0][0] if counts else 0


def decode_words(values: Values, type_: Any) -> Any:
    """Return a column of word2vec's binary form; see `columns.decode`."""
    import pyarrow.types as t

    if not t.is_fixed_size_list(type_):
        return decode(values, type_)
    size = 4 * type_.list_size
    wrong = values.ends - values.starts != size
    if wrong.any():
        row = int(np.argmax(wrong))
        raise Unfit(row, f"{type_.list_size} numbers", f"{int(values.ends[row] - values.starts[row]) // 4} of them")
    out: NDArray[np.uint8] = np.empty((len(values), size), np.uint8)
    pgcopy_read.gather_into(values.data, values.starts, values.kinds, 0, 1, out)
    return out.view("<f4")
