"""The bulk writers: rows or columns in, published segments out.

Rows gather in a stage (:mod:`vecmill.segment`) and leave as spans; large batches go past it, straight from the caller's
memory. A segment that would grow beyond ``chunk_size`` is sealed and published in the background
(:mod:`vecmill.publisher`). All public methods may be called from several threads.
"""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

from vecmill.batch import iter_batches
from vecmill.errors import DataError, StoreError
from vecmill.filetype import BulkFileType, parse_file_type
from vecmill.formats import open_format
from vecmill.manifest import Manifest
from vecmill.pipeline import Pipeline
from vecmill.plan import plan_columns
from vecmill.publisher import Callback, Publisher, with_safe_words
from vecmill.rows import RowTaker
from vecmill.schema_io import as_schema
from vecmill.sinks.local import store_errors

MB = 1024 * 1024
_ROWS_AT_ONCE = 1024
_MAX_REFUSED_KEPT = 1000


class BulkWriter:
    """What all writers share. Use :class:`LocalBulkWriter`."""

    def __init__(
        self,
        schema: Any,
        root: Path,
        writer_uuid: str,
        chunk_size: int,
        file_type: Any,
        config: Mapping[str, Any] | None,
    ) -> None:
        self._schema = as_schema(schema)
        self._file_type = parse_file_type(file_type)
        if chunk_size < 1:
            raise ValueError(f"chunk_size must be positive, got {chunk_size}")
        self._chunk_size = chunk_size
        self._uuid = writer_uuid
        self._root = root
        form = open_format(self._file_type, self._schema, config)
        plans = plan_columns(self._schema, form.rules)
        manifest = Manifest(uuid=writer_uuid, file_type=self._file_type.name, schema=self._schema.to_dict())
        self._publisher = Publisher(root, manifest)
        self._pipeline = Pipeline(self._schema, plans, form, root, chunk_size, self._publisher)
        self._rows = RowTaker(self._schema, plans, self._pipeline)
        self._put = self._rows.put
        self._lock = threading.RLock()
        self._offered = 0
        self._refused = 0
        self._failure: BaseException | None = None
        self._told = False
        self._closed = False
        with store_errors(root):
            root.mkdir(parents=True)

    # -- taking data

    def append_row(self, row: Mapping[str, Any], **_kwargs: Any) -> None:
        """Take one row: a dict of field name to value. The dict is never changed.

        Raises DataError if the row does not fit the schema (it is refused alone; the writer goes on), StoreError if a
        file could not be written.
        """
        with self._lock:
            if self._failure is not None or self._closed or self._publisher.failed:
                self._check()
            try:
                self._put(row, self._offered)
            except DataError:
                self._refused += 1
                raise
            except BaseException as error:
                self._fail(error)
            finally:
                self._offered += 1

    def append_rows(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take rows from a list or any iterable; much faster than one call a row.

        Bad rows are refused alone and all others taken; then the first refusal is raised as DataError, with every
        refused row in its ``refused`` and their number in ``n_refused``. Raises StoreError as ``append_row`` does.
        """
        refused: list[DataError] = []
        n_refused = 0
        if isinstance(rows, Mapping):
            raise DataError(expected="an iterable of row dicts", got="one dict; use append_row")
        for chunk in _chunks(rows):
            errors, n = self._append_chunk(chunk, _MAX_REFUSED_KEPT - len(refused))
            refused += errors
            n_refused += n
        if refused:
            first = refused[0]
            raise DataError(
                field=first.field, row=first.row, expected=first.expected, got=first.got,
                refused=refused, n_refused=n_refused,
            ) from first.__cause__  # fmt: skip

    def _append_chunk(self, chunk: list[Mapping[str, Any]], keep: int) -> tuple[list[DataError], int]:
        refused: list[DataError] = []
        n_refused = 0
        with self._lock:
            self._check()
            at = 0
            while at < len(chunk):
                try:
                    taken = self._rows.put_many(chunk, at, self._offered)
                except DataError as error:
                    taken = error_index(error, self._offered) + 1
                    self._refused += 1
                    n_refused += 1
                    if len(refused) < keep:
                        refused.append(error)
                except BaseException as error:
                    self._fail(error)
                at += taken
                self._offered += taken
        return refused, n_refused

    def append_batch(self, batch: Any) -> None:
        """Take columns: a mapping of field name to array, or Arrow data, or a pandas DataFrame.

        Arrays may be NumPy, DLPack (torch, ...), Arrow or lists; Arrow data is anything with ``__arrow_c_stream__`` or
        ``__arrow_c_array__`` (pyarrow, Polars, DuckDB, pandas, ...). Vectors are (n, dim) arrays or lists of vectors.
        Memory of the right type is not copied, and may be reused once the call returns.

        Raises DataError if anything in it does not fit: the batch is refused whole, also when it is a long stream.
        Raises StoreError if a file could not be written.
        """
        with self._lock:
            self._check()
            seen = self._pipeline.new_tally()
            try:
                self._pipeline.append(iter_batches(batch), self._offered, seen)
            except DataError:
                self._refused += seen.n_rows
                raise
            except BaseException as error:
                if isinstance(error, StoreError | MemoryError | AssertionError) or self._pipeline.is_broken:
                    self._fail(error)
                self._refused += seen.n_rows  # the caller's own stream failed: nothing of it was taken
                raise
            finally:
                self._offered += seen.n_rows

    # -- finishing

    def commit(self, **kwargs: Any) -> None:
        """Seal the current segment and wait until all segments are published.

        ``call_back`` (a function of the list of files) and ``_async=True`` (do not wait) are taken as in pymilvus.
        Raises StoreError; what is published stays and is named in the message.
        """
        callback: Callback | None = kwargs.get("call_back")
        with self._lock:
            self._check()
            try:
                self._pipeline.commit(callback)
                if not kwargs.get("_async", False):
                    self._publisher.wait()
            except BaseException as error:
                self._fail(error)

    def close(self) -> None:
        """Commit and release everything. A second call does nothing. Raises StoreError as ``commit`` does."""
        with self._lock:
            if self._closed:
                return
            try:
                if self._failure is None:
                    self.commit()
                elif not self._told:
                    self._raise_failure()
            finally:
                self._release(abandon=False)

    def abort(self) -> None:
        """Give up: publish nothing more, remove what is not published, release everything."""
        with self._lock:
            if not self._closed:
                self._release(abandon=True)

    def _release(self, *, abandon: bool) -> None:
        self._closed = True
        self._pipeline.close()
        self._publisher.close(abandon=abandon)

    def __enter__(self) -> Any:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    # -- failing

    def _check(self) -> None:
        if self._closed:
            raise ValueError("the writer is closed")
        if self._failure is not None:
            self._raise_failure()
        try:
            self._publisher.raise_failure()
        except BaseException as error:
            self._fail(error)

    def _fail(self, error: BaseException) -> NoReturn:
        """Take no more rows: after a failed write nobody knows what is on disk of the current segment."""
        if self._failure is None:
            if isinstance(error, StoreError):
                error = with_safe_words(error, self._publisher.safe_words())
            self._failure = error
            self._pipeline.drop()
        self._raise_failure()

    def _raise_failure(self) -> NoReturn:
        assert self._failure is not None
        self._told = True
        raise self._failure

    # -- what a caller may ask

    @property
    def schema(self) -> Any:
        """The schema, as vecmill's CollectionSchema."""
        return self._schema

    @property
    def uuid(self) -> str:
        """Name of the writer's folder."""
        return self._uuid

    @property
    def data_path(self) -> Path:
        """The writer's folder, ``<local_path>/<uuid>``."""
        return self._root

    @property
    def batch_files(self) -> list[list[str]]:
        """Published files, one list a segment: the shape that the import API takes."""
        return self._publisher.batch_files

    @property
    def manifest(self) -> Manifest:
        """What is published: files with rows, bytes and checksums, and the schema. Also in ``manifest.json``."""
        return self._publisher.manifest

    @property
    def total_row_count(self) -> int:
        """Rows taken since the start, published or not; refused rows do not count."""
        return self._offered - self._refused

    @property
    def buffer_row_count(self) -> int:
        """Rows taken and not yet handed over for publishing."""
        return self._pipeline.n_rows

    @property
    def buffer_size(self) -> int:
        """Encoded bytes of these rows."""
        return self._pipeline.n_bytes

    @property
    def chunk_size(self) -> int:
        """Encoded bytes at which a segment is closed."""
        return self._chunk_size


class LocalBulkWriter(BulkWriter):
    """Write import files to local disk.

    Parameters as in pymilvus. ``schema``: a CollectionSchema (vecmill's or pymilvus'), a dict or a path to JSON.
    ``local_path``: files go to ``<local_path>/<uuid>/<n>.parquet`` or ``<local_path>/<uuid>/<n>/<field>.npy``, n
    from 1; beside them ``manifest.json``. ``chunk_size``: encoded bytes (not raw ones) at which a segment is closed.
    ``file_type``: PARQUET or NUMPY, also as a string. ``config``: see :func:`vecmill.formats.open_format`.
    ``segment_size``: pymilvus' older word for ``chunk_size``; it wins.

    As a context manager it commits what is left on a clean exit, and publishes nothing more on an exception.

    Raises SchemaError if the schema breaks a rule of the server or has a field that the format cannot carry, StoreError
    if the folder cannot be made.

    >>> from vecmill import DataType, LocalBulkWriter, create_schema
    >>> schema = create_schema()
    >>> _ = schema.add_field("id", DataType.INT64, is_primary=True)
    >>> _ = schema.add_field("vector", DataType.FLOAT_VECTOR, dim=4)
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, LocalBulkWriter(schema, folder) as writer:
    ...     writer.append_row({"id": 1, "vector": [0.1, 0.2, 0.3, 0.4]})
    ...     writer.commit()
    ...     len(writer.batch_files)
    1
    """

    def __init__(
        self,
        schema: Any,
        local_path: str | os.PathLike[str],
        chunk_size: int = 128 * MB,
        file_type: BulkFileType | str | int = BulkFileType.PARQUET,
        config: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        segment_size = kwargs.get("segment_size") or 0
        writer_uuid = str(uuid.uuid4())
        super().__init__(
            schema,
            Path(local_path) / writer_uuid,
            writer_uuid,
            segment_size if segment_size > 0 else chunk_size,
            file_type,
            config,
        )

    def __enter__(self) -> LocalBulkWriter:
        return self


def error_index(error: DataError, first_row: int) -> int:
    """Return the index of a refused row in its chunk."""
    assert error.row is not None
    return error.row - first_row


def _chunks(rows: Iterable[Mapping[str, Any]]) -> Iterable[list[Mapping[str, Any]]]:
    """Cut an iterable into lists. If it raises, what it gave before is taken first."""
    if isinstance(rows, list):
        yield rows
        return
    chunk: list[Mapping[str, Any]] = []
    try:
        for row in rows:
            chunk.append(row)
            if len(chunk) == _ROWS_AT_ONCE:
                full, chunk = chunk, []
                yield full
    finally:
        if chunk:
            yield chunk
