"""JSON that holds columns, or rows in another form than objects in an array: written anew as an array of objects.

Such a document tells a row only at its end, so that all of it is read at once: up to `MAX_BYTES`.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from vecmill._native import json_read
from vecmill.errors import DataError
from vecmill.sources.base import names_text
from vecmill.sources.text.document import Way, member_at, skip_blank
from vecmill.sources.text.stream import Bytes, TextInput

MAX_BYTES = 256 << 20
"""Largest text of a document of columns, which bounds the memory."""

Span = tuple[int, int]


class _Misshapen(Exception):  # noqa: N818 (raised and caught here)
    """A document that is not of its form: what was expected, and what was found."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(expected, got)
        self.expected, self.got = expected, got


def written_as_rows(source: TextInput, path: tuple[str, ...], form: str) -> IO[bytes]:
    """Return a temporary file with the rows of a document as an array of objects. Raises DataError."""
    data = source.read_all(MAX_BYTES)
    if data is None:
        got = f"more than {MAX_BYTES} bytes; write its rows as JSON Lines, or to Parquet"
        raise DataError(file=source.name, expected=f"a document of columns of at most {MAX_BYTES} bytes", got=got)
    file = tempfile.TemporaryFile()  # noqa: SIM115 (it lives as long as the source)
    try:
        start, problem = Way(path).on(data, 0, True)
        if problem is not None:
            raise _Misshapen(problem.expected, problem.got)
        rows = FORMS[form](data, start)
        before = b"["
        while some := list(islice(rows, 1024)):
            file.write(before + b",".join(some))
            before = b",\n"
        file.write(b"[]" if before == b"[" else b"]")
        file.flush()
    except _Misshapen as err:
        file.close()
        raise DataError(file=source.name, expected=err.expected, got=err.got) from None
    except BaseException:
        file.close()
        raise
    return file


def _elements(data: Bytes, start: int) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Return where the elements of the array at ``start`` begin and end, and where the array ends."""
    starts, ends = np.empty(1 << 14, np.int64), np.empty(1 << 14, np.int64)
    found: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    if start >= len(data) or data[start] != ord("["):
        raise _Misshapen("an array", _shown(data, start))
    position, state = start + 1, json_read.FIRST
    while state != json_read.CLOSED:
        n, position, state, why = json_read.split_elements(data, position, True, state, starts, ends)
        found.append((starts[:n].copy(), ends[:n].copy()))
        if why:
            raise _Misshapen("whole JSON", _shown(data, position))
    return np.concatenate([one for one, _ in found]), np.concatenate([one for _, one in found]), position


def _members(data: Bytes, start: int) -> Iterator[tuple[bytes, Span]]:
    """Yield the keys, as they stand there, and the values of the object at ``start``."""
    if start >= len(data) or data[start] != ord("{"):
        raise _Misshapen("an object", _shown(data, start))
    position = skip_blank(data, start + 1)
    if data[position : position + 1].tobytes() == b"}":
        return
    while True:
        key_end, value, is_key = member_at(data, position)
        end, _, why = json_read.value_end(data, value)
        if not is_key or why:
            raise _Misshapen("whole JSON", _shown(data, position))
        yield data[position:key_end].tobytes(), (value, end)
        position = skip_blank(data, end)
        mark = data[position : position + 1].tobytes()
        if mark == b"}":
            return
        if mark != b",":
            raise _Misshapen("',' or '}'", _shown(data, position))
        position = skip_blank(data, position + 1)


def _shown(data: Bytes, position: int) -> str:
    text = data[position : position + 20].tobytes().decode(errors="replace")
    return repr(text) if text else "the end of the file"


def _row(names: Sequence[bytes], values: Sequence[bytes]) -> bytes:
    return b"{" + b",".join([name + b":" + value for name, value in zip(names, values, strict=True)]) + b"}"


def _name(raw: bytes) -> bytes:
    """Return the name of a column as a key; numbers are taken, too."""
    name = json.loads(raw)
    if isinstance(name, str | int) and not isinstance(name, bool):
        return raw if isinstance(name, str) else b'"%d"' % name
    raise _Misshapen("columns with a name each", f"the name {raw.decode()[:60]}")


def _texts(data: Bytes, start: int) -> list[bytes]:
    starts, ends, _ = _elements(data, start)
    return [data[low:high].tobytes() for low, high in zip(starts.tolist(), ends.tolist(), strict=True)]


def _of_lists(data: Bytes, start: int) -> Iterator[bytes]:
    """Yield the rows of ``{"id": [1, 2], "vector": [[..], [..]]}``: Chroma, ``orient="list"``."""
    columns: dict[bytes, tuple[list[int], list[int]]] = {}
    for name, (low, high) in _members(data, start):
        if name == b'"included"' or data[low:high].tobytes() == b"null":
            continue
        starts, ends, _ = _elements(data, low)
        columns[name] = starts.tolist(), ends.tolist()
    lengths = {name.decode(): len(starts) for name, (starts, _) in columns.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{n} in {name}" for name, n in lengths.items())
        raise _Misshapen("columns of one length", told)
    names = list(columns)
    spans = [zip(*columns[name], strict=True) for name in names]
    for row in zip(*spans, strict=True):
        yield _row(names, [data[low:high].tobytes() for low, high in row])


def _of_frame(data: Bytes, start: int) -> Iterator[bytes]:
    """Yield the rows of ``{"id": {"0": 1, "1": 2}, "vector": {..}}``: pandas' ``orient="columns"``.

    The keys are a column ``index``, unless they count the rows.
    """
    found = {name: dict(_members(data, low)) for name, (low, _) in _members(data, start)}
    columns = {name: column for name, column in found.items() if column} or found
    keys = list(next(iter(columns.values())))
    for name, column in columns.items():
        if len(column) != len(keys) or column.keys() != columns[next(iter(columns))].keys():
            first = next(iter(columns)).decode()
            raise _Misshapen(f"the same keys in all columns, as in {first}", f"others in {name.decode()}")
    indexed = keys != [b'"%d"' % i for i in range(len(keys))]
    index = b'"level_0"' if b'"index"' in columns else b'"index"'
    names = [index, *columns] if indexed else list(columns)
    for key in keys:
        values = [data[low:high].tobytes() for low, high in (column[key] for column in columns.values())]
        yield _row(names, [key, *values] if indexed else values)


def _of_objects(data: Bytes, start: int) -> Iterator[bytes]:
    """Yield the values of an object of objects: pandas' ``orient="index"``, Pinecone's ``fetch``.

    The keys are a column ``key``, unless they count the rows or each stands in its row, too.
    """
    spans = list(_members(data, start))
    counts = [key for key, _ in spans] == [b'"%d"' % i for i in range(len(spans))]
    keyed = not counts and not all(key in data[low:high].tobytes() for key, (low, high) in spans)
    for key, (low, high) in spans:
        if data[low] != ord("{"):
            raise _Misshapen("an object of objects", f"{_shown(data, low)} at {key.decode()[:60]}")
        if not keyed:
            yield data[low:high].tobytes()
            continue
        inside = data[low + 1 : high].tobytes()
        yield b'{"key":' + key + (b"" if inside[:-1].isspace() or inside == b"}" else b",") + inside


def _of_rows(data: Bytes, names: Sequence[bytes], start: int, index: Sequence[bytes] | None) -> Iterator[bytes]:
    """Yield rows that are arrays of values in the order of the names."""
    starts, _, _ = _elements(data, start)
    named = names if index is None else [b'"level_0"' if b'"index"' in names else b'"index"', *names]
    for row, low in enumerate(starts.tolist()):
        values = _texts(data, low)
        if len(values) != len(names):
            raise _Misshapen(f"{len(names)} values in every row, one a column", f"{len(values)} in row {row}")
        yield _row(named, values if index is None else [index[row], *values])


def _of_split(data: Bytes, start: int) -> Iterator[bytes]:
    """Yield the rows of ``{"columns": [..], "index": [..], "data": [[..]]}``: pandas' ``orient="split"``.

    The index is a column ``index``, unless it counts the rows.
    """
    members = dict(_members(data, start))
    names = [_name(raw) for raw in _texts(data, members[b'"columns"'][0])]
    index = _texts(data, members[b'"index"'][0]) if b'"index"' in members else []
    counts = index == [b"%d" % i for i in range(len(index))]
    rows = members[b'"data"'][0]
    n_rows = len(_elements(data, rows)[0])
    if index and len(index) != n_rows:
        raise _Misshapen(f"an index of {n_rows} rows", f"{len(index)}")
    return _of_rows(data, names, rows, None if counts else index)


def _of_table(data: Bytes, start: int) -> Iterator[bytes]:
    """Yield the rows of ``{"schema": {..}, "data": [{"index": 0, ..}, ..]}``: pandas' ``orient="table"``.

    The index stays a column, unless it counts the rows.
    """
    starts, ends, _ = _elements(data, dict(_members(data, start))[b'"data"'][0])
    rows = list(zip(starts.tolist(), ends.tolist(), strict=True))
    values = []
    for low, _ in rows:
        key, (first, last) = next(_members(data, low), (b"", (low, low)))
        values.append(data[first:last].tobytes() if key == b'"index"' else b"")
    counts = values == [b"%d" % i for i in range(len(rows))]
    for low, high in rows:
        if counts:
            members = [(name, data[slice(*value)].tobytes()) for name, value in _members(data, low)][1:]
            yield _row([name for name, _ in members], [value for _, value in members])
        else:
            yield data[low:high].tobytes()


def _of_compact(data: Bytes, start: int) -> Iterator[bytes]:
    """Yield the rows of ``{"meta": [{"name": ..}, ..], "data": [[..]]}``: ClickHouse's ``JSONCompact``."""
    members = dict(_members(data, start))
    meta: Any = json.loads(data[slice(*members[b'"meta"'])].tobytes())
    names = [json.dumps(one["name"]).encode() for one in meta if isinstance(one, dict) and "name" in one]
    if len(names) != len(meta):
        raise _Misshapen("a name for every column in 'meta'", names_text([str(one) for one in meta]))
    return _of_rows(data, names, members[b'"data"'][0], None)


FORMS: Mapping[str, Callable[[Bytes, int], Iterator[bytes]]] = {
    "lists": _of_lists,
    "frame": _of_frame,
    "objects": _of_objects,
    "split": _of_split,
    "table": _of_table,
    "compact": _of_compact,
}
"""Forms that are read whole -> rows as texts of objects. Raises `_Misshapen`."""
