"""Tables that are read as Arrow record batches (files, datasets, objects in memory), as a `Source`."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Protocol

from vecmill.errors import DataError
from vecmill.sources.base import Column, Files, names_text, rows_for, total
from vecmill.sources.common_type import common_type


class Table(Protocol):
    """Named columns that are read front to back.

    Attributes
    ----------
    place: the file or the object, for errors.
    schema: its ``pyarrow.Schema``.
    n_rows: None when only reading to the end can tell.
    n_bytes: of the file; 0 for an object.
    null_counts: nulls by column as far as they are known, values inside lists and structs included.
    """

    @property
    def place(self) -> str: ...  # noqa: D102 - see above

    @property
    def schema(self) -> Any: ...  # noqa: D102

    @property
    def n_rows(self) -> int | None: ...  # noqa: D102

    @property
    def n_bytes(self) -> int: ...  # noqa: D102

    @property
    def null_counts(self) -> Mapping[str, int | None]: ...  # noqa: D102

    def read(self, columns: Sequence[str], batch_rows: int | None, start_row: int) -> Generator[Any, None, None]:
        """Yield record batches with these columns (and maybe others) from ``start_row`` on.

        A batch has at most ``batch_rows`` rows, by default what makes about 8 MiB. Raises DataError and StoreError.
        """


def slices(batch: Any, batch_rows: int | None) -> Iterator[Any]:
    """Cut a record batch into views of at most ``batch_rows`` rows, by default of about 8 MiB; none is empty."""
    rows = batch_rows or rows_for(batch.nbytes / max(1, batch.num_rows))
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)


def skipping(batches: Iterable[Any], n_rows: int) -> Iterator[Any]:
    """Leave out the first ``n_rows`` rows of record batches."""
    for batch in batches:
        if n_rows < batch.num_rows:
            yield batch.slice(n_rows)
        n_rows = max(0, n_rows - batch.num_rows)


class TableSource:
    """Columns of tables that follow one another. ``wanted`` maps field names to names of columns.

    A table may lack some of the columns, and have others in a type of its own: batches come as each table has them.
    Raises DataError for a column that is there twice in a table, or in none.
    """

    def __init__(self, tables: Sequence[Table], wanted: Mapping[str, str], *, batch_rows: int | None = None) -> None:
        self._tables = tuple(tables)
        self._batch_rows = batch_rows
        self.n_bytes = sum(table.n_bytes for table in tables)
        self._n_rows = [table.n_rows for table in tables]
        self._files: Files | None = None
        found = {name: _Found() for name in wanted.values()}
        filled = [table for table in tables if table.n_rows != 0]
        for table in tables:
            _enter(table, found, filled)
        for name, one in found.items():
            if not one.file:
                got = f"columns {names_text(tables[0].schema.names)}"
                raise DataError(file=tables[0].place, expected=f"a column {name!r}", got=got)
        n_rows = self.n_rows
        self.columns = tuple(_column(field, name, found[name], filled, n_rows) for field, name in wanted.items())

    @property
    def n_rows(self) -> int | None:
        """Return the rows of all tables; None before all of unknown length were read to their end."""
        return total(self._n_rows)

    def locate(self, row: int, name: str | None = None) -> tuple[str, int]:
        """Return the table that holds ``row`` and the row in it; see `Source.locate`."""
        # Rows lie in tables that are known, or in the first that has not been read to its end.
        if self._files is None:
            known = next((i for i, n in enumerate(self._n_rows) if n is None), len(self._n_rows) - 1) + 1
            counts = [n if n is not None else sys.maxsize for n in self._n_rows[:known]]
            self._files = Files([table.place for table in self._tables[:known]], counts)
        return self._files.locate(row)

    def batches(
        self, names: Sequence[str] | None = None, *, batch_rows: int | None = None, start_row: int = 0
    ) -> Iterator[Mapping[str, Any]]:
        """Yield pyarrow Arrays by field name; see `Source.batches`. A batch never spans two tables."""
        fields = self._fields(names)
        for i, table in enumerate(self._tables):
            known = self._n_rows[i]
            if known is not None and known <= start_row:
                start_row -= known
                continue
            # One that cannot tell its rows is read from its beginning, to count them.
            skip, start_row = start_row, 0
            seen = skip if known is not None else 0
            mine = sorted(name for name in table.schema.names if name in fields)
            with closing(table.read(mine or table.schema.names[:1], batch_rows or self._batch_rows, seen)) as batches:
                for batch in batches:
                    seen += batch.num_rows
                    behind = batch.slice(max(0, batch.num_rows - (seen - skip))) if seen > skip else None
                    if behind is not None and behind.num_rows:
                        yield _by_field(behind, fields, mine)
            if known is not None and seen != known:
                more = "more" if seen > known else "fewer"
                got = f"{abs(seen - known)} {more}"
                raise DataError(file=table.place, expected=f"{known} rows, as before", got=got)
            if known is None:
                self._n_rows[i], self._files = seen, None
            start_row = max(0, skip - seen)

    def _fields(self, names: Sequence[str] | None) -> dict[str, list[str]]:
        """Return the fields that each column feeds, by column. ``names``: the fields to read. None: all."""
        fields: dict[str, list[str]] = {}
        asked = {column.name for column in self.columns} if names is None else set(names)
        for column in self.columns:
            if column.name in asked:
                fields.setdefault(column.source, []).append(column.name)
        return fields


@dataclass(slots=True)
class _Found:
    """What tables tell of a column.

    ``types``: each with the first table that has it; null only where no table has another. ``run``: so many of the
    tables with rows have it before the first that does not.
    """

    types: dict[Any, str] = field(default_factory=dict)
    nulls: int | None = 0
    n_rows: int | None = 0
    file: str = ""
    run: int = 0


def _column(field: str, name: str, found: _Found, filled: Sequence[Table], n_rows: int | None) -> Column:
    """Return a column of tables, ``filled`` of which have rows, ``n_rows`` in all."""
    absent = filled[found.run].place if found.run < len(filled) else ""
    nulls = found.nulls
    if absent and nulls is not None:
        nulls = None if n_rows is None or found.n_rows is None else nulls + n_rows - found.n_rows
    types = tuple(found.types)
    return Column(
        field, name, common_type(types) or types[0], nulls,
        forms=tuple(found.types.items()) if len(types) > 1 else (), file=found.file if absent else "", absent=absent,
    )  # fmt: skip


def _enter(table: Table, found: Mapping[str, _Found], filled: Sequence[Table]) -> None:
    """Note the columns of one table. Raises DataError for one that is there twice."""
    import pyarrow as pa

    twice: set[str] = set()
    for name, type_ in zip(table.schema.names, table.schema.types, strict=True):
        one = found.get(name)
        if one is None:
            continue
        if name in twice:
            raise DataError(file=table.place, expected="columns of different names", got=f"more than one of {name!r}")
        twice.add(name)
        one.file = one.file or table.place
        if one.run < len(filled) and filled[one.run] is table:
            one.run += 1
        is_null = type_ == pa.null()  # of a file without a value
        one.nulls = total([one.nulls, table.n_rows if is_null else table.null_counts.get(name)])
        one.n_rows = total([one.n_rows, table.n_rows])
        if not is_null:
            one.types.pop(pa.null(), None)
        if not is_null or not one.types:
            one.types.setdefault(type_, table.place)


def _by_field(batch: Any, fields: Mapping[str, Sequence[str]], names: Sequence[str]) -> dict[str, Any]:
    """Return the columns ``names`` of a batch by the fields that they feed; nulls for all fields if there is none."""
    import pyarrow as pa

    if not names:
        return {field: pa.nulls(batch.num_rows) for mine in fields.values() for field in mine}
    found: dict[str, Any] = {}
    for name in names:
        column = batch.column(name)
        found.update((field, column) for field in fields[name])
    return found
