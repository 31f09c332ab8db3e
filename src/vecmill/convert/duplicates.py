"""Repeated primary keys, found in bounded memory before a row is written.

The server does not check: it stores both rows of a repeated key, and a search may return either.
The key column is read once, alone. An integer stands for itself, text is hashed to 16 bytes of BLAKE2b (a collision is
not expected among 10^15 texts). Entries are spread over temporary files by key, so that each file can be sorted in
memory. A further file has one byte per row that marks repeated keys. The files are unnamed: when the process ends, they
are gone.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from vecmill.convert.casts import Cast
from vecmill.convert.options import Keep
from vecmill.convert.rejects import value_text
from vecmill.convert.reshape import around_bad, length
from vecmill.errors import DataError
from vecmill.sources import Source

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_ENTRY = [("high", "<u8"), ("low", "<u8"), ("row", "<i8")]
_ENTRY_BYTES = 24
_AT_ONCE = 1 << 20
_MAX_FILES = 256
_FILES_FOR_UNKNOWN = 64
_BUFFER_BYTES = 16 << 20
_NAMED = 5
_GOLDEN = 0x9E3779B97F4A7C15  # spreads integers that follow one another


@dataclass(frozen=True, slots=True)
class Repeated:
    """Rows that repeat a key of column ``name``.

    Attributes
    ----------
    n_rows: number of these rows.
    first: the first of them, each with the row that has the same key.
    flags: one per row of the source, 1 for a repeated key. None: there are none.
    """

    name: str
    n_rows: int
    first: tuple[tuple[int, int], ...]
    flags: Array | None

    def among(self, start: int, n: int) -> Array | None:
        """Return the flags of ``n`` rows from ``start`` on. None: no row is flagged."""
        if self.flags is None:
            return None
        part = self.flags[start : start + n]
        return part if part.any() else None


def find_repeated(
    source: Source, name: str, folder: Path, *, cast: Cast | None = None, keep: Keep = "error", skip: bool = False
) -> Repeated:
    """Return the rows of ``source`` to leave out, so that every key of column ``name`` is there once.

    ``keep``: "last" keeps the last row of a key, any other value the first. Nulls are not keys. ``skip``: ignore rows
    that the source itself refuses. ``folder``: place of the temporary files, which take 24 bytes per row.

    Raises DataError for a key that ``cast`` refuses.
    """
    import numpy as np

    n_files = _FILES_FOR_UNKNOWN if source.n_rows is None else max(1, min(_MAX_FILES, source.n_rows // _AT_ONCE + 1))
    with ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile(dir=folder)) for _ in range(n_files)]
        n_rows = _spread(_entries(source, name, cast, skip=skip), files)
        flags: Array | None = None
        n_repeated = 0
        first: list[tuple[int, int]] = []
        for file in files:
            for rows, kept in _repeated_in(file, keep):
                if flags is None:
                    place = stack.enter_context(tempfile.TemporaryFile(dir=folder))
                    place.truncate(n_rows)
                    flags = np.memmap(place, np.bool_, mode="r+", shape=(n_rows,))
                flags[rows] = True
                n_repeated += len(rows)
                near = np.argsort(rows)[:_NAMED]
                first = sorted([*first, *zip(rows[near].tolist(), kept[near].tolist(), strict=True)])[:_NAMED]
        return Repeated(name, n_repeated, tuple(first), flags)


def refuse_repeated(source: Source, repeated: Repeated, cast: Cast | None = None) -> None:
    """Raise DataError for the first row that repeats a key, if there is one. Its notes name some more."""
    name = repeated.name
    told = []
    for row, other in repeated.first:
        batch = next(source.batches([name], batch_rows=1, start_row=row))
        key = value_text(cast(batch[name]) if cast is not None else batch[name], 0)
        told.append((source.locate(row, name), key, source.locate(other, name)))
    if not told:
        return
    ((file, row), key, (other_file, other_row)), *more = told
    err = DataError(
        file=file, field=name, row=row, expected="a primary key that no other row has",
        got=f"{key}, as in row {other_row} of {other_file!r}",
    )  # fmt: skip
    if repeated.n_rows > 1:
        err.add_note(f"{repeated.n_rows} rows repeat a key")
    for (file, row), key, (other_file, other_row) in more:
        err.add_note(f"row {row} of {file!r} has {key}, as in row {other_row} of {other_file!r}")
    raise err


def _entries(source: Source, name: str, cast: Cast | None, *, skip: bool) -> Iterator[tuple[int, Array]]:
    """Yield (rows read so far, entries of those with a key) batch by batch."""
    for row, batch in around_bad(source, [name], skip=skip):
        if isinstance(batch, DataError):
            continue
        n = length(batch)
        try:
            values = cast(batch[name]) if cast is not None else batch[name]
        except DataError as err:
            file, at = source.locate(row + (err.row or 0), name)
            raise DataError(file=file, field=name, row=at, expected=err.expected, got=err.got) from err
        entries = _as_entries(name, values, n)
        entries["row"] += row
        yield row + n, entries


def _as_entries(name: str, values: Any, n: int) -> Array:
    import numpy as np
    import pyarrow as pa
    import pyarrow.types as t

    from vecmill.encode.arrow import plain_storage

    array = plain_storage(values if isinstance(values, pa.Array) else pa.array(values))
    rows = np.flatnonzero(array.is_valid().to_numpy(zero_copy_only=False)) if array.null_count else np.arange(n)
    array = array.drop_null()
    entries = np.empty(len(rows), _ENTRY)
    entries["row"] = rows
    if t.is_integer(array.type):
        entries["high"] = array.to_numpy(zero_copy_only=False).astype(np.int64, copy=False).view(np.uint64)
        entries["low"] = 0
    elif t.is_string(array.type) or t.is_large_string(array.type):
        digests = [hashlib.blake2b(text.encode(), digest_size=16).digest() for text in array.to_pylist()]
        hashes = np.frombuffer(b"".join(digests), "<u8").reshape(-1, 2)
        entries["high"], entries["low"] = hashes[:, 0], hashes[:, 1]
    else:
        raise DataError(field=name, expected="integers or text as primary keys", got=f"values of type {array.type}")
    return entries


def _spread(batches: Iterator[tuple[int, Array]], files: Sequence[IO[bytes]]) -> int:
    """Write every entry to the file of its key, in the order of the rows. Return the rows read."""
    import numpy as np

    n_rows = held = 0
    waiting: list[list[Array]] = [[] for _ in files]

    def write() -> None:
        for file, parts in zip(files, waiting, strict=True):
            for part in parts:
                file.write(part.tobytes())
            parts.clear()

    for n_rows, entries in batches:  # noqa: B007 - the last one is returned
        mixed = (entries["high"] * np.uint64(_GOLDEN)) >> np.uint64(32)
        owner = (mixed % np.uint64(len(files))).astype(np.int64)
        order = np.argsort(owner, kind="stable")
        bounds = np.searchsorted(owner[order], np.arange(len(files) + 1))
        for i in range(len(files)):
            if bounds[i] < bounds[i + 1]:
                waiting[i].append(entries[order[bounds[i] : bounds[i + 1]]])
        held += entries.nbytes
        if held >= _BUFFER_BYTES:
            write()
            held = 0
    write()
    return n_rows


def _repeated_in(file: IO[bytes], keep: Keep) -> Iterator[tuple[Array, Array]]:
    """Yield (rows that repeat a key, the row that had it before) for one file.

    The file is read in pieces, and one entry per key is kept: a file that is full of one key needs no more memory.
    """
    import numpy as np

    file.flush()
    file.seek(0)
    held = np.empty(0, _ENTRY)
    while piece := file.read(_AT_ONCE * _ENTRY_BYTES):
        entries = np.concatenate([held, np.frombuffer(piece, _ENTRY)])
        order = np.argsort(entries["high"], kind="stable")
        entries = entries[order]  # stable: rows of one key stay in order
        same = entries["high"][1:] == entries["high"][:-1]
        if (same & (entries["low"][1:] != entries["low"][:-1])).any():  # one half of the hash alone is the same
            entries = entries[np.lexsort((entries["row"], entries["low"], entries["high"]))]
            same = entries["high"][1:] == entries["high"][:-1]
        same &= entries["low"][1:] == entries["low"][:-1]
        begins = np.concatenate([[True], ~same])
        ends = np.concatenate([~same, [True]])
        kept = ends if keep == "last" else begins
        held = entries[kept]
        if len(held) < len(entries):
            group = np.cumsum(begins) - 1
            yield entries["row"][~kept], held["row"][group[~kept]]


def without(batch: Mapping[str, Any], flags: Array) -> dict[str, Any]:
    """Return the rows of a batch that are not flagged."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.types as t

    from vecmill.encode.arrow import plain_storage

    good = ~np.asarray(flags)
    mask = pa.array(good)

    def chosen(part: Any) -> Any:
        if isinstance(part, np.ndarray):
            return part[good]
        is_view = t.is_string_view(part.type) or t.is_binary_view(part.type)
        return (plain_storage(part) if is_view else part).filter(mask)  # Arrow cannot filter views

    return {name: chosen(part) for name, part in batch.items()}
