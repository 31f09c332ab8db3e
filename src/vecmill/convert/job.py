"""One conversion from beginning to end: inputs opened, schema known, casts planned, rows written, report made."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vecmill.convert.casts import plan_casts
from vecmill.convert.destination import child, destination, open_writer, scratch_folder
from vecmill.convert.duplicates import Repeated, find_repeated, refuse_repeated
from vecmill.convert.infer import infer
from vecmill.convert.opening import (
    Input,
    PathLike,
    cut,
    field_names,
    manifest_of,
    open_inputs,
    resolved,
    text_options,
    with_key,
)
from vecmill.convert.options import ConvertOptions
from vecmill.convert.pump import Progress, Pump
from vecmill.convert.record import RECORD_NAME, Record, describe_inputs, find_begun
from vecmill.convert.rejects import REJECTS_NAME, opened_rejects
from vecmill.convert.report import Report
from vecmill.convert.reshape import Unbroken
from vecmill.errors import SchemaError, StoreError
from vecmill.manifest import Manifest
from vecmill.schema.carriage import check_target
from vecmill.schema.collection import CollectionSchema
from vecmill.schema.reading import as_schema
from vecmill.sources import Source
from vecmill.sources.base import field_columns
from vecmill.sources.cast import Cast
from vecmill.sources.places import looks_like_arrays
from vecmill.store.place import SharedFolder, open_shared
from vecmill.store.sink import MANIFEST_NAME
from vecmill.validate.check import check_output
from vecmill.validate.entries import look_up_in

if TYPE_CHECKING:
    from vecmill.writer.api import BulkWriter


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
    options: ConvertOptions
    inferred: bool
    notes: tuple[str, ...]


def prepare(src: Input, options: ConvertOptions) -> Plan:
    """Open the inputs, find the schema and plan the casts. Raises as `convert` does; nothing is written."""
    src = resolved(src)
    options = replace(options, join=tuple(resolved(one) for one in options.join))
    known = _known_schema(src, options)
    if known is not None:  # the writer would refuse it as well, but only once the data are open and read
        check_target(known, options.writer.file_type, options.writer.target)
    source, primary = _opened(src, options, known)
    notes: tuple[str, ...] = ()
    inferred = known is None
    if known is None:
        inference = infer(Unbroken(source) if options.skips else source, primary=primary)
        known, notes = inference.schema, inference.notes
    return _planned(src, options, source, known, inferred, notes)


def reopen(src: Input, options: ConvertOptions, schema: CollectionSchema) -> Plan:
    """Return the plan that `prepare` has made of the same inputs and options, in another process.

    ``schema`` is the one that it has found or was given: it is not inferred again.
    """
    known = _known_schema(src, options)
    source, _ = _opened(src, options, known)
    return _planned(src, options, source, schema, known is None, ())


def _opened(src: Input, options: ConvertOptions, known: CollectionSchema | None) -> tuple[Source, str | None]:
    """Return the rows that are wanted, and the column that is named as their key, if one is."""
    again = options.skips or options.check_duplicates
    makes_key = options.id_from is not None and not options.id_from.startswith("column")
    source = open_inputs(
        src, columns=options.columns, join=options.join, also=field_names(known), kind=options.kind,
        text=text_options(options.text, known, options.columns, again=again, makes_key=makes_key),
    )  # fmt: skip
    primary = options.primary
    if options.id_from is not None:
        source, primary = with_key(source, options.id_from, known, primary)
    return cut(source, options.skip, options.limit), primary


def _planned(
    src: Input,
    options: ConvertOptions,
    source: Source,
    schema: CollectionSchema,
    inferred: bool,
    notes: tuple[str, ...],
) -> Plan:
    casts = plan_casts(source, schema, policy=options.cast, normalize=options.normalize, scale=options.scale)
    files = [name for name in field_columns(options.columns).values() if looks_like_arrays(name)]
    return Plan((src, *options.join, *files), source, schema, casts, options, inferred, notes)


def _known_schema(src: Input, options: ConvertOptions) -> CollectionSchema | None:
    """Return the schema that is given, or the one that vecmill wrote ``src`` with if it is all of the input, as it is.

    None: it has to be inferred.
    """
    if options.schema is not None:
        return as_schema(options.schema)
    changed = (options.columns, options.id_from, options.primary)
    manifest = manifest_of(src) if not options.join and changed == (None, None, None) else None
    return as_schema(manifest.schema) if manifest is not None else None


def run(plan: Plan, dst: PathLike, *, progress: Progress | None = None, began: float | None = None) -> Report:
    """Write what was planned. ``began`` is the ``perf_counter`` that the report counts its seconds from."""
    began = time.perf_counter() if began is None else began
    source, options = plan.source, plan.options
    asked = question(plan)
    place = destination(dst)
    name, record = (find_begun(place, asked) if options.resume else None) or (None, Record(asked, began=time.time()))
    if name is not None and record.complete:
        return _finished(plan, open_shared(child(dst, name), largest_bytes=0), record, began)
    repeated = repeated_rows(plan, scratch_folder(dst)) if options.check_duplicates else None
    writer, folder = open_writer(dst, name, plan.schema, options.writer)
    resumed = writer.manifest.n_rows
    try:
        with writer, opened_rejects(folder, source) as rejects:
            writer.before_publish(rejects.sync)
            record.write(folder)
            row = rejects.resume(resumed) if name is not None else 0
            skip = options.skips
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
    keep = plan.options.keep
    repeated = find_repeated(
        plan.source, key.name, scratch, cast=plan.casts[key.name], keep=keep, skip=plan.options.skips
    )
    if keep == "error":
        refuse_repeated(plan.source, repeated, plan.casts[key.name])
    return repeated


def question(plan: Plan) -> dict[str, Any]:
    """Return what decides which rows are written: see `Record`. Where a segment ends does not."""
    described = describe_inputs(plan.inputs, plan.source, plan.options.kind)
    return {**described, **plan.options.question(), "schema": plan.schema.to_dict()}


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
    level = plan.options.validate
    validation = None
    if level is not None and manifest.segments:
        validation = check_output(manifest, look_up_in(folder), target=plan.options.writer.target, level=level)
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
