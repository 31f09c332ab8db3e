"""The `Source` protocol, and what all sources share: sizes of batches, rows of files, words of errors.

A source holds columns, all of the same length, that are read front to back in batches of bounded size. Types are told
in Arrow's terms, whatever the file is: a matrix of NumPy's is a ``fixed_size_list`` of its second dimension.
"""

from __future__ import annotations

import bisect
import itertools
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from vecmill.errors import DataError, StoreError
from vecmill.sources.remote import AnyPath

BATCH_BYTES = 8 << 20
"""Decoded bytes of a batch by default: small enough to bound the memory, large enough that calls cost nothing."""

MAX_BATCH_ROWS = 1 << 16
MIN_BATCH_ROWS = 64


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file or a folder of a known kind. ``member``: a part of it (``train`` of ``file.h5:train``); "": all of it."""

    path: AnyPath
    kind: str
    member: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a source.

    Attributes
    ----------
    name: name of the field that the column feeds.
    source: its name in the file: that of the Parquet column, or the stem of the NPY file.
    type: its ``pyarrow.DataType``; an (n, dim) matrix is a ``fixed_size_list`` of ``dim``, and ``|V2`` elements (how
        NumPy stores bfloat16) are ``fixed_size_binary[2]``. Of files that differ, a type that holds the values of all
        of them, or that of the first.
    null_count: nulls in the column, of values inside lists and structs too; None when only reading it can tell.
    forms: where files differ, the types in which batches come, each with the first file that has it; else ().
    file: the first file that has the column; "" where all have.
    absent: the first file with rows that has no such column; "" where all have. Its batches are without the column.
    is_optional: the first rows have no such value, and no row needs to: another source may bring the column.
    """

    name: str
    source: str
    type: Any
    null_count: int | None
    forms: tuple[tuple[Any, str], ...] = ()
    file: str = ""
    absent: str = ""
    is_optional: bool = False


class Source(Protocol):
    """Columns of one length, read in batches. Reading starts anew with every call of `batches`, at any row."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """Return the columns, in the order of the batches."""

    @property
    def n_rows(self) -> int | None:
        """Return the rows of every column; None when only reading to the end can tell."""

    @property
    def n_bytes(self) -> int:
        """Return the bytes of the files that are read, 0 where they cannot be told."""

    def batches(
        self, names: Sequence[str] | None = None, *, batch_rows: int | None = None, start_row: int = 0
    ) -> Iterator[Mapping[str, Any]]:
        """Yield the rows in order, as a mapping from field name to a pyarrow Array (n,) or an ndarray (n,) or (n, dim).

        A column that the file of these rows does not have is left out, as long as another one is there. ``names`` reads
        only these columns. At most ``batch_rows`` rows come at a time, by default what makes about 8 MiB; never none.
        The first row is ``start_row``: rows before it are skipped without being decoded where the file allows it, and
        nothing comes when there are no more. Row for row the values are the same whatever ``batch_rows`` and
        ``start_row`` are; where batches are cut is not promised. Raises DataError and StoreError that name the file.
        """

    def locate(self, row: int, name: str | None = None) -> tuple[str, int]:
        """Return the file that holds ``row`` (0-based) of column ``name``, and the row in that file."""


class Files:
    """Files whose rows follow one another, by name and row count: which file holds row i?"""

    __slots__ = ("ends", "names")

    def __init__(self, names: Sequence[str], n_rows: Sequence[int]) -> None:
        self.names = tuple(names)
        self.ends = tuple(itertools.accumulate(n_rows))

    @property
    def n_rows(self) -> int:
        """Return the rows of all files together."""
        return self.ends[-1] if self.ends else 0

    def start(self, i: int) -> int:
        """Return the global number of the first row of file ``i``."""
        return self.ends[i - 1] if i else 0

    def index(self, row: int) -> int:
        """Return the number of the file that holds ``row``; the last one for rows behind the end."""
        return min(bisect.bisect_right(self.ends, row), len(self.ends) - 1)

    def locate(self, row: int) -> tuple[str, int]:
        """Return name and row in that file of the global ``row``."""
        i = self.index(row)
        return self.names[i], row - self.start(i)


def rows_for(row_bytes: float, batch_bytes: int = BATCH_BYTES) -> int:
    """Return the rows of a batch of about ``batch_bytes``, for rows of ``row_bytes`` decoded bytes."""
    return max(MIN_BATCH_ROWS, min(MAX_BATCH_ROWS, int(batch_bytes / max(row_bytes, 1.0))))


def field_columns(columns: Mapping[str, str] | Iterable[str] | None) -> dict[str, str]:
    """Return field -> column for what callers give as ``columns``; a name alone stands for itself, None for nothing."""
    if columns is None:
        return {}
    if isinstance(columns, Mapping):
        return {str(field): os.fspath(name) for field, name in columns.items()}
    return {name: name for name in ([columns] if isinstance(columns, str) else columns)}


def total(counts: Iterable[int | None]) -> int | None:
    """Return the sum of ``counts``; None if one of them is unknown."""
    known = list(counts)
    return None if None in known else sum(count or 0 for count in known)


def natural_key(path: AnyPath) -> list[Any]:
    """Return a sort key that puts ``emb_2`` before ``emb_10``: shards of several columns must pair up by number."""
    return [int(part) if part.isdigit() else part for part in re.split(r"([0-9]+)", str(path))]


def numbered_columns(names: Iterable[str], dim: int) -> list[str] | None:
    """Return the ``dim`` columns of one stem that are numbered from 0 or 1 on, in order. None: no stem, or two, has."""
    stems: dict[str, dict[int, str]] = {}
    for name in names:
        if found := re.fullmatch(r"(.*?)(0|[1-9][0-9]*)", name):
            stems.setdefault(found[1], {})[int(found[2])] = name
    runs = [one for one in stems.values() if len(one) == dim > 1 and min(one) in (0, 1) and max(one) - min(one) < dim]
    return [runs[0][i] for i in sorted(runs[0])] if len(runs) == 1 else None


def names_text(names: Sequence[str], *, most: int = 8) -> str:
    """Return names for an error message: the first few, and how many more there are."""
    shown = ", ".join(repr(name) for name in names[:most])
    more = len(names) - most
    return f"{shown} and {more} more" if more > 0 else shown or "none"


@contextmanager
def reading(path: AnyPath, kind: str) -> Iterator[None]:
    """Turn exceptions of reading ``path`` as a ``kind`` file into StoreError or DataError that names it."""
    import pyarrow as pa

    try:
        yield
    except (StoreError, DataError):
        raise
    except OSError as err:
        # pyarrow reports a damaged file as an OSError without errno.
        if err.errno is None:
            raise DataError(file=str(path), expected=f"a whole {kind} file", got=one_line(err)) from err
        reason = (err.strerror or one_line(err)).lower()
        raise StoreError(reason, path=str(path), errno=err.errno) from err
    except (pa.ArrowException, ValueError, EOFError) as err:
        raise DataError(file=str(path), expected=f"a whole {kind} file", got=one_line(err)) from err


@contextmanager
def extra(package: str, name: str, path: AnyPath) -> Iterator[None]:
    """Turn a missing ``package`` into a DataError that says which extra of vecmill brings it."""
    try:
        yield
    except ModuleNotFoundError as err:
        if (err.name or "").partition(".")[0] != package:
            raise
        need = f"the package {package!r} to read this file: pip install 'vecmill[{name}]'"
        raise DataError(file=str(path), expected=need, got="no such package") from err


@contextmanager
def translated(place: str, expected: str, *kinds: type[Exception]) -> Iterator[None]:
    """Turn exceptions of these kinds, which another library raises, into a DataError that names ``place``."""
    try:
        yield
    except (StoreError, DataError):
        raise
    except kinds as err:
        raise DataError(file=place, expected=expected, got=one_line(err)) from err


def one_line(err: BaseException) -> str:
    """Return the message of ``err`` as one short line."""
    text = " ".join(str(err).split()) or type(err).__name__
    return text if len(text) <= 200 else f"{text[:197]}..."
