"""PostgreSQL's binary COPY, with pgvector's types: vector, halfvec, sparsevec.

Only vectors can be told by their bytes; of all other fields the format says nothing but a length, so that their types
have to be given. Forms are those of the servers' own ``*_send`` functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecmill._native import csv_read, pgcopy_read
from vecmill.errors import DataError
from vecmill.sources.text.columns import Unfit, Values, decode
from vecmill.sources.text.json_rows import RowProblem, SpanBuffers, Spans
from vecmill.sources.text.stream import Bytes
from vecmill.sources.text.types import is_json, is_sparse, is_uuid, sparse_type, vector_type

SIGNATURE = b"PGCOPY\n\xff\r\n\0"
_HEADER_BYTES = len(SIGNATURE) + 8


def _header_end(data: Bytes) -> int | None:
    """Return where the first row begins; None if the header is not whole, or no header."""
    head = data[:_HEADER_BYTES].tobytes()
    if len(head) < _HEADER_BYTES or not head.startswith(SIGNATURE):
        return None
    end = _HEADER_BYTES + int.from_bytes(head[-4:], "big")
    return end if end <= len(data) else None


class CopyBinary:
    """Rows of binary COPY; see `json_rows.Splitter`."""

    def __init__(self, header: Sequence[str], wanted: Sequence[str]) -> None:
        places = {name: i for i, name in enumerate(wanted)}
        self._slots = np.array([places.get(name, -1) for name in header], np.int32)
        self._room = SpanBuffers(len(wanted))
        self._begun = self._ended = False

    @staticmethod
    def width(data: Bytes, file: str) -> int:
        """Return the fields of the first row, 0 if there is none. Raises DataError for another file."""
        start = _header_end(data)
        if start is None or start + 2 > len(data):
            raise DataError(file=file, expected="a whole binary COPY file", got="no header of one, or half of it")
        return max(0, int.from_bytes(data[start : start + 2].tobytes(), "big", signed=True))

    def take(self, data: Bytes, start: int, final: bool, max_rows: int, skip: int = 0) -> tuple[Spans, int, int]:
        """See `json_rows.Splitter.take`."""
        room = self._room
        if self._ended:
            return room.spans(data, 0, None), len(data), 0
        if not self._begun:
            start, self._begun = _header_end(data) or 0, True
        n = min(skip or max_rows, room.n_rows)
        done, position, why, fields = pgcopy_read.split_rows(
            data, start, self._slots, n, room.rows, room.starts, room.ends, room.kinds
        )
        problem = None
        if why == pgcopy_read.END:
            self._ended = True
            position = len(data)
        elif why == pgcopy_read.FIELDS:
            problem = RowProblem(position, f"{len(self._slots)} fields", f"{fields}")
        elif why == pgcopy_read.LENGTH:
            problem = RowProblem(position, "the length of a field", "a negative one")
        elif final and done == 0:
            problem = RowProblem(position, "the end mark of COPY", "the end of the file")
        skipped = done if skip else 0
        return room.spans(data, done - skipped, problem), position, skipped

    def behind(self, data: Bytes, position: int, final: bool) -> None:
        """See `json_rows.Splitter.behind`: where a damaged row ends is not to be told."""


def type_of_binary(name: str, values: Values, *, needed: bool) -> Any:
    """Return the type of a column whose values all have the form of one kind of vector.

    Otherwise None, or DataError if the type is ``needed``.
    """
    present = np.flatnonzero(values.kinds)
    lengths = (values.ends - values.starts)[present]
    if len(present):
        heads = [values.data[values.starts[i] : values.starts[i] + 12].tobytes() for i in present.tolist()]
        dims = np.array([int.from_bytes(head[:2], "big") for head in heads])
        unused = all(head[2:4] == b"\0\0" for head in heads) and (lengths >= 6).all()
        if unused and len(set(dims.tolist())) == 1 and dims[0] > 0:
            for width, element in ((4, "float32"), (2, "float16")):
                if (lengths == 4 + width * dims).all():
                    return vector_type(int(dims[0]), element)
        counts = np.array([int.from_bytes(head[4:8], "big") if len(head) == 12 else -1 for head in heads])
        if (lengths == 12 + 8 * counts).all() and all(head[8:12] == bytes(4) for head in heads):
            return sparse_type()
    if needed:
        raise DataError(
            field=name, expected="a declared type: binary COPY does not tell any but vectors",
            got=f"values of {sorted(set(lengths.tolist()))[:5]} bytes" if len(present) else "nothing but nulls",
        )  # fmt: skip
    return None


def decode_binary(values: Values, type_: Any) -> Any:
    """Return a column of binary values; see `columns.decode`."""
    import pyarrow as pa
    import pyarrow.types as t

    present = values.kinds != 0
    if is_sparse(type_):
        return _sparse(values, type_)
    if t.is_fixed_size_list(type_):
        return _vectors(values, type_)
    if is_json(type_):
        return _json(values, type_)
    if is_uuid(type_):
        return _uuids(values)
    if t.is_string(type_):
        return decode(Values(values.data, values.starts, values.ends, values.kinds, csv_read.BACKSLASH), type_)
    width = 1 if t.is_boolean(type_) else type_.bit_width // 8
    raw = _gather(values, 0, width, width, str(type_))
    mask = None if present.all() else ~present
    if t.is_boolean(type_):
        return pa.array(raw.reshape(-1) != 0, type_, mask=mask)
    return pa.array(raw.view(type_.to_pandas_dtype()).reshape(-1), type_, mask=mask)


def _gather(values: Values, skip: int, size: int, width: int, what: str) -> NDArray[np.uint8]:
    lengths = values.ends - values.starts
    wrong = (values.kinds != 0) & (lengths != skip + size)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise Unfit(row, f"{what} in {skip + size} bytes", f"{int(lengths[row])} bytes")
    out = np.empty((len(values), size), np.uint8)
    pgcopy_read.gather_into(values.data, values.starts, values.kinds, skip, width, out)
    return out


def _vectors(values: Values, type_: Any) -> Any:
    import pyarrow as pa

    dim = type_.list_size
    element = np.dtype(type_.value_type.to_pandas_dtype())
    what = f"a {'halfvec' if element.itemsize == 2 else 'vector'} of {dim} dims"
    matrix = _gather(values, 4, dim * element.itemsize, element.itemsize, what).view(element).reshape(-1, dim)
    dims = _gather_head(values, 0, 2).view(np.uint16).reshape(-1)
    wrong = (values.kinds != 0) & (dims != dim)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise Unfit(row, what, f"one of {int(dims[row])} dims")
    nulls = values.nulls()
    if nulls is None:
        return matrix
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.reshape(-1)), type=type_, mask=pa.array(nulls))


def _gather_head(values: Values, skip: int, width: int) -> NDArray[np.uint8]:
    out = np.empty((len(values), width), np.uint8)
    pgcopy_read.gather_into(values.data, values.starts, values.kinds, skip, width, out)
    return out


def _sparse(values: Values, type_: Any) -> Any:
    import pyarrow as pa

    rows: list[Any] = []
    for row, kind in enumerate(values.kinds.tolist()):
        raw = values.data[values.starts[row] : values.ends[row]]
        if not kind:
            rows.append(None)
            continue
        head = raw[:12].view(">i4") if len(raw) >= 12 else np.array([0, -1, 0])
        n = int(head[1])
        if n < 0 or len(raw) != 12 + 8 * n:
            raise Unfit(row, "a sparsevec", f"{len(raw)} bytes that are none")
        body = raw[12:]
        rows.append({"indices": body[: 4 * n].view(">i4").tolist(), "values": body[4 * n :].view(">f4").tolist()})
    return pa.array(rows, type_)


def _json(values: Values, type_: Any) -> Any:
    """Return json as it is, and jsonb without its version byte."""
    first = np.zeros(len(values), np.uint8)
    filled = (values.kinds != 0) & (values.ends > values.starts)
    first[filled] = values.data[values.starts[filled]]
    starts = values.starts + (first == 1)
    return decode(Values(values.data, starts, values.ends, values.kinds, csv_read.BACKSLASH), type_)


def _uuids(values: Values) -> Any:
    import uuid

    import pyarrow as pa

    raw = _gather(values, 0, 16, 1, "a uuid")
    texts = [
        str(uuid.UUID(bytes=raw[row].tobytes())) if kind else None for row, kind in enumerate(values.kinds.tolist())
    ]
    return pa.array(texts, pa.string())
