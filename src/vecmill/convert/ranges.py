"""Splits a conversion into row ranges that any process pool or cluster can run, and commits one manifest at the end.

`run_ranges` cuts the rows into jobs that can be pickled, hands them to ``spread`` (a process pool, a cluster), collects
their results, and commits one manifest. A job opens the inputs again, with the schema that was found once. Each job is
a task of `vecmill.writer.tasks`: one that is killed, or runs twice, does no harm, and a later run with ``resume`` keeps
the finished ones.
"""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
import time
import uuid
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vecmill.convert.duplicates import Repeated
from vecmill.convert.forecast import forecast
from vecmill.convert.job import Plan, open_destination, question, reopen, repeated_rows, report_of, scratch_folder
from vecmill.convert.opening import Input
from vecmill.convert.options import ConvertOptions
from vecmill.convert.pump import Progress, Pump, check_counts
from vecmill.convert.record import Record, file_sizes, find_begun
from vecmill.convert.rejects import Rejects
from vecmill.convert.report import Report
from vecmill.convert.reshape import Sliced
from vecmill.errors import SchemaError, StoreError
from vecmill.manifest import FileEntry, Manifest
from vecmill.schema.reading import as_schema
from vecmill.sources.base import field_columns
from vecmill.sources.places import expand, looks_like_arrays
from vecmill.sources.remote import AnyPath
from vecmill.store.notes import RECORD_NAME, REJECTS_NAME, read_manifest
from vecmill.store.place import Place
from vecmill.store.url import disk_path, is_url
from vecmill.writer.tasks import Finished, TaskWriter, commit, finished

_LEAST_BYTES = 32 << 20  # of a range: so that opening the inputs takes little of the time
_MOST_SEGMENTS = 8  # of a range: the work that is lost with a worker
_RANGES_PER_WORKER = 4
_WAY_OUT = "leave --workers or --engine (workers=) out"
_FILL = 0.97  # of segments: rows differ in size, and the last file of a range should not be tiny


@dataclass(frozen=True, slots=True)
class RangeJob:
    """Rows ``start`` to ``stop`` (None: all) of a planned conversion; can be pickled.

    ``flags``: one bit per row, set for repeated keys. ``inputs``: names and sizes of the files at the time of the plan.
    None: they are not compared.
    """

    number: int
    start: int
    stop: int | None
    src: Input
    options: ConvertOptions
    schema: Mapping[str, Any]
    url: Any
    connect_param: Any = None
    flags: bytes | None = None
    inputs: str | None = None

    @property
    def task_id(self) -> str:
        """Name of the task."""
        return str(self.number)


@dataclass(frozen=True, slots=True)
class RangeResult:
    """Result of a range: its files, the rejected rows, and the folder that lists them."""

    number: int
    entries: tuple[FileEntry, ...]
    rows_read: int
    rows_rejected: int
    folder: str


Spread = Callable[[Sequence[RangeJob]], Generator[RangeResult, None, None]]
"""Runs `run_range` for every job, in any order, anywhere; gives the results as they come."""


def run_range(job: RangeJob) -> RangeResult:
    """Convert one range, in this process. Raises as `convert` does."""
    options = job.options
    plan = reopen(job.src, options, as_schema(job.schema))
    _check_inputs(job, plan)
    source = plan.source if job.stop is None else Sliced(plan.source, job.start, job.stop - job.start)
    with (
        tempfile.TemporaryDirectory() as folder,
        TaskWriter(plan.schema, job.url, job.task_id, options.writer, connect_param=job.connect_param) as writer,
    ):
        with closing(Rejects(Path(folder) / REJECTS_NAME, source, first_row=job.start)) as rejects:
            skip = options.skips
            pump = Pump(source, plan.casts, writer, rejects, skip=skip, repeated=_repeated(job, plan))
            pump.run()
        _check_inputs(job, plan)
        if job.stop is not None and pump.row != job.stop - job.start:
            raise StoreError(f"{pump.row} rows were read of {job.stop - job.start}", path=f"{job.url}/{writer.name}")
        writer.commit()
        check_counts(pump.row, writer.manifest.n_rows, rejects.n_rows, f"{job.url}/{writer.name}")
        if rejects.n_rows:
            writer.put(REJECTS_NAME, rejects.path.read_text("utf-8"))
        writer.note = {"rows_read": pump.row, "rows_rejected": rejects.n_rows}
    return RangeResult(job.number, tuple(writer.entries), pump.row, rejects.n_rows, writer.name)


def _check_inputs(job: RangeJob, plan: Plan) -> None:
    """Raise StoreError if the inputs are not those that the ranges were cut from."""
    if job.inputs is not None and file_sizes(plan.inputs, job.options.kind) != job.inputs:
        raise StoreError("the inputs have changed since the conversion was planned", path=str(job.src))


def _repeated(job: RangeJob, plan: Plan) -> Repeated | None:
    if job.flags is None or job.stop is None:
        return None
    import numpy as np

    key = plan.schema.primary_field
    assert key is not None
    flags = np.unpackbits(np.frombuffer(job.flags, np.uint8), count=job.stop - job.start).astype(bool)
    return Repeated(key.name, int(flags.sum()), (), flags)


def run_ranges(
    plan: Plan,
    dst: Any,
    spread: Spread,
    *,
    n_workers: int,
    connect_param: Any = None,
    elsewhere: bool = True,
    progress: Progress | None = None,
    began: float | None = None,
) -> Report:
    """Write what was planned, in ranges that ``spread`` runs, ``n_workers`` of them at a time.

    ``dst``: a folder that all workers see, or a folder in a bucket; see `vecmill.writer.tasks.write_task`. The output
    is a new folder inside it. ``elsewhere``: workers have another current folder, so they get absolute paths. With
    ``plan.options.resume``, ranges that an earlier run of the same question finished are kept.

    Inputs whose rows cannot be counted without reading (text, streams) are split between files.

    Raises SchemaError for inputs that cannot be split (tables in memory, a single file of text), otherwise as `convert`
    does. If several rows are bad, the error may be about any of them.
    """
    began = time.perf_counter() if began is None else began
    inputs, options = _portable(plan, elsewhere=elsewhere)
    files = _files(plan) if plan.source.n_rows is None else None
    url = _portable_destination(dst, connect_param, elsewhere=elsewhere)
    root = open_destination(dst, options.writer, connect_param)
    asked = {
        **question(plan),
        "ranges": True,
    }  # one process cannot continue ranges, nor ranges the output of one process
    begun = find_begun(root, asked) if plan.options.resume else None
    if begun is None:
        size = _range_rows(plan, n_workers) if files is None else _range_bytes(files, n_workers)
        begun = str(uuid.uuid4()), Record(asked, range_size=size, began=time.time())
    name, record = begun
    url, place = f"{url}/{name}", root.child(name)
    manifest = read_manifest(place)
    if manifest is not None:
        n_told = (place.notes.read_text(REJECTS_NAME) or "").count("\n")
        return report_of(plan, place, manifest, rejected=n_told, resumed=manifest.n_rows, began=began)
    repeated = repeated_rows(plan, scratch_folder(root)) if options.check_duplicates else None
    job = RangeJob(
        0, 0, None, inputs, options, plan.schema.to_dict(), url, connect_param,
        inputs=file_sizes(plan.inputs, options.kind),
    )  # fmt: skip
    jobs = (
        _row_jobs(job, plan, record.range_size, repeated)
        if files is None
        else _file_jobs(job, files, record, elsewhere)
    )
    record.write(place)
    done = {int(task): _result(one) for task, one in finished(place).items()}
    resumed, resumed_bytes = _written(done.values())
    try:
        _run_left(spread, jobs, done, progress)
    except BaseException as err:
        _end_early(place, len(jobs), err)
        raise
    results = [done[number] for number in range(len(jobs))]
    told = _rejects(place, results, counted=files is None)
    if told:
        place.notes.put_text(REJECTS_NAME, told)
    manifest, rejected = _committed(plan, place, job, record, results)
    return report_of(
        plan, place, manifest, rejected=rejected, resumed=resumed, resumed_bytes=resumed_bytes, began=began
    )


def _run_left(
    spread: Spread, jobs: Sequence[RangeJob], done: dict[int, RangeResult], progress: Progress | None
) -> None:
    """Run the ranges that are not done, and add their results to ``done``."""
    left = [job for job in jobs if job.number not in done]
    # Closed here, so that no pool is left to the garbage collector.
    with closing(spread(left)) as coming:
        for result in coming if left else ():
            done[result.number] = result
            if progress is not None:
                progress(sum(one.rows_read for one in done.values()), _written(done.values())[1])


def _committed(
    plan: Plan, place: Place, job: RangeJob, record: Record, results: Sequence[RangeResult]
) -> tuple[Manifest, int]:
    """Commit the ranges and mark the record complete. Return the manifest and the number of rejected rows.

    Raises StoreError if rows are missing.
    """
    read, rejected = sum(one.rows_read for one in results), sum(one.rows_rejected for one in results)
    if plan.source.n_rows not in (None, read):
        raise StoreError(f"{read} rows were read of {plan.source.n_rows}", path=place.where)
    manifest = commit(
        job.url, [entry for one in results for entry in one.entries], schema=plan.schema,
        connect_param=job.connect_param, **job.options.writer.keywords(),
    )  # fmt: skip
    check_counts(read, manifest.n_rows, rejected, place.where)
    if manifest.segments:
        dataclasses.replace(record, complete=True, rows_read=read, rows_rejected=rejected).write(place)
    else:
        place.notes.delete([RECORD_NAME])
    return manifest, rejected


def _files(plan: Plan) -> list[AnyPath]:
    """Return the files of a source whose rows cannot be counted. Raises SchemaError if it cannot be split by files."""
    options = plan.options
    words = "the rows of these inputs can only be counted by reading them (text, streams), so they are split at files; "
    if len(plan.inputs) > 1 or options.skip or options.limit is not None or options.id_from == "row":
        how = "with --join, --skip, --limit, --id-from row or columns from array files they cannot"
        raise SchemaError(f"{words}{how}; {_WAY_OUT}")
    if options.check_duplicates:
        raise SchemaError(f"{words}rows with repeated keys cannot be told apart then; {_WAY_OUT}")
    src: Any = plan.inputs[0]
    paths = [src] if isinstance(src, str | os.PathLike) else src
    if any(os.fspath(path) == "-" for path in paths):
        raise SchemaError(f"{words}standard input is none; {_WAY_OUT}")
    files = [place.path for path in paths for place in expand(path, options.kind)]
    if len(files) < 2:
        raise SchemaError(f"{words}and there is only {files[0]}; {_WAY_OUT}")
    return files


def _portable(plan: Plan, *, elsewhere: bool) -> tuple[Input, ConvertOptions]:
    """Return inputs and options for other processes. ``elsewhere``: these have another current folder."""
    options = plan.options
    columns = field_columns(options.columns)
    files = {f: _portable_path(name, elsewhere) if looks_like_arrays(name) else name for f, name in columns.items()}
    return _portable_path(plan.inputs[0], elsewhere), dataclasses.replace(
        options,
        schema=as_schema(options.schema).to_dict() if options.schema is not None else None,
        columns=files if options.columns is not None else None,
        join=tuple(_portable_path(one, elsewhere) for one in options.join),
        resume=False,
    )


def _portable_path(one: Any, elsewhere: bool) -> Any:
    if one is None:
        return None
    if is_url(one):
        return one
    if isinstance(one, str | os.PathLike):
        return os.path.abspath(one) if elsewhere else os.fspath(one)  # noqa: PTH100 - a pattern, or a part of a file
    if isinstance(one, Sequence):
        return [_portable_path(inner, elsewhere) for inner in one]
    raise SchemaError(f"only files can be split among workers, not {type(one).__name__} in memory; {_WAY_OUT}")


def _portable_destination(dst: Any, connect_param: Any, *, elsewhere: bool) -> str:
    """Return the destination as workers find it: a URL, a path, or a prefix in the bucket of ``connect_param``."""
    if not isinstance(dst, str | os.PathLike):
        raise SchemaError("the destination is a path or a URL, or a prefix with connect_param")
    path = disk_path(dst) if connect_param is None else None
    if path is None:
        return os.fspath(dst).rstrip("/")
    return str(path.absolute() if elsewhere else path)


def _range_rows(plan: Plan, n_workers: int) -> int:
    """Return the rows of a range: whole segments, and small enough that all workers end at about the same time."""
    n_rows, size = plan.source.n_rows or 0, plan.options.writer.segment_size
    if not n_rows:
        return 1
    n_bytes = forecast(plan).bytes_out or plan.source.n_bytes or n_rows
    segments = n_bytes / size
    if segments <= n_workers:  # smaller files, so that every worker has some
        share = max(min(_LEAST_BYTES, size), n_bytes / max(1, n_workers))
    else:
        share = size * max(1, min(_MOST_SEGMENTS, int(segments / (n_workers * _RANGES_PER_WORKER)))) * _FILL
    return max(1, min(n_rows, int(share / n_bytes * n_rows) + (segments <= n_workers)))


def _range_bytes(files: Sequence[AnyPath], n_workers: int) -> int:
    n_bytes = sum(file.stat().st_size for file in files)
    return max(1, min(_LEAST_BYTES, n_bytes // max(1, n_workers * _RANGES_PER_WORKER)))


def _row_jobs(first: RangeJob, plan: Plan, range_rows: int, repeated: Repeated | None) -> list[RangeJob]:
    import numpy as np

    n_rows = plan.source.n_rows or 0
    jobs = []
    for number, start in enumerate(range(0, n_rows, range_rows)):
        stop = min(start + range_rows, n_rows)
        flags = repeated.among(start, stop - start) if repeated is not None else None
        packed = np.packbits(flags).tobytes() if flags is not None else None
        jobs.append(dataclasses.replace(first, number=number, start=start, stop=stop, flags=packed))
    return jobs


def _file_jobs(first: RangeJob, files: Sequence[AnyPath], record: Record, elsewhere: bool) -> list[RangeJob]:
    """Return the jobs for files of text: one per large file, one for several small files in a row.

    The schema of all files decides how the text of each is read.
    """
    options = dataclasses.replace(first.options, schema=first.schema)
    groups: list[list[str]] = []
    room = 0
    for file in files:
        if room <= 0:
            groups.append([])
            room = record.range_size
        groups[-1].append(str(file.absolute() if isinstance(file, Path) and elsewhere else file))
        room -= file.stat().st_size
    return [
        dataclasses.replace(first, number=i, src=group, options=options, inputs=file_sizes([group], options.kind))
        for i, group in enumerate(groups)
    ]


def _rejects(place: Place, results: Sequence[RangeResult], *, counted: bool) -> str:
    """Return the rejects of all ranges. Not ``counted``: ranges did not know how many rows come before them."""
    told: list[str] = []
    before = 0
    for one in results:
        text = (place.child(one.folder).notes.read_text(REJECTS_NAME) or "") if one.rows_rejected else ""
        if counted:
            told.append(text)
        else:
            for line in text.split("\n")[:-1]:  # not splitlines: JSON text may contain other line ends
                facts = json.loads(line)
                facts["source_row"] += before
                told.append(json.dumps(facts) + "\n")
        before += one.rows_read
    return "".join(told)


def _end_early(place: Place, n_ranges: int, err: BaseException) -> None:
    """Add a note to the error on what a resume can use. Remove the record if that is nothing."""
    try:
        n_done = len(finished(place))
        if n_done:
            err.add_note(f"{n_done} of {n_ranges} ranges are done in {place.where}; with resume they are kept")
            return
        err.add_note("nothing was published")
        place.notes.delete([RECORD_NAME])
    except StoreError as second:
        err.add_note(f"and {second}")


def _result(one: Finished) -> RangeResult:
    note = one.note
    return RangeResult(int(one.task_id), one.entries, note["rows_read"], note["rows_rejected"], one.folder)


def _written(results: Iterable[RangeResult]) -> tuple[int, int]:
    """Return the rows and bytes of results."""
    rows = n_bytes = 0
    for one in results:
        rows += one.rows_read - one.rows_rejected
        n_bytes += sum(entry.bytes for entry in one.entries)
    return rows, n_bytes
