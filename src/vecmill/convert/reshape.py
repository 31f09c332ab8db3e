"""Views of a `Source`: columns renamed or left out, fewer rows, a key column added. Each is a `Source` itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from vecmill.errors import DataError
from vecmill.schema.collection import CollectionSchema
from vecmill.sources.base import Column, Source, names_text

EVERYTHING_ELSE = "*"
_HASH_BYTES = 8


class Mapped:
    """Columns of a source under the names of fields. Other columns are never read.

    ``wanted`` maps field names to columns of the source; one column may feed several fields.
    """

    def __init__(self, source: Source, wanted: Mapping[str, str]) -> None:
        self._source = source
        self._wanted = dict(wanted)
        known = {column.name: column for column in source.columns}
        self.columns = tuple(replace(known[name], name=field) for field, name in self._wanted.items())
        self.n_rows = source.n_rows
        self.n_bytes = source.n_bytes

    def batches(
        self, names: Sequence[str] | None = None, *, batch_rows: int | None = None, start_row: int = 0
    ) -> Iterator[Mapping[str, Any]]:
        """Yield the wanted columns by field name; see `Source.batches`."""
        asked = None if names is None else set(names)
        mine = {field: name for field, name in self._wanted.items() if asked is None or field in asked}
        for batch in self._source.batches(sorted(set(mine.values())), batch_rows=batch_rows, start_row=start_row):
            yield {field: batch[name] for field, name in mine.items() if name in batch}

    def locate(self, row: int, name: str | None = None) -> tuple[str, int]:
        """Return file and row in it; see `Source.locate`."""
        return self._source.locate(row, self._wanted.get(name, name) if name is not None else None)


def mapped(source: Source, columns: Mapping[str, str], *, also: Iterable[str] = ()) -> Source:
    """Return ``source`` with selected columns: those in ``columns`` (field -> column), and those in ``also``.

    Without columns, or with ``"*"`` among them, all are selected. Raises DataError for a column that is not there.
    """
    available = dict.fromkeys(column.name for column in source.columns)
    wanted = {field: name for field, name in columns.items() if field != EVERYTHING_ELSE}
    for field, name in wanted.items():
        if name not in available:
            raise DataError(
                file=source.locate(0)[0], field=field, expected=f"a column {name!r}",
                got=f"columns {names_text(list(available))}",
            )  # fmt: skip
    if not columns:
        return source
    taken = set(wanted.values())
    if EVERYTHING_ELSE in columns:
        wanted |= {name: name for name in available if name not in wanted and name not in taken}
    else:
        wanted |= {name: name for name in also if name in available and name not in wanted}
    return Mapped(source, wanted)


class WithoutEmpty:
    """A source without the columns ``empty``, whose type says that they have no value. They are read with the others.

    So a value that comes all the same, behind the first rows of a text, is refused and not lost.
    """

    def __init__(self, source: Source, empty: Collection[str]) -> None:
        self._source = source
        self._empty = empty
        self.columns = tuple(column for column in source.columns if column.name not in empty)
        self.n_rows = source.n_rows
        self.n_bytes = source.n_bytes
        self.locate = source.locate

    def batches(
        self, names: Sequence[str] | None = None, *, batch_rows: int | None = None, start_row: int = 0
    ) -> Iterator[Mapping[str, Any]]:
        """Yield the other columns; see `Source.batches`."""
        for batch in self._source.batches(names, batch_rows=batch_rows, start_row=start_row):
            left = {name: values for name, values in batch.items() if name not in self._empty}
            yield left or {self.columns[0].name: next(iter(batch.values()))}


def without_empty(source: Source, schema: CollectionSchema | None) -> tuple[Source, tuple[str, ...]]:
    """Return a source without the columns that have no value and no field, and a line for each of them.

    A dynamic field takes their nulls.
    """
    import pyarrow.types as t

    if schema is not None and schema.enable_dynamic_field:
        return source, ()
    fields = {field.name for field in schema.fields} if schema is not None else set()
    empty = [c.name for c in source.columns if t.is_null(c.type) and c.name not in fields]
    if not empty or len(empty) == len(source.columns):
        return source, ()
    return WithoutEmpty(source, frozenset(empty)), tuple(f"{name}: left out, it has no value" for name in empty)


class Sliced:
    """The rows of a source from ``skip`` on, at most ``limit`` of them."""

    def __init__(self, source: Source, skip: int = 0, limit: int | None = None) -> None:
        self._source = source
        self._skip = skip
        self._limit = limit
        # The nulls may be in rows that are left out.
        self.columns = tuple(replace(c, null_count=0 if c.null_count == 0 else None) for c in source.columns)
        known = source.n_rows
        left = None if known is None else max(0, known - skip)
        self.n_rows = left if limit is None or left is None else min(left, limit)
        self.n_bytes = source.n_bytes

    def batches(
        self, names: Sequence[str] | None = None, *, batch_rows: int | None = None, start_row: int = 0
    ) -> Iterator[Mapping[str, Any]]:
        """Yield the rows that are left; see `Source.batches`."""
        left = None if self._limit is None else self._limit - start_row
        if left is not None and left <= 0:
            return
        start = self._skip + start_row
        for batch in self._source.batches(names, batch_rows=batch_rows, start_row=start):
            n = length(batch)
            if left is not None and n >= left:
                yield {name: values[:left] for name, values in batch.items()}
                return
            yield batch
            left = None if left is None else left - n

    def locate(self, row: int, name: str | None = None) -> tuple[str, int]:
        """Return file and row in it; see `Source.locate`."""
        return self._source.locate(self._skip + row, name)


class Keyed:
    """A source with a key column in front: the number of the row, or a hash of its values.

    ``hashed``: columns whose values are hashed together: the first 8 bytes of BLAKE2b as INT64 (little endian, signed).
    None: the key is the number of the row in the source. ``as_text``: the key is text, the number in decimal or the
    hash as 16 hex digits.
    """

    def __init__(self, source: Source, name: str, hashed: Sequence[str] | None, *, as_text: bool = False) -> None:
        import pyarrow as pa

        self._source = source
        self._name = name
        self._hashed = None if hashed is None else tuple(hashed)
        self._as_text = as_text
        origin = "the row's number" if hashed is None else f"a hash of {names_text(list(hashed))}"
        self.columns = (Column(name, origin, pa.string() if as_text else pa.int64(), 0), *source.columns)
        self.n_rows = source.n_rows
        self.n_bytes = source.n_bytes

    def batches(
        self, names: Sequence[str] | None = None, *, batch_rows: int | None = None, start_row: int = 0
    ) -> Iterator[Mapping[str, Any]]:
        """Yield the batches of the source with the key in front; see `Source.batches`."""
        columns = [column.name for column in self._source.columns]
        asked = None if names is None else set(names)
        mine = columns if asked is None else [name for name in columns if name in asked]
        if asked is not None and self._name not in asked:
            yield from self._source.batches(mine, batch_rows=batch_rows, start_row=start_row)
            return
        needed = {*mine, *(self._hashed or ())}
        read = [name for name in columns if name in needed] or columns[:1]
        row = start_row
        for batch in self._source.batches(read, batch_rows=batch_rows, start_row=start_row):
            n = length(batch)
            yield {self._name: self._keys(batch, row, n), **{name: batch[name] for name in mine if name in batch}}
            row += n

    def _keys(self, batch: Mapping[str, Any], row: int, n: int) -> Any:
        import numpy as np
        import pyarrow as pa

        if self._hashed is None:
            numbers = np.arange(row, row + n, dtype=np.int64)
            return pa.array(map(str, numbers.tolist()), pa.string()) if self._as_text else numbers
        nothing = pa.nulls(n)
        digests = row_hashes([batch.get(name, nothing) for name in self._hashed], n)
        if self._as_text:
            return pa.array([digest.hex() for digest in digests], pa.string())
        return np.frombuffer(b"".join(digests), "<i8").astype(np.int64)

    def locate(self, row: int, name: str | None = None) -> tuple[str, int]:
        """Return file and row in it; see `Source.locate`."""
        return self._source.locate(row, None if name == self._name else name)


def row_hashes(columns: Sequence[Any], n_rows: int) -> list[bytes]:
    """Return 8 bytes per row: BLAKE2b over the values of ``columns`` (pyarrow Arrays or ndarrays), in that order.

    Numbers are hashed as little-endian bytes, text as UTF-8, null as nothing, everything else as JSON. Each value is
    preceded by its length (8 bytes, little endian; all ones for null), so that different rows give different bytes.
    """
    readers = [_value_bytes(values) for values in columns]
    hashes = []
    for row in range(n_rows):
        state = hashlib.blake2b(digest_size=_HASH_BYTES)
        for read in readers:
            value = read(row)
            if value is None:
                state.update(b"\xff" * 8)
            else:
                state.update(len(value).to_bytes(8, "little"))
                state.update(value)
        hashes.append(state.digest())
    return hashes


def _value_bytes(values: Any) -> Callable[[Any], bytes | None]:
    """Return a function that returns the bytes of one row of a column, or of a slice of rows. None: the row is null."""
    import numpy as np
    import pyarrow.types as t

    if isinstance(values, np.ndarray):
        little = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
        raw = little.reshape(len(little), -1).view(np.uint8) if little.size else np.empty((len(little), 0), np.uint8)
        return lambda row: raw[row].tobytes()
    kind = values.type
    if t.is_integer(kind) or t.is_floating(kind):
        valid = values.is_valid().to_numpy(zero_copy_only=False)
        numbers = values.fill_null(0).to_numpy(zero_copy_only=False)
        plain = _value_bytes(numbers)
        return lambda row: plain(row) if valid[row] else None
    is_list = t.is_list(kind) or t.is_large_list(kind) or t.is_fixed_size_list(kind)
    if is_list and (t.is_integer(kind.value_type) or t.is_floating(kind.value_type)):
        return _list_bytes(values)
    rows = values.to_pylist()
    return lambda row: _plain_bytes(rows[row])


def _list_bytes(values: Any) -> Callable[[int], bytes | None]:
    """Return such a function for lists of numbers: the bytes of the elements, or JSON if an element is null."""
    import numpy as np
    import pyarrow.compute as pc

    flat = values.flatten()  # without the elements under null lists
    elements = _value_bytes(flat.fill_null(0).to_numpy(zero_copy_only=False))
    ends = np.cumsum(pc.list_value_length(values).fill_null(0).to_numpy(zero_copy_only=False)).tolist()
    valid = values.is_valid().to_pylist()
    whole = flat.is_valid().to_numpy(zero_copy_only=False) if flat.null_count else None

    def read(row: int) -> bytes | None:
        if not valid[row]:
            return None
        part = slice(ends[row - 1] if row else 0, ends[row])
        return _plain_bytes(values[row].as_py()) if whole is not None and not whole[part].all() else elements(part)

    return read


def _plain_bytes(value: object) -> bytes | None:
    if value is None:
        return None
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str).encode()


def around_bad(
    source: Source, names: Sequence[str] | None = None, *, skip: bool, start_row: int = 0
) -> Iterator[tuple[int, Mapping[str, Any] | DataError]]:
    """Yield (row, batch that starts there). With ``skip``, also yield (row, error) for rows that the source refuses.

    An example is a line that is not valid JSON. The source yields the rows before it first, and reading continues after
    it. Other errors are raised; without ``skip``, all errors are.
    """
    row = start_row
    while True:
        try:
            for batch in source.batches(names, start_row=row):
                yield row, batch
                row += length(batch)
        except DataError as err:
            is_here = err.row is not None and source.locate(row, err.field) == (err.file, err.row)
            if not skip or not is_here:
                raise
            yield row, err
            row += 1
        else:
            return


class Unbroken:
    """A source without the rows that it refuses itself."""

    def __init__(self, source: Source) -> None:
        self.columns = source.columns
        self.n_rows = source.n_rows
        self.n_bytes = source.n_bytes
        self.locate = source.locate
        self._source = source

    def batches(
        self, names: Sequence[str] | None = None, *, batch_rows: int | None = None, start_row: int = 0
    ) -> Iterator[Mapping[str, Any]]:
        """Yield what can be read; see `Source.batches`. ``batch_rows`` is left to the source."""
        for _, batch in around_bad(self._source, names, skip=True, start_row=start_row):
            if not isinstance(batch, DataError):
                yield batch


def length(batch: Mapping[str, Any]) -> int:
    """Return the number of rows of a batch."""
    return len(next(iter(batch.values())))
