"""Runs one conversion: opens inputs, finds the schema, plans casts, writes rows, makes the report."""

from __future__ import annotations

import itertools
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vecmill.convert.casts import Cast, plan_casts
from vecmill.convert.duplicates import Repeated, find_repeated, refuse_repeated
from vecmill.convert.infer import infer
from vecmill.convert.opening import (
    Input,
    PathLike,
    cut,
    field_names,
    open_inputs,
    resolved,
    text_options,
    with_key,
)
from vecmill.convert.options import ConvertOptions
from vecmill.convert.outputs import output_of
from vecmill.convert.packed import with_vectors
from vecmill.convert.pump import Progress, Pump, check_counts
from vecmill.convert.record import Record, describe_inputs, find_begun
from vecmill.convert.rejects import opened_rejects
from vecmill.convert.report import Report
from vecmill.convert.reshape import Unbroken, without_empty
from vecmill.errors import SchemaError, StoreError
from vecmill.manifest import Manifest
from vecmill.schema.carriage import check_target
from vecmill.schema.collection import CollectionSchema
from vecmill.schema.reading import as_schema
from vecmill.sources import Source
from vecmill.sources.base import field_columns
from vecmill.sources.places import looks_like_arrays
from vecmill.store.local_place import LocalPlace
from vecmill.store.notes import MANIFEST_NAME, RECORD_NAME, REJECTS_NAME, read_manifest
from vecmill.store.place import Place
from vecmill.store.url import disk_path
from vecmill.validate.check import check_output
from vecmill.writer.api import BulkWriter
from vecmill.writer.options import WriterOptions
from vecmill.writer.tasks import open_export


@dataclass(frozen=True, slots=True)
class Plan:
    """A conversion that is ready to run. Nothing is written yet.

    Attributes
    ----------
    inputs: as the caller named them.
    casts: the change of every column by name. None: the writer takes the column as it is.
    notes: a line per column of an inferred schema.
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
    if known is not None:  # the writer would refuse it too, but only after the data are opened and read
        check_target(known, options.writer.file_type, options.writer.target)
    source, primary, notes = _opened(src, options, known)
    inferred = known is None
    if known is None:
        inference = infer(Unbroken(source) if options.skips else source, primary=primary)
        known, notes = inference.schema, (*inference.notes, *notes)
    return _planned(src, options, source, known, inferred, notes)


def reopen(src: Input, options: ConvertOptions, schema: CollectionSchema) -> Plan:
    """Return the plan that `prepare` made from the same inputs and options in another process.

    ``schema``: the schema of that plan; it is not inferred again.
    """
    known = _known_schema(src, options)
    source, _, notes = _opened(src, options, known)
    return _planned(src, options, source, schema, known is None, notes)


def _opened(
    src: Input, options: ConvertOptions, known: CollectionSchema | None
) -> tuple[Source, str | None, tuple[str, ...]]:
    """Return the rows that are wanted, the column that is named as their key, if one is, and what was left out."""
    again = options.skips or options.check_duplicates
    makes_key = options.id_from is not None and not options.id_from.startswith("column")
    lenient = options.cast == "unsafe"
    text = text_options(options.text, known, options.columns, again=again, makes_key=makes_key, lenient=lenient)
    source = open_inputs(
        src, columns=options.columns, join=options.join, also=field_names(known), kind=options.kind, text=text,
        drop=options.drop, rows_from=options.rows_from,
    )  # fmt: skip
    if known is not None and options.columns is None:
        source = with_vectors(source, {}, known)
    primary = options.primary
    if options.id_from is not None:
        source, primary = with_key(source, options.id_from, known, primary)
    source, left_out = without_empty(source, known)
    return cut(source, options.skip, options.limit), primary, left_out


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
    """Return the given schema, or that of the output ``src`` if it is the whole input, unchanged.

    None: the schema must be inferred.
    """
    if options.schema is not None:
        return as_schema(options.schema)
    changed = (options.columns, options.id_from, options.primary) != (None, None, None)
    output = output_of(src) if not (options.join or options.drop or changed) else None
    return as_schema(output[1].schema) if output is not None else None


def run(plan: Plan, dst: PathLike, *, progress: Progress | None = None, began: float | None = None) -> Report:
    """Write what was planned. ``began``: ``time.perf_counter()`` from which the report counts its seconds."""
    began = time.perf_counter() if began is None else began
    source, options = plan.source, plan.options
    asked = question(plan)
    root = open_destination(dst, options.writer)
    begun = find_begun(root, asked) if options.resume else None
    name, record = begun if begun is not None else (str(uuid.uuid4()), Record(asked, began=time.time()))
    place = root.child(name)
    if record.complete:
        return _finished(plan, place, record, began)
    repeated = repeated_rows(plan, scratch_folder(root)) if options.check_duplicates else None
    writer = BulkWriter(plan.schema, place, name, replace(options.writer, resume=begun is not None))
    resumed = writer.manifest.n_rows
    try:
        with writer, opened_rejects(place, source) as rejects:
            writer.before_publish(rejects.sync)
            record.write(place)
            row = rejects.resume(resumed) if begun is not None else 0
            skip = options.skips
            pump = Pump(source, plan.casts, writer, rejects, skip=skip, repeated=repeated, row=row)
            pump.run(progress)
    except BaseException as err:
        if not writer.manifest.segments:
            _leave_no_trace(place)
        if not getattr(err, "safe", ""):  # else a StoreError of the writer says so already
            err.add_note(_safe(writer, place))
        raise
    manifest = writer.manifest
    check_counts(pump.row, manifest.n_rows, rejects.n_rows, place.where)
    if manifest.segments:
        done = replace(record, complete=True, rows_read=pump.row, rows_rejected=rejects.n_rows)
        done.write(place)
    else:
        _leave_no_trace(place)
    return report_of(plan, place, manifest, rejected=rejects.n_rows, resumed=resumed, began=began)


def repeated_rows(plan: Plan, scratch: Path) -> Repeated:
    """Return the rows that repeat a primary key. Raises DataError if there are any, unless one of each is kept.

    ``scratch``: folder for temporary files.
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
    """Return everything that decides which rows are written, see `Record`. The size of segments does not."""
    described = describe_inputs(plan.inputs, plan.source, plan.options.kind)
    return {**described, **plan.options.question(), "schema": plan.schema.to_dict()}


def _finished(plan: Plan, place: Place, record: Record, began: float) -> Report:
    """Return the report of a conversion that an earlier run completed."""
    manifest = read_manifest(place)
    if manifest is None:
        raise StoreError("is gone, though the conversion was complete", path=place.notes.name(MANIFEST_NAME))
    return report_of(plan, place, manifest, rejected=record.rows_rejected, resumed=manifest.n_rows, began=began)


def report_of(
    plan: Plan,
    place: Place,
    manifest: Manifest,
    *,
    rejected: int,
    resumed: int,
    began: float,
    resumed_bytes: int | None = None,
) -> Report:
    """Return the report on an output; validate it first, if requested.

    ``resumed``, ``resumed_bytes``: rows and bytes that an earlier run wrote. None: the bytes of the first segments with
    that many rows. Raises DataError with the findings if the server would refuse the files.
    """
    level = plan.options.validate
    validation = None
    if level is not None and manifest.segments:
        validation = check_output(manifest, place, target=plan.options.writer.target, level=level)
        validation.raise_for_errors(f"all {manifest.n_rows} rows were written; the files stay in {place.where}")
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
        rejects=place.notes.name(REJECTS_NAME) if rejected else None,
        bytes_in=plan.source.n_bytes,
        bytes_out=manifest.n_bytes,
        files=[[place.address(entry.path) for entry in segment.files] for segment in manifest.segments],
        data_path=place.where,
        seconds=seconds,
        rows_per_s=(manifest.n_rows - resumed) / seconds,
        mb_per_s=(manifest.n_bytes - resumed_bytes) / 1e6 / seconds,
        schema=plan.schema.to_dict(),
        inferred=plan.inferred,
        notes=plan.notes,
        validation=validation,
    )


def open_destination(dst: Any, options: WriterOptions, connect_param: Any = None) -> Place:
    """Return the folder that outputs are written into. With ``connect_param``, ``dst`` is a prefix in that bucket.

    Raises SchemaError for a malformed URL, StoreError if ``dst`` is a file.
    """
    path = disk_path(dst) if connect_param is None else None
    if path is not None and path.exists() and not path.is_dir():
        raise StoreError("is a file; name a folder", path=str(path))
    return open_export(dst, connect_param, options.transfer, options.segment_size)


def scratch_folder(place: Place) -> Path:
    """Return an existing folder for temporary files; near the output if that is on disk."""
    if not isinstance(place, LocalPlace):
        return Path(tempfile.gettempdir())
    return next(one for one in (place.root, *place.root.absolute().parents) if one.is_dir())


def _leave_no_trace(place: Place) -> None:
    """Remove the record of a conversion that wrote nothing."""
    notes = place.notes
    with suppress(StoreError):  # what is left does no harm
        if notes.blob(MANIFEST_NAME) is None:  # else another process has gone on here
            notes.delete([RECORD_NAME])


def _safe(writer: BulkWriter, place: Place) -> str:
    """Return a note on the rows that are published, for the error that ended a conversion."""
    n_rows, n_files = writer.manifest.n_rows, len(writer.batch_files)
    if not n_rows:
        return "nothing was published"
    return f"published and whole: the first {n_rows} rows, {n_files} import file(s) in {place.where}"
