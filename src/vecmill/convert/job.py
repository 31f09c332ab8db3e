"""One conversion from beginning to end: inputs opened, schema known, casts planned, rows written, report made."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vecmill.convert.casts import Policy, plan_casts
from vecmill.convert.opening import Input, PathLike, cut, field_names, open_inputs, with_key
from vecmill.convert.report import Report
from vecmill.errors import DataError, SchemaError, StoreError
from vecmill.infer import infer
from vecmill.schema import CollectionSchema
from vecmill.schema_io import as_schema
from vecmill.sources import Source
from vecmill.sources.cast import Cast

if TYPE_CHECKING:
    from vecmill.filetype import BulkFileType
    from vecmill.local_writer import LocalBulkWriter

Progress = Callable[[int, int], object]

SEGMENT_BYTES = 512 << 20
"""Default size of a segment: large enough that the server has few files to open, small enough to retry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is asked of a conversion, besides where from and where to; `convert` explains each."""

    schema: object = None
    file_type: BulkFileType | str = "parquet"
    segment_size: int = SEGMENT_BYTES
    columns: Mapping[str, str] | Iterable[str] | None = None
    join: Sequence[Input] = ()
    primary: str | None = None
    id_from: str | None = None
    skip: int = 0
    limit: int | None = None
    cast: Policy = "safe"
    normalize: Sequence[str] = ()
    scale: Mapping[str, float] = field(default_factory=dict)
    config: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.cast not in ("safe", "unsafe"):
            raise SchemaError(f"cast is 'safe' or 'unsafe', not {self.cast!r}")


@dataclass(frozen=True, slots=True)
class Plan:
    """A conversion that is ready to run: nothing is written yet.

    ``casts`` has the change of every column, None where the writer takes it as it comes. ``notes`` has a line per
    column of an inferred schema.
    """

    source: Source
    schema: CollectionSchema
    casts: Mapping[str, Cast | None]
    settings: Settings
    inferred: bool
    notes: tuple[str, ...]


def convert(
    src: Input,
    dst: PathLike,
    *,
    schema: object = None,
    file_type: BulkFileType | str = "parquet",
    segment_size: int = SEGMENT_BYTES,
    columns: Mapping[str, str] | Iterable[str] | None = None,
    join: Sequence[Input] = (),
    primary: str | None = None,
    id_from: str | None = None,
    skip: int = 0,
    limit: int | None = None,
    cast: Policy = "safe",
    normalize: Sequence[str] = (),
    scale: Mapping[str, float] | None = None,
    config: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Report:
    """Convert files of embeddings to the files of a bulk import, in bounded memory.

    Parameters
    ----------
    src: files or folders, see `vecmill.sources.open_source`; or any `Source`. None when ``columns`` names NPY files
        only.
    dst: folder to write to; the files come into a folder of their own inside it.
    schema: what the rest of vecmill takes as a schema. None infers one from the data.
    file_type: "parquet" or "npy".
    segment_size: bytes after which the next file begins.
    columns: field -> source column or NPY file; naming columns selects them, see `open_source`. With a schema, its
        fields are also found under their own names.
    join: further inputs whose columns stand beside those of ``src``, row by row; their row counts must be the same.
    primary: column that becomes the primary key of an inferred schema.
    id_from: where the primary key comes from: "row", "hash", "hash:a,b", "column", "column:a"; see `with_key`.
    skip, limit: leave out the first rows; take at most so many after them.
    cast: "safe", or "unsafe" for casts that may lose something; see `vecmill.convert.casts`.
    normalize: vectors that are scaled to length 1.
    scale: vectors that are multiplied by a factor, after that.
    config: options of the format, as `LocalBulkWriter` takes them.
    progress: called as ``progress(rows, bytes)`` after every batch, with what was read so far.

    Raises
    ------
    SchemaError: the schema is wrong, or none can be inferred, or an option contradicts it.
    DataError: rows or columns do not fit; ``file`` and ``row`` say where in the source. A note says what is published.
    StoreError: a file cannot be read or written.

    >>> report = convert("embeddings.parquet", "out", file_type="npy")  # doctest: +SKIP
    >>> report.files  # doctest: +SKIP
    [['out/9b0.../1/id.npy', 'out/9b0.../1/vector.npy']]
    """
    began = time.perf_counter()
    settings = Settings(
        schema=schema, file_type=file_type, segment_size=segment_size, columns=columns, join=tuple(join),
        primary=primary, id_from=id_from, skip=skip, limit=limit, cast=cast, normalize=tuple(normalize),
        scale=dict(scale or {}), config=config,
    )  # fmt: skip
    return run(prepare(src, settings), dst, progress=progress, began=began)


def prepare(src: Input, settings: Settings) -> Plan:
    """Open the inputs, find the schema and plan the casts. Raises as `convert` does; nothing is written."""
    known = as_schema(settings.schema) if settings.schema is not None else None
    source = open_inputs(src, columns=settings.columns, join=settings.join, also=field_names(known))
    primary = settings.primary
    if settings.id_from is not None:
        source, primary = with_key(source, settings.id_from, known, primary)
    source = cut(source, settings.skip, settings.limit)
    notes: tuple[str, ...] = ()
    inferred = known is None
    if known is None:
        inference = infer(source, primary=primary)
        known, notes = inference.schema, inference.notes
    casts = plan_casts(source, known, policy=settings.cast, normalize=tuple(settings.normalize), scale=settings.scale)
    return Plan(source, known, casts, settings, inferred, notes)


def run(plan: Plan, dst: PathLike, *, progress: Progress | None = None, began: float | None = None) -> Report:
    """Write what was planned. ``began`` is the ``perf_counter`` that the report counts its seconds from."""
    from vecmill.local_writer import LocalBulkWriter

    began = time.perf_counter() if began is None else began
    source, settings = plan.source, plan.settings
    config = dict(settings.config) if settings.config else None
    writer = LocalBulkWriter(
        plan.schema, os.fspath(dst), chunk_size=settings.segment_size, file_type=settings.file_type, config=config
    )
    try:
        with writer:
            rows = _pump(source, plan.casts, writer, progress)
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
        rows_read=rows,
        bytes_in=source.n_bytes,
        bytes_out=manifest.n_bytes,
        files=[[str(path) for path in group] for group in writer.batch_files],
        data_path=str(writer.data_path),
        seconds=seconds,
        rows_per_s=rows / seconds,
        mb_per_s=manifest.n_bytes / 1e6 / seconds,
        schema=plan.schema.to_dict(),
        inferred=plan.inferred,
        notes=plan.notes,
    )


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
