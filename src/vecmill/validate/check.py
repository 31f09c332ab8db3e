"""All files, one after another: what they are, which rules hold for them, and what each check found."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from threading import Event
from typing import Any

from vecmill.errors import SchemaError
from vecmill.manifest import Manifest
from vecmill.output_formats import ENDINGS_TEXT, FORMATS, BulkFileType, check_separator
from vecmill.schema.collection import CollectionSchema
from vecmill.schema.reading import as_schema
from vecmill.schema.servers import TARGETS, check_target_name, limits_of
from vecmill.store.blob import StoppableBlob, closing
from vecmill.store.checksummed import PREFIX, ChecksummedBlob
from vecmill.store.place import Place
from vecmill.validate.context import LEVELS, MAX_FINDINGS, SAMPLE_ROWS, Context, Level
from vecmill.validate.entries import Entry, ImportFile, Inputs, Origin, look_up
from vecmill.validate.findings import Findings
from vecmill.validate.inputs import open_inputs
from vecmill.validate.npy.check import check_set
from vecmill.validate.parquet.check import check_parquet
from vecmill.validate.readers import Readers, readers_of
from vecmill.validate.report import ValidationReport
from vecmill.validate.text.csv import check_csv
from vecmill.validate.text.json import check_json

_REQUESTS = 8
_MAX_CORES = 4  # each takes its memory
# NPY sets: check_set.
_CHECKS: Mapping[BulkFileType, Callable[[Entry, Context, Findings], int | None]] = {
    BulkFileType.PARQUET: check_parquet,
    BulkFileType.JSON: check_json,
    BulkFileType.JSONL: partial(check_json, lines=True),
    BulkFileType.CSV: check_csv,
}


def check_files(
    files: Any,
    schema: Any,
    *,
    target: str | None,
    level: Level,
    sample_rows: int,
    max_findings: int,
    sep: str | None,
    nullkey: str | None,
) -> ValidationReport:
    """Do what `vecmill.validate` says."""
    began = time.perf_counter()
    check_options(target, level, sample_rows, max_findings)
    if sep is not None:
        check_separator(sep)
    given = as_schema(schema) if schema is not None else None
    inputs = open_inputs(files, schema if isinstance(schema, str | os.PathLike) else None)
    return check_inputs(
        inputs, given, target=target, level=level, sample_rows=sample_rows, max_findings=max_findings,
        sep=sep, nullkey=nullkey, began=began,
    )  # fmt: skip


def check_options(target: str | None, level: str, sample_rows: int = 1, max_findings: int = 1) -> None:
    """Raise ValueError for an unknown target or level, or a number that is none."""
    check_target_name(target)
    if level not in LEVELS:
        raise ValueError(f"level {level!r} is not one of {', '.join(LEVELS)}")
    if sample_rows < 1 or max_findings < 1:
        raise ValueError("sample_rows and max_findings must be at least 1")


def check_output(
    manifest: Manifest,
    place: Place,
    *,
    target: str | None,
    level: Level,
    sample_rows: int = SAMPLE_ROWS,
    max_findings: int = MAX_FINDINGS,
) -> ValidationReport:
    """Check what a manifest lists in a place. Raises ValueError, SchemaError, StoreError."""
    check_options(target, level, sample_rows, max_findings)
    inputs = Inputs()
    inputs.add_output(manifest, partial(look_up, place))
    return check_inputs(inputs, None, target=target, level=level, sample_rows=sample_rows, max_findings=max_findings)


def check_inputs(
    inputs: Inputs,
    schema: CollectionSchema | None,
    *,
    target: str | None,
    level: Level,
    sample_rows: int,
    max_findings: int,
    sep: str | None = None,
    nullkey: str | None = None,
    began: float | None = None,
) -> ValidationReport:
    """Check import files. What is None is that of their manifest; a file without one takes what others have."""
    began = time.perf_counter() if began is None else began
    first = next((file.origin for file in inputs.files if file.origin is not None), None)
    if schema is None and first is None and inputs.files:
        raise SchemaError(
            "a schema is needed, for there is no manifest with one; give schema=..., on the command line --schema FILE "
            "(vecmill schema fetch writes that of a collection)"
        )
    jobs: dict[Origin | None, _Job] = {}

    def job_of(origin: Origin | None) -> _Job:
        if origin not in jobs:
            told = origin or first or Origin({})
            jobs[origin] = _Job(
                schema if schema is not None else as_schema(told.schema), target, level, sample_rows, max_findings,
                told.sep if sep is None else sep, told.nullkey if nullkey is None else nullkey,
            )  # fmt: skip
        return jobs[origin]

    work = [(job_of(file.origin), file) for file in inputs.files]
    found = Findings(None, tuple(TARGETS.values()) if target is None else (TARGETS[target],), max_findings)
    _find_twice(inputs.files, found)
    _find_limit(inputs, target, found)
    for one in inputs.origins:
        if one.told_rows not in (None, one.rows):
            found.add(
                "manifest-rows", file=one.name, expected=f"{one.told_rows} rows in all segments", got=f"{one.rows}"
            )
    rows = n_bytes = 0
    cores = max(2, min(_MAX_CORES, os.cpu_count() or 1))
    at_once = _at_once(inputs.files, level, cores)
    stop = Event()
    with ThreadPoolExecutor(cores) as pool, ThreadPoolExecutor(at_once) as files_pool:

        def check(one: tuple[_Job, ImportFile]) -> tuple[int | None, Findings]:
            job, file = one
            return job.check(file, pool, stop)

        results = files_pool.map(check, work) if at_once > 1 else map(check, work)
        try:
            for (_, file), (n, own) in zip(work, results, strict=True):
                found.merge(own)
                rows += n or 0
                n_bytes += sum(entry.size for entry in file.entries)
        except BaseException:
            stop.set()
            raise
    return ValidationReport(
        findings=tuple(found.kept),
        counts=dict(found.counts),
        files=len(inputs.files),
        rows=rows,
        n_bytes=n_bytes,
        level=level,
        target=target,
        seconds=time.perf_counter() - began,
    )


def _at_once(files: Sequence[ImportFile], level: Level, cores: int) -> int:
    """Return how many files are looked at at once."""
    if level == "headers":  # in a bucket they cost round trips, on disk hardly anything
        return _REQUESTS if any(file.is_remote for file in files) else 1
    return min(cores, max(1, len(files)))


def _find_twice(files: Sequence[ImportFile], findings: Findings) -> None:
    seen: set[frozenset[str]] = set()
    for file in files:
        names = frozenset(entry.identity for entry in file.entries)
        if names and names in seen:
            findings.add("file-twice", file=file.entries[0].name, expected="one import of it", got="a second one")
        seen.add(names)


def _find_limit(inputs: Inputs, target: str | None, findings: Findings) -> None:
    files = [file for file in inputs.files if file.entries]
    if not files and inputs.is_request:
        findings.add("request-files", file="the request", expected="import files", got="none")
    limits = limits_of(target)
    if limits.files == 1:  # each inner list is a request of its own
        return
    total, last = 0, None
    for number, file in enumerate(files, 1):
        total += sum(entry.size for entry in file.entries)
        if last is None and (number > limits.files or total > limits.request_bytes):
            last = file
    # Of an output vecmill import knows how many requests to make.
    if last is not None and (inputs.is_request or any(file.origin is None for file in files)):
        findings.add(
            "request-files" if inputs.is_request else "request-split",
            file=last.entries[0].name,
            expected=f"at most {limits.files:,} import files of {limits.request_bytes:,} bytes in a request",
            got=f"{len(files):,} of {total:,} bytes, with this one beyond the limit",
        )


_Key = tuple[BulkFileType | None, frozenset[str] | None]


def _is_set(form: BulkFileType | None) -> bool:
    return form is not None and FORMATS[form].is_set


def _key(file: ImportFile) -> _Key:
    """Return the format of a file; of an NPY set, its columns too."""
    if not _is_set(file.form):
        return file.form, None
    return file.form, frozenset(entry.base.removesuffix(".npy") for entry in file.entries)


class _Job:
    def __init__(
        self,
        schema: CollectionSchema,
        target: str | None,
        level: Level,
        sample_rows: int,
        cap: int,
        sep: str,
        nullkey: str,
    ) -> None:
        self._schema, self._target, self._level, self._cap = schema, target, level, cap
        self._options = (level, sample_rows, sep, nullkey)
        self._contexts: dict[_Key, Context] = {}
        self._known: dict[_Key, Readers] = {}

    def check(self, file: ImportFile, pool: Executor, stop: Event) -> tuple[int | None, Findings]:
        """Check one import file, until ``stop`` is set; return its rows where it tells them."""
        file = replace(file, entries=tuple(_stoppable(entry, stop) for entry in file.entries))
        form = file.form
        readers = self._readers(file)
        lines = readers.lines if readers is not None else tuple(TARGETS.values())
        findings = Findings(form, lines, self._cap)
        if not file.entries:
            return None, findings
        first = file.entries[0]
        if not self._is_one(file, form, findings):
            return None, findings
        if readers is not None and readers.refusal is not None:
            refusal = readers.refusal
            findings.add(
                "schema-format",
                file=first.name,
                field=refusal.field,
                expected="what the server reads from this format",
                got=refusal.reason,
            )
            return None, findings
        missing = [entry for entry in file.entries if entry.blob is None]
        for entry in missing:
            findings.add("file-missing", file=entry.name, expected="a file", got=entry.instead)
        self._sizes(file, findings)
        if self._level == "full":
            file = replace(file, entries=tuple(map(_with_checksum, file.entries)))
        if _is_set(form):
            n = check_set(file, self._context(file), findings, pool)
        elif missing or form is None:
            return None, findings
        else:
            n = _CHECKS[form](file.entries[0], self._context(file), findings)
        self._compare(file, n, findings)
        self._checksums(file, findings, pool)
        return n, findings

    def _readers(self, file: ImportFile) -> Readers | None:
        """Return the servers that read a file of the schema; None where nothing tells its format."""
        if file.form is None:
            return None
        key = _key(file)
        if key not in self._known:
            self._known[key] = readers_of(self._schema, file.form, self._target, key[1])
        return self._known[key]

    def _context(self, file: ImportFile) -> Context:
        key, readers = _key(file), self._readers(file)
        if key not in self._contexts:
            assert file.form is not None and readers is not None  # only such are looked into
            self._contexts[key] = Context.of(readers.schema, file.form, *self._options)
        return self._contexts[key]

    def _is_one(self, file: ImportFile, form: BulkFileType | None, findings: Findings) -> bool:
        forms = set()
        for entry in file.entries:
            one = ImportFile((entry,)).form
            forms.add(one)
            if one is None:
                findings.add(
                    "file-type",
                    file=entry.name,
                    expected=f"a name that ends in {ENDINGS_TEXT}",
                    got=entry.ending or "no ending",
                )
        if None in forms and not (_is_set(form) and forms == {None, form}):
            return False
        if len(forms - {None}) > 1 or (not _is_set(form) and len(file.entries) > 1):
            names = ", ".join(entry.base for entry in file.entries)
            findings.add("file-group", file=file.entries[0].name, expected="one file, or NPY files", got=names)
            return False
        return True

    def _sizes(self, file: ImportFile, findings: Findings) -> None:
        total = sum(entry.size for entry in file.entries)
        limit = limits_of(self._target).file_bytes
        if total > limit:
            findings.add("file-size", file=file.entries[0].name, expected=f"at most {limit} bytes", got=f"{total}")
        for entry in file.entries:
            if entry.listed is not None and entry.blob is not None and entry.listed.bytes != entry.size:
                findings.add(
                    "manifest-bytes", file=entry.name, expected=f"{entry.listed.bytes} bytes", got=f"{entry.size}"
                )

    @staticmethod
    def _compare(file: ImportFile, rows: int | None, findings: Findings) -> None:
        """Hold the rows against what the manifest says of a file (of a set: `check_set` does), and of all together."""
        if rows is None:
            return
        entry = file.entries[0]
        if not _is_set(file.form) and entry.listed is not None and entry.listed.rows != rows:
            findings.add("manifest-rows", file=entry.name, expected=f"{entry.listed.rows} rows", got=f"{rows}")
        if file.rows is not None and file.rows != rows and not findings.counts["manifest-rows"]:
            findings.add("manifest-rows", file=file.entries[0].name, expected=f"{file.rows} rows", got=f"{rows}")

    @staticmethod
    def _checksums(file: ImportFile, findings: Findings, pool: Executor) -> None:
        entries = [entry for entry in file.entries if isinstance(entry.blob, ChecksummedBlob)]
        for entry, found in zip(entries, pool.map(_checksum, entries), strict=True):
            if entry.listed is not None and found != entry.listed.checksum:
                findings.add("manifest-checksum", file=entry.name, expected=entry.listed.checksum, got=found)


def _stoppable(entry: Entry, stop: Event) -> Entry:
    return entry if entry.blob is None else replace(entry, blob=StoppableBlob(entry.blob, stop))


def _with_checksum(entry: Entry) -> Entry:
    """Return the entry with a blob that takes a checksum, where the manifest tells one of this file."""
    listed, blob = entry.listed, entry.blob
    if listed is None or blob is None or listed.bytes != blob.size or not listed.checksum.startswith(PREFIX):
        return entry
    return replace(entry, blob=ChecksummedBlob(blob))


def _checksum(entry: Entry) -> str:
    blob = entry.blob
    assert isinstance(blob, ChecksummedBlob)  # only such are given
    with closing(blob):
        return blob.checksum()
