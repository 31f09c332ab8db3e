"""One conversion from beginning to end: inputs opened, schema known, casts planned, rows written, report made."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vecmill.convert.casts import Policy, plan_casts
from vecmill.convert.destination import child, destination, open_writer, scratch_folder
from vecmill.convert.duplicates import Keep, Repeated, find_repeated, refuse_repeated
from vecmill.convert.infer import infer
from vecmill.convert.opening import (
    Input,
    PathLike,
    cut,
    field_names,
    manifest_of,
    open_inputs,
    pairs,
    resolved,
    text_options,
    with_key,
)
from vecmill.convert.pump import Progress, Pump
from vecmill.convert.record import RECORD_NAME, Record, describe_inputs, find_begun
from vecmill.convert.rejects import REJECTS_NAME, opened_rejects
from vecmill.convert.report import Report
from vecmill.convert.reshape import Unbroken
from vecmill.errors import SchemaError, StoreError
from vecmill.filetype import parse_file_type
from vecmill.manifest import Manifest
from vecmill.schema.carriage import TARGETS, check_target
from vecmill.schema.collection import CollectionSchema
from vecmill.schema.reading import as_schema
from vecmill.sources import Source, TextOptions
from vecmill.sources.cast import Cast
from vecmill.sources.places import looks_like_arrays
from vecmill.store.place import SharedFolder, open_shared
from vecmill.store.sink import MANIFEST_NAME
from vecmill.validate.check import check_output
from vecmill.validate.context import LEVELS, Level
from vecmill.validate.entries import look_up_in
from vecmill.writer.options import SEGMENT_BYTES, WriterOptions

if TYPE_CHECKING:
    from vecmill.filetype import BulkFileType
    from vecmill.writer.api import BulkWriter

OnError = Literal["stop", "skip"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is asked of a conversion, besides where from and where to; `convert` explains each."""

    schema: object = None
    file_type: BulkFileType | str = "parquet"
    segment_size: int = SEGMENT_BYTES
    columns: Mapping[str, str] | Iterable[str] | None = None
    join: Sequence[Input] = ()
    kind: str | None = None
    primary: str | None = None
    id_from: str | None = None
    skip: int = 0
    limit: int | None = None
    cast: Policy = "safe"
    normalize: Sequence[str] = ()
    scale: Mapping[str, float] = field(default_factory=dict)
    on_error: OnError = "stop"
    check_duplicates: bool = False
    keep: Keep = "error"
    resume: bool = False
    target: str | None = None
    validate: Level | None = None
    config: Mapping[str, Any] | None = None
    text: TextOptions | None = None

    def __post_init__(self) -> None:
        if self.cast not in ("safe", "unsafe"):
            raise SchemaError(f"cast is 'safe' or 'unsafe', not {self.cast!r}")
        if self.on_error not in ("stop", "skip"):
            raise SchemaError(f"on_error is 'stop' or 'skip', not {self.on_error!r}")
        if self.keep not in ("first", "last", "error"):
            raise SchemaError(f"keep is 'first', 'last' or 'error', not {self.keep!r}")
        if self.target is not None and self.target not in TARGETS:
            raise SchemaError(f"target is one of {', '.join(TARGETS)}, not {self.target!r}")
        if self.validate is not None and self.validate not in LEVELS:
            raise SchemaError(f"validate is one of {', '.join(LEVELS)}, not {self.validate!r}")

    def of_writer(self) -> WriterOptions:
        """Return the options of the writer among these."""
        return WriterOptions.of(
            file_type=self.file_type, segment_size=self.segment_size, config=self.config, target=self.target
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """A conversion that is ready to run: nothing is written yet.

    ``inputs`` are as the caller named them. ``casts`` has the change of every column, None where the writer takes it
    as it comes. ``notes`` has a line per column of an inferred schema.
    """

    inputs: Sequence[Input]
    source: Source
    schema: CollectionSchema
    casts: Mapping[str, Cast | None]
    settings: Settings
    inferred: bool
    notes: tuple[str, ...]


def prepare(src: Input, settings: Settings) -> Plan:
    """Open the inputs, find the schema and plan the casts. Raises as `convert` does; nothing is written."""
    src = resolved(src)
    settings = replace(settings, join=tuple(resolved(one) for one in settings.join))
    known = _known_schema(src, settings)
    if known is not None:  # the writer would refuse it as well, but only once the data are open and read
        check_target(known, parse_file_type(settings.file_type), settings.target)
    source, primary = _opened(src, settings, known)
    notes: tuple[str, ...] = ()
    inferred = known is None
    if known is None:
        inference = infer(Unbroken(source) if settings.on_error == "skip" else source, primary=primary)
        known, notes = inference.schema, inference.notes
    return _planned(src, settings, source, known, inferred, notes)


def reopen(src: Input, settings: Settings, schema: CollectionSchema) -> Plan:
    """Return the plan that `prepare` has made of the same inputs and settings, in another process.

    ``schema`` is the one that it has found or was given: it is not inferred again.
    """
    known = _known_schema(src, settings)
    source, _ = _opened(src, settings, known)
    return _planned(src, settings, source, schema, known is None, ())


def _opened(src: Input, settings: Settings, known: CollectionSchema | None) -> tuple[Source, str | None]:
    """Return the rows that are wanted, and the column that is named as their key, if one is."""
    again = settings.on_error == "skip" or settings.check_duplicates
    makes_key = settings.id_from is not None and not settings.id_from.startswith("column")
    source = open_inputs(
        src, columns=settings.columns, join=settings.join, also=field_names(known), kind=settings.kind,
        text=text_options(settings.text, known, settings.columns, again=again, makes_key=makes_key),
    )  # fmt: skip
    primary = settings.primary
    if settings.id_from is not None:
        source, primary = with_key(source, settings.id_from, known, primary)
    return cut(source, settings.skip, settings.limit), primary


def _planned(
    src: Input,
    settings: Settings,
    source: Source,
    schema: CollectionSchema,
    inferred: bool,
    notes: tuple[str, ...],
) -> Plan:
    casts = plan_casts(source, schema, policy=settings.cast, normalize=tuple(settings.normalize), scale=settings.scale)
    files = [name for name in pairs(settings.columns).values() if looks_like_arrays(name)]
    return Plan((src, *settings.join, *files), source, schema, casts, settings, inferred, notes)


def _known_schema(src: Input, settings: Settings) -> CollectionSchema | None:
    """Return the schema that is given, or the one that vecmill wrote ``src`` with if it is all of the input, as it is.

    None: it has to be inferred.
    """
    if settings.schema is not None:
        return as_schema(settings.schema)
    changed = (settings.columns, settings.id_from, settings.primary)
    manifest = manifest_of(src) if not settings.join and changed == (None, None, None) else None
    return as_schema(manifest.schema) if manifest is not None else None


def run(plan: Plan, dst: PathLike, *, progress: Progress | None = None, began: float | None = None) -> Report:
    """Write what was planned. ``began`` is the ``perf_counter`` that the report counts its seconds from."""
    began = time.perf_counter() if began is None else began
    source, settings = plan.source, plan.settings
    asked = question(plan)
    place = destination(dst)
    name, record = (find_begun(place, asked) if settings.resume else None) or (None, Record(asked, began=time.time()))
    if name is not None and record.complete:
        return _finished(plan, open_shared(child(dst, name), largest_bytes=0), record, began)
    repeated = repeated_rows(plan, scratch_folder(dst)) if settings.check_duplicates else None
    writer, folder = open_writer(dst, name, plan.schema, settings.of_writer())
    resumed = writer.manifest.n_rows
    try:
        with writer, opened_rejects(folder, source) as rejects:
            writer.before_publish(rejects.sync)
            record.write(folder)
            row = rejects.resume(resumed) if name is not None else 0
            skip = settings.on_error == "skip"
            pump = Pump(source, plan.casts, writer, rejects, skip=skip, repeated=repeated, row=row)
            pump.run(progress)
    except BaseException as err:
        if not writer.manifest.segments:
            _leave_no_trace(folder)
        if not getattr(err, "safe", ""):  # a StoreError of the writer has said it already
            err.add_note(_safe(writer, folder))
        raise
    manifest = writer.manifest
    if manifest.n_rows + rejects.n_rows != pump.row:
        counts = f"{pump.row} rows were read, but {manifest.n_rows} written and {rejects.n_rows} rejected"
        raise StoreError(counts, path=folder.where)
    if manifest.segments:
        done = replace(record, complete=True, rows_read=pump.row, rows_rejected=rejects.n_rows)
        done.write(folder)
    else:
        _leave_no_trace(folder)
    return report_of(plan, folder, manifest, rejected=rejects.n_rows, resumed=resumed, began=began)


def repeated_rows(plan: Plan, scratch: Path) -> Repeated:
    """Return the rows that repeat a primary key. Raises DataError for them unless one of each is to be kept.

    What does not fit into memory waits in the folder ``scratch``.
    """
    key = plan.schema.primary_field
    if key is None or key.auto_id:
        raise SchemaError("the server makes the primary keys (auto_id), so none can be repeated")
    keep = plan.settings.keep
    repeated = find_repeated(
        plan.source, key.name, scratch, cast=plan.casts[key.name], keep=keep, skip=plan.settings.on_error == "skip"
    )
    if keep == "error":
        refuse_repeated(plan.source, repeated, plan.casts[key.name])
    return repeated


def question(plan: Plan) -> dict[str, Any]:
    """Return what decides which rows are written: see `Record`. Where a segment ends does not."""
    settings = plan.settings
    names = ("id_from", "skip", "limit", "cast", "normalize", "scale", "check_duplicates", "keep", "target")
    return {
        **describe_inputs(plan.inputs, plan.source, settings.kind),
        **{name: getattr(settings, name) for name in names},
        "text": repr(settings.text),
        "file_type": parse_file_type(settings.file_type).name,
        "schema": plan.schema.to_dict(),
    }


def _finished(plan: Plan, folder: SharedFolder, record: Record, began: float) -> Report:
    """Report a conversion that was complete before: there is nothing left to do."""
    text = folder.read(MANIFEST_NAME)
    if text is None:
        raise StoreError("is gone, though the conversion was complete", path=f"{folder.where}/{MANIFEST_NAME}")
    manifest = Manifest.from_json(text)
    return report_of(plan, folder, manifest, rejected=record.rows_rejected, resumed=manifest.n_rows, began=began)


def report_of(
    plan: Plan,
    folder: SharedFolder,
    manifest: Manifest,
    *,
    rejected: int,
    resumed: int,
    began: float,
    resumed_bytes: int | None = None,
) -> Report:
    """Return the report of what is in ``folder``; validate it first, if that was asked for.

    ``resumed``: rows that were there before, with their bytes; None: those of the first segments that hold them. Raises
    DataError with the findings for files that the server would refuse.
    """
    level = plan.settings.validate
    validation = None
    if level is not None and manifest.segments:
        validation = check_output(manifest, look_up_in(folder), target=plan.settings.target, level=level)
        validation.raise_for_errors(f"all {manifest.n_rows} rows were written; the files stay in {folder.where}")
    if resumed_bytes is None:
        ends = itertools.accumulate(segment.rows for segment in manifest.segments)
        before = [s for s, end in zip(manifest.segments, ends, strict=True) if end <= resumed]
        resumed_bytes = sum(entry.bytes for segment in before for entry in segment.files)
    seconds = time.perf_counter() - began
    return Report(
        rows=manifest.n_rows,
        rows_read=manifest.n_rows + rejected,
        rows_rejected=rejected,
        rows_resumed=resumed,
        rejects=f"{folder.where}/{REJECTS_NAME}" if rejected else None,
        bytes_in=plan.source.n_bytes,
        bytes_out=manifest.n_bytes,
        files=[[folder.address(entry.path) for entry in segment.files] for segment in manifest.segments],
        data_path=folder.where,
        seconds=seconds,
        rows_per_s=(manifest.n_rows - resumed) / seconds,
        mb_per_s=(manifest.n_bytes - resumed_bytes) / 1e6 / seconds,
        schema=plan.schema.to_dict(),
        inferred=plan.inferred,
        notes=plan.notes,
        validation=validation,
    )


def _leave_no_trace(folder: SharedFolder) -> None:
    """Remove the record of a conversion that wrote nothing, and its folder unless there are rejects in it."""
    with suppress(StoreError):  # in the way of nothing
        if folder.read(MANIFEST_NAME) is None:  # else another process has gone on here
            folder.delete([RECORD_NAME])


def _safe(writer: BulkWriter, folder: SharedFolder) -> str:
    """Say which rows are published, after a conversion broke off."""
    n_rows, n_files = writer.manifest.n_rows, len(writer.batch_files)
    if not n_rows:
        return "nothing was published"
    return f"published and whole: the first {n_rows} rows, {n_files} import file(s) in {folder.where}"
