"""Tables in memory: what has Arrow's C interface (pyarrow, Polars, DuckDB, pandas), and datasets of other libraries."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import IO, Any

from vecmill.errors import DataError
from vecmill.schema.arrow import column_names
from vecmill.sources.base import MIN_BATCH_ROWS, names_text, one_line, rows_for, translated
from vecmill.sources.tables import Table, skipping, slices
from vecmill.types.frames import columns_of_pandas, is_kind, run_query
from vecmill.types.json import compact_json

_PROTOCOLS = ("__arrow_c_array__", "__arrow_c_stream__")


def is_object(value: object) -> bool:
    """Return True if ``value`` holds columns; False for a path."""
    return any(hasattr(value, name) for name in _PROTOCOLS) or _foreign(value) != ""


def open_object(value: Any) -> Table:
    """Return the table that an object holds. Raises DataError for one that holds none."""
    place = f"<{_library(value)} {type(value).__name__}>"
    kind = _foreign(value)
    if kind == "splits":
        raise DataError(file=place, expected="one split (data['train'])", got=f"splits {names_text(list(value))}")
    if kind == "lance":
        from vecmill.sources.lance import LanceTable

        return LanceTable(value, str(value.uri))
    if kind in ("dataset", "iterable"):
        return _Dataset(value, place, known=kind == "dataset")
    with _naming(place):
        value = _table_of_pandas(value, place) if kind == "frame" else run_query(value)
    return _Stream(value, place)


def _foreign(value: object) -> str:
    """Return the kind of an object that is not read by its Arrow interface; "" for all others."""
    for module, name, kind in (
        ("datasets", "Dataset", "dataset"),
        ("datasets", "IterableDataset", "iterable"),
        ("datasets", "DatasetDict", "splits"),
        ("datasets", "IterableDatasetDict", "splits"),
        ("lance", "LanceDataset", "lance"),
        ("pandas", "DataFrame", "frame"),
        ("polars", "LazyFrame", "query"),
    ):
        if is_kind(value, module, name):
            return kind
    return ""


def _library(value: object) -> str:
    return type(value).__module__.partition(".")[0]


def _table_of_pandas(frame: Any, place: str) -> Any:
    """Return a frame as an Arrow table, the named levels of its index as columns."""
    import pyarrow as pa

    columns = {}
    for name, series in columns_of_pandas(frame).items():
        if not isinstance(name, str):
            raise DataError(file=place, expected="columns with names of their own, of type str", got=repr(name))
        # Arrow would give dicts of different keys one type: {"a": 1} would become {"a": 1, "b": null}.
        first = next((value for value in series if value is not None), None) if series.dtype == object else None
        try:
            columns[name] = _json_texts(series) if isinstance(first, dict) else pa.array(series, from_pandas=True)
        except (pa.ArrowException, ValueError, TypeError) as err:
            raise DataError(file=place, field=name, expected="values that Arrow can hold", got=one_line(err)) from err
    return pa.table({name: _whole(values) for name, values in columns.items()})


def _whole(values: Any) -> Any:
    import pyarrow as pa

    return values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([values])


def _json_texts(series: Any) -> Any:
    import pyarrow as pa

    texts = [None if value is None else compact_json(value) for value in series]
    storage = pa.array(texts, pa.string())
    return pa.ExtensionArray.from_storage(pa.json_(pa.string()), storage)


class _Stream:
    """An object with ``__arrow_c_stream__`` or ``__arrow_c_array__``.

    A stream can be read only once. The first reading of some of its columns (to infer a schema) therefore copies it to
    a temporary file without a name, which later readings use.
    """

    def __init__(self, value: Any, place: str) -> None:
        import pyarrow as pa

        self.place = place
        self.n_bytes = 0
        self.null_counts: dict[str, int] = {}
        self._value: Any = None
        self._once: Any = None
        self._spool: IO[bytes] | None = None
        with _damage(place):
            if hasattr(value, "__arrow_c_array__"):
                self._value = pa.table(pa.record_batch(value))
            elif (
                isinstance(value, pa.Table)
                or hasattr(value, "__len__")
                or type(value).__module__.partition(".")[0] in ("duckdb", "_duckdb")
            ):
                self._value = value
            else:
                self._once = pa.RecordBatchReader.from_stream(value)
            schema = self._once.schema if self._once is not None else self._reader().schema
        names = column_names(schema)
        self.schema = pa.schema([field for field in schema if field.name in names])
        is_table = isinstance(self._value, pa.Table)
        self.n_rows: int | None = self._value.num_rows if is_table else None
        if is_table:
            flat = [f.name for f in self.schema if not pa.types.is_nested(f.type)]
            self.null_counts = {
                name: self._value[name].null_count for name in flat if len(schema.get_all_field_indices(name)) == 1
            }

    def read(self, columns: Any, batch_rows: int | None, start_row: int) -> Generator[Any, None, None]:
        """Yield slices of the batches; see `Table.read`."""
        if self._once is not None and len(columns) < len(self.schema):
            self._keep()
        with _damage(self.place):
            for batch in skipping((batch.select(columns) for batch in self._open()), start_row):
                yield from slices(batch, batch_rows)

    def _reader(self) -> Any:
        import pyarrow as pa

        if isinstance(self._value, pa.Table):
            return self._value.to_reader()
        return pa.RecordBatchReader.from_stream(self._value)

    def _open(self) -> Any:
        import pyarrow as pa

        if self._spool is not None:
            self._spool.seek(0)
            return pa.ipc.open_stream(pa.PythonFile(self._spool, "r"))
        if self._value is not None:
            with _damage(self.place):
                return self._reader()
        if self._once is None:
            got = "a stream that was read before; give a table, or a schema, so that one reading is enough"
            raise DataError(file=self.place, expected="data that can be read again", got=got)
        once, self._once = self._once, None
        return once

    def _keep(self) -> None:
        import tempfile

        import pyarrow as pa

        spool = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the source
        once, self._once = self._once, None
        with _damage(self.place), pa.ipc.new_stream(spool, once.schema) as writer:
            for batch in once:
                writer.write_batch(batch)
        self._spool = spool


class _Dataset:
    """A ``datasets.Dataset`` or ``IterableDataset``, by its Arrow format: indices and filters are applied."""

    def __init__(self, data: Any, place: str, *, known: bool) -> None:
        self._data = data.with_format("arrow")
        self._indexed = known
        self.place = place
        self.n_bytes = 0
        self.n_rows: int | None = len(data) if known else None
        self.null_counts: dict[str, int] = {}
        with _damage(place):
            if data.features is not None:
                self.schema = data.features.arrow_schema
            else:  # a stream tells its columns with its first rows
                first = next(iter(self._data.iter(batch_size=MIN_BATCH_ROWS)), None)
                if first is None:
                    raise DataError(file=place, expected="a dataset with columns", got="one without features or rows")
                self.schema = first.schema

    def read(self, columns: Any, batch_rows: int | None, start_row: int) -> Generator[Any, None, None]:
        """Yield slices of the batches; see `Table.read`."""
        with _damage(self.place):
            data = self._data.select_columns(list(columns))
            if start_row:
                data = data.select(range(start_row, len(data))) if self._indexed else data.skip(start_row)
            first = next(iter(data.iter(batch_size=MIN_BATCH_ROWS)), None)
            rows = batch_rows or rows_for(first.nbytes / max(1, first.num_rows) if first is not None else 0)
            for table in data.iter(batch_size=rows):
                for batch in table.to_batches():
                    yield from slices(batch, rows)


@contextmanager
def _naming(place: str) -> Iterator[None]:
    """Name ``place`` in a DataError that names no file."""
    try:
        yield
    except DataError as err:
        if err.file is not None:
            raise
        raise DataError(file=place, field=err.field, row=err.row, expected=err.expected, got=err.got) from err


def _damage(place: str) -> AbstractContextManager[None]:
    import pyarrow as pa

    kinds = (pa.ArrowException, ValueError, TypeError, OSError, RuntimeError)
    return translated(place, "columns that Arrow can read", *kinds)
