"""`convert`: files of embeddings in, files that Milvus imports out, in one call."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vecmill.errors import DataError, StoreError
from vecmill.infer import infer
from vecmill.schema import CollectionSchema
from vecmill.schema_io import as_schema
from vecmill.sources import Column, Source, open_source
from vecmill.sources.base import names_text
from vecmill.sources.cast import Cast, cast_for

if TYPE_CHECKING:
    from vecmill.filetype import BulkFileType
    from vecmill.local_writer import LocalBulkWriter

PathLike = str | os.PathLike[str]
Progress = Callable[[int, int], object]

SEGMENT_BYTES = 512 << 20
"""Default size of a segment: large enough that the server has few files to open, small enough to retry."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a conversion did.

    Attributes
    ----------
    rows: rows read, and written.
    bytes_in, bytes_out: bytes of the files read, and of the files written.
    files: paths written; one inner list per import file, as ``bulk_import(files=...)`` takes it.
    data_path: the folder that holds them.
    seconds: wall time, schema inference included.
    rows_per_s, mb_per_s: rows, and 10^6 bytes written, per second.
    schema: the schema, as ``CollectionSchema.to_dict()`` gives it.
    inferred: whether the schema was inferred from the data.
    notes: when it was, one line per column that says what was chosen.
    """

    rows: int
    bytes_in: int
    bytes_out: int
    files: list[list[str]]
    data_path: str
    seconds: float
    rows_per_s: float
    mb_per_s: float
    schema: dict[str, Any]
    inferred: bool
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values, fit for JSON."""
        return dataclasses.asdict(self) | {"notes": list(self.notes)}


def convert(
    src: PathLike | Sequence[PathLike] | Source | None,
    dst: PathLike,
    *,
    schema: object = None,
    file_type: BulkFileType | str = "parquet",
    segment_size: int = SEGMENT_BYTES,
    columns: Mapping[str, str] | Iterable[str] | None = None,
    primary: str | None = None,
    config: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Report:
    """Convert Parquet or NPY files to the files of a bulk import, in bounded memory.

    Parameters
    ----------
    src: files or folders, see `vecmill.sources.open_source`; None when ``columns`` names NPY files only.
    dst: folder to write to; the files come into a folder of their own inside it.
    schema: what the rest of vecmill takes as a schema. None infers one from the data.
    file_type: "parquet" or "npy".
    segment_size: bytes after which the next file begins.
    columns: field -> source column or NPY file; naming columns selects them, see `open_source`. With a schema, its
        fields are also found under their own names.
    primary: column that becomes the primary key of an inferred schema.
    config: options of the format, as `LocalBulkWriter` takes them.
    progress: called as ``progress(rows, bytes)`` after every batch, with what was handed to the writer so far.

    Raises
    ------
    SchemaError: the schema is wrong, or none can be inferred.
    DataError: rows or columns do not fit; ``file`` and ``row`` say where in the source. A note says what is published.
    StoreError: a file cannot be read or written.

    >>> report = convert("embeddings.parquet", "out", file_type="npy")  # doctest: +SKIP
    >>> report.files  # doctest: +SKIP
    [['out/9b0.../1/id.npy', 'out/9b0.../1/vector.npy']]
    """
    from vecmill.local_writer import LocalBulkWriter

    began = time.perf_counter()
    known = as_schema(schema) if schema is not None else None
    source = _open(src, columns, known)
    notes: tuple[str, ...] = ()
    if known is None:
        inference = infer(source, primary=primary)
        known, notes = inference.schema, inference.notes
    casts = _plan(source, known)
    writer = LocalBulkWriter(
        known, os.fspath(dst), chunk_size=segment_size, file_type=file_type, config=dict(config) if config else None
    )
    try:
        with writer:
            rows = _pump(source, casts, writer, progress)
            if source.n_rows is not None and rows != source.n_rows:
                raise DataError(file=source.locate(rows)[0], expected=f"{source.n_rows} rows in all", got=f"{rows}")
    except BaseException as err:
        if not getattr(err, "safe", ""):  # a StoreError of the writer has said it already
            err.add_note(_safe(writer))
        raise
    manifest = writer.manifest
    if rows != manifest.n_rows:
        raise StoreError(f"{rows} rows were taken, but {manifest.n_rows} written", path=str(writer.data_path))
    seconds = time.perf_counter() - began
    return Report(
        rows=rows,
        bytes_in=source.n_bytes,
        bytes_out=manifest.n_bytes,
        files=[[str(path) for path in group] for group in writer.batch_files],
        data_path=str(writer.data_path),
        seconds=seconds,
        rows_per_s=rows / seconds,
        mb_per_s=manifest.n_bytes / 1e6 / seconds,
        schema=known.to_dict(),
        inferred=bool(notes),
        notes=notes,
    )


def _open(
    src: PathLike | Sequence[PathLike] | Source | None,
    columns: Mapping[str, str] | Iterable[str] | None,
    schema: CollectionSchema | None,
) -> Source:
    if src is None or isinstance(src, str | os.PathLike | Sequence):
        return open_source(src, columns=columns, also=field_names(schema))
    return src


def field_names(schema: CollectionSchema | None) -> tuple[str, ...]:
    """Return the names of the fields that a source has to bring; none when there is no schema yet."""
    return tuple(field.name for field in schema.written_fields()) if schema is not None else ()


def _plan(source: Source, schema: CollectionSchema) -> dict[str, Cast | None]:
    """Return the cast of every column. Raises DataError before the first row when columns and fields do not match."""
    fields = {field.name: field for field in schema.written_fields()}
    columns: dict[str, Column] = {column.name: column for column in source.columns}
    file = source.locate(0)[0]
    for name, field in fields.items():
        if name not in columns and not (field.nullable or field.is_dynamic or field.default_value is not None):
            raise DataError(
                file=file, field=name, expected="a column for this field", got=f"columns {names_text(list(columns))}"
            )
    extra = [name for name in columns if name not in fields]
    if extra and not schema.enable_dynamic_field:
        raise DataError(
            file=file,
            expected="columns that are fields of the schema",
            got=f"{names_text(extra)}; select columns (columns=, --column), or give the schema a dynamic field",
        )
    return {
        name: cast_for(column.type, fields[name].dtype if name in fields else None, name)
        for name, column in columns.items()
    }


def _pump(source: Source, casts: Mapping[str, Cast | None], writer: LocalBulkWriter, progress: Progress | None) -> int:
    rows = n_bytes = 0
    with closing(_ahead(source.batches())) as batches:
        for batch in batches:
            try:
                ready = {name: values if (c := casts[name]) is None else c(values) for name, values in batch.items()}
            except DataError as err:
                raise _located(err, source, rows) from err
            try:
                writer.append_batch(ready)
            except DataError as err:
                raise _located(err, source, 0) from err
            rows += len(next(iter(batch.values())))
            n_bytes += sum(values.nbytes for values in batch.values())
            if progress is not None:
                progress(rows, n_bytes)
    return rows


def _ahead(batches: Iterator[Mapping[str, Any]]) -> Generator[Mapping[str, Any], None, None]:
    """Read the next batch while the last one is written: decoding Parquet takes as long as writing, and no GIL."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1, thread_name_prefix="vecmill-read") as pool:
        coming = pool.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = pool.submit(next, batches, None)
            yield batch


def _located(err: DataError, source: Source, base: int) -> DataError:
    """Return ``err`` with the file of its row and the row in that file; its own row counts from ``base``."""
    if err.file is not None:
        return err
    file, row = source.locate(base + (err.row or 0), err.field)
    located = DataError(
        file=file, field=err.field, row=row if err.row is not None else None, expected=err.expected, got=err.got
    )
    for note in getattr(err, "__notes__", ()):
        located.add_note(note)
    return located


def _safe(writer: LocalBulkWriter) -> str:
    """Say which rows are published, after a conversion broke off."""
    n_rows, n_files = writer.manifest.n_rows, len(writer.batch_files)
    if not n_rows:
        return "nothing was published"
    return f"published and whole: the first {n_rows} rows, {n_files} import file(s) in {writer.data_path}"
