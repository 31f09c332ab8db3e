"""The bulk writers: rows or columns in, published segments out.

Rows gather in a stage (:mod:`vecmill.encode.stage`) and leave as spans; large batches go past it, straight from the
caller's memory. A segment that would grow beyond ``chunk_size`` is sealed and published in the background
(:mod:`vecmill.writer.publisher`). All public methods may be called from several threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from vecmill.encode.batch import iter_batches
from vecmill.encode.plan import plan_columns
from vecmill.errors import DataError, StoreError
from vecmill.manifest import Manifest
from vecmill.schema.reading import as_schema
from vecmill.store.sink import undoing
from vecmill.writer.facts import WriterFacts
from vecmill.writer.options import WriterOptions
from vecmill.writer.pipeline import Pipeline
from vecmill.writer.publisher import Publisher
from vecmill.writer.resume import resumed_manifest
from vecmill.writer.rows import RowTaker, in_chunks
from vecmill.writer.state import WriterState

if TYPE_CHECKING:
    from vecmill.store.place import Place
    from vecmill.validate.context import Level
    from vecmill.validate.report import ValidationReport

_MAX_REFUSED_KEPT = 1000


class BulkWriter(WriterFacts):
    """Writer into any sink. Use :class:`LocalBulkWriter` or :class:`RemoteBulkWriter`."""

    def __init__(
        self,
        schema: Any,
        place: Place,
        writer_uuid: str,
        options: WriterOptions,
    ) -> None:
        self._schema = as_schema(schema)
        self._options = options
        form = options.open_format(self._schema)
        self._validation: ValidationReport | None = None
        self._place, self._sink = place, place.sink()
        sink = self._sink
        plans = plan_columns(self._schema, form.rules)
        manifest = Manifest(
            uuid=writer_uuid, file_type=options.file_type.name, schema=self._schema.to_dict(),
            import_options=form.import_options,
        )  # fmt: skip
        # Stage and threads come after this: what is wrong with schema, format or place shows first.
        manifest = resumed_manifest(sink, manifest) if options.resume else manifest
        if not manifest.segments:
            sink.begin(manifest.to_json())
        self._publisher = Publisher(sink, manifest)
        self._pipeline = Pipeline(self._schema, plans, form, sink, options, self._publisher)
        self._rows = RowTaker(self._schema, plans, self._pipeline.stage, self._pipeline.drain)
        self._state = WriterState(self._pipeline, self._publisher, sink.where)
        self._lock = threading.RLock()
        self._next_row = manifest.n_rows
        self._n_refused = 0

    # -- taking data

    def append_row(self, row: Mapping[str, Any], **_kwargs: Any) -> None:
        """Take one row: a dict of field name to value. The dict is never changed.

        Raises DataError if the row does not fit the schema (it is refused alone; the writer goes on), StoreError if a
        file could not be written.
        """
        with self._lock:
            if self._state.is_over or self._publisher.failed:
                self._state.check()
            try:
                self._rows.put(row, self._next_row)
            except BaseException as error:
                self._n_refused += 1
                self._state.fail_if_fatal(error)
                raise
            finally:
                self._next_row += 1

    def append_rows(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take rows from a list or any iterable; much faster than one call a row.

        Bad rows are refused alone and all others are taken; then the first refusal is raised as DataError, with up to
        1,000 refusals in its ``refused`` and their number in ``n_refused``. Raises StoreError as ``append_row`` does.
        """
        refused: list[DataError] = []
        n_refused = 0
        try:
            for chunk in in_chunks(rows):
                n_refused += self._append_chunk(chunk, refused)
        except BaseException as error:
            if refused:
                error.add_note(f"rows refused before that: {n_refused}, the first: {refused[0]}")
            raise
        if refused:
            first = refused[0]
            raise DataError(
                field=first.field, row=first.row, expected=first.expected, got=first.got,
                refused=refused, n_refused=n_refused,
            ) from first.__cause__  # fmt: skip

    def _append_chunk(self, chunk: list[Mapping[str, Any]], refused: list[DataError]) -> int:
        """Take the good rows of a list. Return how many were refused, and add their errors to ``refused``."""
        n_refused = 0
        with self._lock:
            self._state.check()
            at = 0
            while at < len(chunk):
                taken, error = self._rows.put_many(chunk, at, self._next_row)
                at += taken + 1
                self._next_row += taken
                if error is None:
                    break
                self._next_row += 1
                self._n_refused += 1
                if not isinstance(error, DataError):
                    self._state.fail_if_fatal(error)
                    raise error
                n_refused += 1
                if len(refused) < _MAX_REFUSED_KEPT:
                    refused.append(error)
        return n_refused

    def append_batch(self, batch: Any) -> None:
        """Take columns: a mapping of field name to array, or Arrow data, or a pandas DataFrame.

        Arrays may be NumPy, DLPack (torch, ...), Arrow or lists; Arrow data is anything with ``__arrow_c_stream__`` or
        ``__arrow_c_array__`` (pyarrow, Polars, DuckDB, pandas, ...). Vectors are (n, dim) arrays or lists of vectors.
        Memory of the right type is not copied, and may be reused once the call returns.

        Raises DataError if anything in it does not fit: the batch is refused whole, also when it is a long stream.
        Raises StoreError if a file could not be written.
        """
        with self._lock:
            self._state.check()
            n_rows, error = self._pipeline.append(iter_batches(batch), self._next_row)
            self._next_row += n_rows
            if error is not None:
                self._n_refused += n_rows
                try:
                    self._state.fail_if_fatal(error)
                    raise error
                finally:
                    del error  # refers to this frame, which would keep the batch

    # -- finishing

    def commit(self, **kwargs: Any) -> None:
        """Seal the current segment and wait until all segments are published.

        ``call_back`` (a function of the list of files) and ``_async=True`` (do not wait) are taken as in pymilvus. The
        function is called once the files are published, if there were rows to commit; with ``_async``, in the
        background thread, where it may ask for properties but must not append or commit, and where an exception of
        its own ends the writer like any other: the next call raises it.

        Raises StoreError; what is published stays and is named in the message.
        """
        callback, wait = kwargs.get("call_back"), not kwargs.get("_async", False)
        with self._lock:
            self._state.check()
            try:
                had_rows = self._pipeline.commit(None if wait else callback)
                if wait:
                    self._publisher.wait()
            except BaseException as error:
                self._state.fail(error)
            files = self.batch_files[-1] if callback is not None and wait and had_rows else []
        if callback is not None and files:
            callback(files)

    def close(self) -> None:
        """Commit and release everything; then validate, if that was asked for. A second call does nothing.

        Raises StoreError as ``commit`` does; DataError with ``findings`` if the server would refuse the files, or store
        other values than were given. The files stay, and a note says where.
        """
        with self._lock:
            if self._state.is_closed:
                return
            with undoing(lambda: self._release(abandon=False)):
                if self._state.failure is None:  # else it was raised when it was found
                    self.commit()
            self._release(abandon=False)
            if self._options.validate is not None and self._state.failure is None:
                self._validation = self.validate(self._options.validate)
                self._validation.raise_for_errors(f"the files stay in {self._sink.where}")

    def validate(
        self, level: Level = "full", *, sample_rows: int | None = None, max_findings: int | None = None
    ) -> ValidationReport:
        """Check what is published so far against the rules of the server, as `vecmill.validate` does.

        The files are read back from where they are, with the writer's ``target``. Parameters are those of
        `vecmill.validate`. Raises StoreError for what cannot be read; what is wrong with the files is in the report.
        """
        from vecmill.validate.check import check_output
        from vecmill.validate.context import MAX_FINDINGS, SAMPLE_ROWS

        return check_output(
            self.manifest,
            self._place,
            target=self._options.target,
            level=level,
            sample_rows=SAMPLE_ROWS if sample_rows is None else sample_rows,
            max_findings=MAX_FINDINGS if max_findings is None else max_findings,
        )

    def abort(self) -> None:
        """Publish nothing more, remove all unpublished files, and release everything."""
        with self._lock:
            if not self._state.is_closed:
                self._release(abandon=True)

    def _release(self, *, abandon: bool) -> None:
        self._state.close()
        try:
            self._pipeline.close()
        finally:
            self._publisher.close(abandon=abandon)

    def __enter__(self) -> Any:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
            return
        try:
            self.abort()
        except StoreError as second:
            error.add_note(f"and temporary files could not be removed: {second}")
        unseen = self._publisher.settle()
        if unseen is not None:
            error.add_note(f"and before that, publishing had failed: {unseen}")

    def before_publish(self, call: Callable[[], object]) -> None:
        """Have ``call`` called before each segment is published, in the background thread.

        An exception of ``call`` ends the writer.
        """
        self._publisher.before = call
