"""All files, one after another: what they are, which rules hold for them, and what each check found."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

from vecmill.errors import SchemaError
from vecmill.filetype import BulkFileType
from vecmill.schema import CollectionSchema
from vecmill.schema_io import as_schema
from vecmill.targets import TARGETS, check_target
from vecmill.validate.context import LEVELS, Context, Level
from vecmill.validate.csv_file import check_csv
from vecmill.validate.findings import Findings
from vecmill.validate.inputs import Entry, ImportFile, open_inputs
from vecmill.validate.json_file import check_json
from vecmill.validate.npy import check_set
from vecmill.validate.parquet import check_parquet
from vecmill.validate.report import ValidationReport
from vecmill.validate.rule import Line

MAX_FILE_BYTES: Mapping[str | None, int] = {"cloud": 10 * 10**9}
_MAX_FILE_BYTES = 16 * 2**30
_FORMS = {
    BulkFileType.PARQUET: "parquet",
    BulkFileType.NUMPY: "npy",
    BulkFileType.JSON: "json",
    BulkFileType.JSONL: "json",
    BulkFileType.CSV: "csv",
}


def check_files(
    files: Any,
    schema: Any,
    *,
    target: str | None,
    level: Level,
    sample_rows: int,
    max_findings: int,
    sep: str,
    nullkey: str,
) -> ValidationReport:
    """Do what `vecmill.validate` says."""
    began = time.perf_counter()
    if target is not None and target not in TARGETS:
        raise ValueError(f"target {target!r} is not one of {', '.join(TARGETS)}")
    if level not in LEVELS:
        raise ValueError(f"level {level!r} is not one of {', '.join(LEVELS)}")
    if sample_rows < 1 or max_findings < 1:
        raise ValueError("sample_rows and max_findings must be at least 1")
    if len(sep) != 1 or sep in '\0\r\n"\ufffd':
        raise ValueError(f"sep must be one character, and no quote or line end, got {sep!r}")
    inputs = open_inputs(files)
    if schema is None and inputs.schema is None:
        raise SchemaError("a schema is needed: there is no manifest with one")
    job = _Job(
        as_schema(schema if schema is not None else inputs.schema),
        target,
        level,
        sample_rows,
        max_findings,
        sep,
        nullkey,
    )
    found = Findings("*", (), max_findings)
    rows = n_bytes = 0
    with ThreadPoolExecutor(max(2, min(4, os.cpu_count() or 1))) as pool:
        for file in inputs.files:
            n, own = job.check(file, pool)
            found.merge(own)
            rows += n or 0
            n_bytes += sum(entry.size for entry in file.entries)
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
        self._contexts: dict[BulkFileType, Context] = {}
        self._lines: dict[BulkFileType, tuple[tuple[Line, ...], SchemaError | None]] = {}

    def check(self, file: ImportFile, pool: Executor) -> tuple[int | None, Findings]:
        """Check one import file; return its rows where it tells them."""
        form = file.form
        lines, refusal = self._servers(form)
        findings = Findings("*" if form is None else _FORMS[form], lines, self._cap)
        if not file.entries:
            return None, findings
        first = file.entries[0]
        if not self._is_one(file, form, findings):
            return None, findings
        if refusal is not None:
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
            findings.add("file-missing", file=entry.name, expected="a file", got="none")
        self._sizes(file, findings)
        if form is BulkFileType.NUMPY:
            n = check_set(file, self._context(form), findings, pool)
        elif missing or form is None:
            return None, findings
        else:
            n = self._single(first, form, findings)
        self._compare(file, n, findings)
        return n, findings

    def _servers(self, form: BulkFileType | None) -> tuple[tuple[Line, ...], SchemaError | None]:
        """Return the release lines whose rules hold, and why the target does not read the schema from the format."""
        if form is None:
            return tuple(TARGETS.values()), None
        if form not in self._lines:
            taken: dict[str, SchemaError | None] = {}
            for name in TARGETS if self._target is None else (self._target,):
                try:
                    check_target(self._schema, form, name)
                    taken[name] = None
                except SchemaError as error:
                    taken[name] = error
            good = [TARGETS[name] for name, error in taken.items() if error is None]
            if good:
                self._lines[form] = tuple(good), None
            else:
                # No server: the first refusal that has nothing to do with its version, else the newest.
                self._lines[form] = tuple(TARGETS[name] for name in taken), list(taken.values())[-1]
        return self._lines[form]

    def _context(self, form: BulkFileType) -> Context:
        if form not in self._contexts:
            self._contexts[form] = Context.of(self._schema, _FORMS[form], *self._options)
        return self._contexts[form]

    def _is_one(self, file: ImportFile, form: BulkFileType | None, findings: Findings) -> bool:
        forms = set()
        for entry in file.entries:
            one = ImportFile((entry,)).form
            forms.add(one)
            if one is None:
                findings.add(
                    "file-type",
                    file=entry.name,
                    expected="a name that ends in .parquet, .npy, .json, .jsonl, .ndjson or .csv",
                    got=entry.ending or "no ending",
                )
        if None in forms:
            return False
        if len(forms) > 1 or (form is not BulkFileType.NUMPY and len(file.entries) > 1):
            names = ", ".join(entry.base for entry in file.entries)
            findings.add("file-group", file=file.entries[0].name, expected="one file, or NPY files", got=names)
            return False
        return True

    def _sizes(self, file: ImportFile, findings: Findings) -> None:
        total = sum(entry.size for entry in file.entries)
        limit = MAX_FILE_BYTES.get(self._target, _MAX_FILE_BYTES)
        if total > limit:
            findings.add("file-size", file=file.entries[0].name, expected=f"at most {limit} bytes", got=f"{total}")
        for entry in file.entries:
            if entry.listed is not None and entry.blob is not None and entry.listed.bytes != entry.size:
                findings.add(
                    "manifest-bytes", file=entry.name, expected=f"{entry.listed.bytes} bytes", got=f"{entry.size}"
                )

    def _single(self, entry: Entry, form: BulkFileType, findings: Findings) -> int | None:
        context = self._context(form)
        if form is BulkFileType.PARQUET:
            return check_parquet(entry, context, findings)
        if form is BulkFileType.CSV:
            return check_csv(entry, context, findings)
        return check_json(entry, context, findings, lines=form is BulkFileType.JSONL)

    @staticmethod
    def _compare(file: ImportFile, rows: int | None, findings: Findings) -> None:
        listed = file.entries[0].listed
        if listed is not None and rows is not None and rows != listed.rows:
            findings.add("manifest-rows", file=file.entries[0].name, expected=f"{listed.rows} rows", got=f"{rows}")
