"""Tables that are read as Arrow record batches (files, datasets, objects in memory), as a `Source`."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, Protocol

from vecmill.errors import DataError
from vecmill.sources.base import Column, Files, names_text, rows_for, total


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
    def null_counts(self) -> Mapping[str, int]: ...  # noqa: D102

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


def match_types(place: str, schema: Any, wanted: Iterable[str], types: dict[str, Any], first: str) -> None:
    """Enter the types of the columns ``wanted`` into ``types``; refuse one that differs from what is there.

    The type null, which stands for a file without a value, goes with any other. ``first`` names the table that the
    types come from. Raises DataError, also for a column that is not there once.
    """
    import pyarrow.types as t

    for name in wanted:
        found = schema.get_all_field_indices(name)
        if len(found) != 1:
            got = f"{len(found)} columns of that name" if found else f"columns {names_text(schema.names)}"
            raise DataError(file=place, expected=f"a column {name!r}", got=got)
        found_type = schema.field(found[0]).type
        known = types.setdefault(name, found_type)
        if t.is_null(known):
            types[name] = found_type
        elif known != found_type and not t.is_null(found_type):
            raise DataError(file=place, field=name, expected=f"{known}, as in {first!r}", got=str(found_type))


class TableSource:
    """Columns of tables that follow one another. ``wanted`` maps field names to names of columns.

    Every table holds all of them, with the same types. Raises DataError that names the table and the column.
    """

    def __init__(self, tables: Sequence[Table], wanted: Mapping[str, str], *, batch_rows: int | None = None) -> None:
        self._tables = tuple(tables)
        self._batch_rows = batch_rows
        types: dict[str, Any] = {}
        for table in tables:
            match_types(table.place, table.schema, wanted.values(), types, tables[0].place)
        self.columns = tuple(
            Column(field, name, types[name], total(table.null_counts.get(name) for table in tables))
            for field, name in wanted.items()
        )
        self.n_bytes = sum(table.n_bytes for table in tables)
        self._n_rows = [table.n_rows for table in tables]

    @property
    def n_rows(self) -> int | None:
        """Return the rows of all tables; None before all of unknown length were read to their end."""
        return total(self._n_rows)

    def locate(self, row: int, name: str | None = None) -> tuple[str, int]:
        """Return the table that holds ``row`` and the row in it; see `Source.locate`."""
        # Rows lie in tables that are known, or in the first that has not been read to its end.
        known = next((i for i, n in enumerate(self._n_rows) if n is None), len(self._n_rows) - 1) + 1
        counts = [n if n is not None else row + 1 for n in self._n_rows[:known]]
        return Files([table.place for table in self._tables[:known]], counts).locate(row)

    def batches(
        self, names: Sequence[str] | None = None, *, batch_rows: int | None = None, start_row: int = 0
    ) -> Iterator[Mapping[str, Any]]:
        """Yield pyarrow Arrays by field name; see `Source.batches`. A batch never spans two tables."""
        wanted = {c.name: c.source for c in self.columns if names is None or c.name in names}
        columns = sorted(set(wanted.values()))
        for i, table in enumerate(self._tables):
            known = self._n_rows[i]
            if known is not None and known <= start_row:
                start_row -= known
                continue
            # One that cannot tell its rows is read from its beginning, to count them.
            skip, start_row = start_row, 0
            seen = skip if known is not None else 0
            with closing(table.read(columns, batch_rows or self._batch_rows, seen)) as batches:
                for batch in batches:
                    seen += batch.num_rows
                    behind = batch.slice(max(0, batch.num_rows - (seen - skip))) if seen > skip else None
                    if behind is not None and behind.num_rows:
                        yield {field: behind.column(name) for field, name in wanted.items()}
            if known is not None and seen != known:
                more = "more" if seen > known else "fewer"
                got = f"{abs(seen - known)} {more}"
                raise DataError(file=table.place, expected=f"{known} rows, as before", got=got)
            self._n_rows[i] = seen
            start_row = max(0, skip - seen)
