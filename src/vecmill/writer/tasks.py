"""One export by many processes: every task writes its own files, and one manifest lists them all at the end.

For Ray, Dask, Spark, a process pool, or anything else that distributes work. `write_task` runs in the workers. It
writes to a new folder, ``<url>/<task>-<attempt>/``, so that several attempts of one task never conflict. `commit` runs
once, where the results are collected: it puts the manifest, and removes files that the manifest does not list. The
files of a task are complete before it returns, and ``task.json`` in its notes records that for a later run
(`finished_tasks`).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import secrets
import uuid
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from types import TracebackType
from typing import Any, Unpack

from vecmill.errors import DataError, StoreError
from vecmill.manifest import FileEntry, Manifest, Segment
from vecmill.output_formats import FORMATS, BulkFileType
from vecmill.schema.reading import as_schema
from vecmill.store.notes import (
    MANIFEST_NAME,
    TASK_NAME,
    check_paths,
    is_notes,
    is_plain_path,
    noted_name,
    notes_name,
    parse_manifest,
)
from vecmill.store.opening import open_place
from vecmill.store.place import Place
from vecmill.store.sink import undoing
from vecmill.store.transfer import Transfer
from vecmill.writer.api import BulkWriter
from vecmill.writer.options import WriterKeywords, WriterOptions

_MARKER_VERSION = 1
_READS_AT_ONCE = 16  # of ``task.json``: each takes a bucket some time

# 16 digits, so that no uuid matches: its last group has 12.
_ATTEMPT = re.compile(r"[0-9a-f]{16}")
_TASK = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_FOLDER = re.compile(rf"({_TASK.pattern})-({_ATTEMPT.pattern})")


@dataclass(frozen=True, slots=True)
class Finished:
    """A finished attempt of a task. ``note``: what the caller noted in it."""

    task_id: str
    folder: str
    entries: tuple[FileEntry, ...]
    note: Mapping[str, Any] = field(default_factory=dict)


class TaskWriter(BulkWriter):
    """The writer of one attempt, a context manager. See `write_task` for its parameters.

    After a clean exit all files are complete, and ``entries`` lists them. After an exception all files are removed.
    ``note`` (JSON values) is kept in ``task.json``.
    """

    def __init__(
        self,
        schema: Any,
        url: Any,
        task_id: int | str,
        options: WriterOptions,
        *,
        connect_param: Any = None,
        attempt: str | None = None,
    ) -> None:
        if options.resume:
            raise ValueError("a task is not resumed: every attempt begins anew, in a folder of its own")
        self._task_id = str(task_id)
        attempt = secrets.token_hex(8) if attempt is None else attempt
        if not _TASK.fullmatch(self._task_id):
            raise ValueError(f"task_id is made of letters, digits and '_', '-', '.', got {task_id!r}")
        if not _ATTEMPT.fullmatch(attempt):
            raise ValueError(f"attempt has 16 hexadecimal digits, got {attempt!r}")
        self._name = f"{self._task_id}-{attempt}"
        self._export = open_export(url, connect_param, options.transfer, options.segment_size)
        self._done: tuple[FileEntry, ...] | None = None
        self.note: Mapping[str, Any] = {}
        schema = as_schema(schema)
        self._export.claim(self._name)
        with undoing(self._remove):
            options = options if options.cores is not None else dataclasses.replace(options, cores=1)
            super().__init__(schema, self._export.child(self._name), self._name, options)

    @property
    def name(self) -> str:
        """The folder of the attempt, ``<task>-<attempt>``."""
        return self._name

    @property
    def entries(self) -> list[FileEntry]:
        """The files, in the order of their rows. Paths are relative to the export. Raises ValueError before the end."""
        if self._done is None:
            raise ValueError(f"task {self._task_id} has not come to its end")
        return list(self._done)

    def put(self, name: str, text: str) -> None:
        """Put a text into the notes of the attempt. `commit` removes it."""
        self._place.notes.put_text(name, text)

    def __enter__(self) -> TaskWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            super().__exit__(kind, error, trace)
            try:
                self._remove()
            except StoreError as second:
                error.add_note(f"and what was written could not be removed: {second}")
            return
        with undoing(self._remove):
            self.close()
            entries = [dataclasses.replace(one, path=f"{self._name}/{one.path}") for one in self.manifest.files]
            text = {
                "vecmill_task": _MARKER_VERSION,
                "task_id": self._task_id,
                "note": self.note,
                "entries": [dataclasses.asdict(one) for one in entries],
            }
            self.put(TASK_NAME, json.dumps(text, ensure_ascii=False))
        self._done = tuple(entries)

    def _remove(self) -> None:
        self._export.clear([self._name, notes_name(self._name)])


def write_task(
    batches: Iterable[Any],
    url: Any,
    task_id: int | str,
    *,
    schema: Any,
    connect_param: Any = None,
    attempt: str | None = None,
    **options: Unpack[WriterKeywords],
) -> list[FileEntry]:
    """Write the rows of one task, in a worker. Return its files, for `commit`.

    Parameters
    ----------
    batches: what `LocalBulkWriter.append_batch` takes: Arrow data, mappings of field name to array, DataFrames.
    url: folder of the export, the same for all tasks: a path that all workers see, or ``s3://bucket/prefix``,
        ``gs://``, ``az://`` (credentials come from the environment). With ``connect_param`` (as `RemoteBulkWriter`
        takes it; it travels to the workers with its secrets) a prefix in that bucket.
    task_id: letters, digits and ``_-.``, different for every task, the same for all attempts of one.
    schema: as for `LocalBulkWriter`.
    attempt: 16 hexadecimal digits that no other attempt has. None, the usual choice: random ones.
    options: file_type, segment_size (default 512 MiB), config, target, validate, transfer (it bounds the memory of the
        worker), cores (default 1, as engines give a task one core); see `vecmill.writer.options.WriterOptions`.

    A task without rows returns an empty list. A task that fails leaves no files; `commit` removes those of a task that
    was killed.

    Raises DataError, with the row counted from the start of the task; SchemaError, StoreError as the writers do.
    """
    made = WriterOptions.of(**options)
    with TaskWriter(schema, url, task_id, made, connect_param=connect_param, attempt=attempt) as writer:
        for batch in batches:
            writer.append_batch(batch)
    return writer.entries


def commit(
    url: Any,
    entries: Iterable[FileEntry | Mapping[str, Any]],
    *,
    schema: Any,
    connect_param: Any = None,
    replace: bool = False,
    **options: Unpack[WriterKeywords],
) -> Manifest:
    """Put the manifest of an export whose tasks are done, and remove files that it does not list.

    ``entries``: files of all tasks (or dicts of their attributes), in the order of their rows in the output.
    ``schema``, ``connect_param`` and ``options`` (see `write_task`): as the tasks had them. ``replace``: replace
    another export in the same folder, and remove its files.

    The manifest is put last, and only if there is none, or the same one: a commit can be repeated. After that the
    folder is the output of a writer like any other. Files of attempts that were killed, or were not needed, are
    removed. An attempt that is still running may write files later: they are not listed, and the next commit of the
    same entries removes them. Without entries no manifest is put.

    Raises DataError if entries are from several attempts of one task, or lack a file of an NPY set. Raises StoreError
    if a file is missing or has another size, or if another export is there.
    """
    made, schema = WriterOptions.of(**options), as_schema(schema)
    listed = [one if isinstance(one, FileEntry) else FileEntry(**one) for one in entries]
    largest_bytes = max((entry.bytes for entry in listed), default=0)
    place = open_export(url, connect_param, made.transfer, largest_bytes)
    segments = _segments(listed, schema, made.file_type)
    manifest = Manifest(
        uuid="", file_type=made.file_type.name, schema=schema.to_dict(), segments=segments,
        import_options=made.open_format(schema).import_options,
    )  # fmt: skip
    # A commit that is repeated gets the same uuid.
    digest = hashlib.blake2b(manifest.to_json().encode(), digest_size=16).digest()
    manifest.uuid = str(uuid.UUID(bytes=digest, version=4))
    text = manifest.to_json()
    _check_there(place, listed, _sizes(place))
    known = place.notes.read_text(MANIFEST_NAME)
    if not segments:  # the files of another export stay
        _clear_attempts(place, _listed(place, known))
        return manifest
    old: Sequence[FileEntry] = ()
    if known is not None and known != text:
        if not replace:
            words = "another export is there; choose another folder, or commit with replace=True"
            raise StoreError(words, path=place.notes.name(MANIFEST_NAME))
        old = _listed(place, known)
    place.put_manifest(text, known=known)
    keep = {entry.path for entry in listed}
    _clear_attempts(place, listed)
    place.delete(entry.path for entry in old if entry.path not in keep and not _is_attempt(entry.path.split("/")[0]))
    return manifest


def discard(url: Any, *, connect_param: Any = None, transfer: Transfer | None = None) -> None:
    """Remove the files of tasks that no manifest lists, when there will be no commit.

    Attempts that are still running fail, or leave files that no manifest lists. Raises StoreError.
    """
    place = open_export(url, connect_param, transfer)
    _clear_attempts(place, _listed(place, place.notes.read_text(MANIFEST_NAME)))


def finished_tasks(
    url: Any, *, connect_param: Any = None, transfer: Transfer | None = None
) -> dict[str, list[FileEntry]]:
    """Return the files of every finished task, before a commit: for a resume.

    If a task has several finished attempts, all callers get the same one. Raises StoreError.
    """
    place = open_export(url, connect_param, transfer)
    return {task: list(one.entries) for task, one in finished(place).items()}


def finished(place: Place) -> dict[str, Finished]:
    """Return a finished attempt of every task that has one, by task. Its files are there, with their sizes."""
    sizes = _sizes(place)
    ended = [path.removesuffix(f"/{TASK_NAME}") for path in sizes if path.endswith(f"/{TASK_NAME}")]
    attempts = sorted(noted_name(name) for name in ended if is_notes(name))
    found: dict[str, Finished] = {}
    with ThreadPoolExecutor(_READS_AT_ONCE, thread_name_prefix="vecmill-read") as pool:
        for one in pool.map(lambda folder: _marker(place, folder), filter(_is_attempt, attempts)):
            if all(sizes.get(entry.path) == entry.bytes for entry in one.entries):
                found.setdefault(one.task_id, one)
    return found


def open_export(url: Any, connect_param: Any, transfer: Transfer | None, largest_bytes: int = 0) -> Place:
    """Return the folder of an export: ``url``, which is a prefix in a bucket if ``connect_param`` names one.

    Raises as `vecmill.store.place.open_place` does.
    """
    if connect_param is None:
        return open_place(url, transfer=transfer, largest_bytes=largest_bytes)
    return open_place(connect_param, url, transfer=transfer, largest_bytes=largest_bytes)


def _sizes(place: Place) -> dict[str, int]:
    return {found.path: found.size for found in place.walk()}


def _clear_attempts(place: Place, listed: Iterable[FileEntry]) -> None:
    """Remove all files and notes of attempts, except the files in ``listed``."""
    attempts = [name for name in place.folders() if _is_attempt(noted_name(name))]
    place.clear(attempts, {entry.path for entry in listed})


def _listed(place: Place, text: str | None) -> Sequence[FileEntry]:
    """Return the files that a manifest lists. Raises StoreError if it cannot be parsed."""
    return () if text is None else parse_manifest(text, place.notes.name(MANIFEST_NAME)).files


def _marker(place: Place, folder: str) -> Finished:
    notes = place.child(folder).notes
    try:
        raw = json.loads(notes.read_text(TASK_NAME) or "")
        if raw["vecmill_task"] != _MARKER_VERSION:
            raise ValueError("it is of another release")
        entries = tuple(FileEntry(**entry) for entry in raw["entries"])
        check_paths(entries)
        return Finished(raw["task_id"], folder, entries, raw["note"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"cannot be read: {error}", path=notes.name(TASK_NAME)) from error


def _is_attempt(name: str) -> bool:
    return _FOLDER.fullmatch(name) is not None


def _segments(listed: Sequence[FileEntry], schema: Any, form: BulkFileType) -> list[Segment]:
    """Group files into segments: an NPY set, or a single file. Raises DataError for an incomplete set."""
    attempts: dict[str, str] = {}
    paths: set[str] = set()
    for entry in listed:
        folder = entry.path.split("/")[0]
        found = _FOLDER.fullmatch(folder)
        if found is None or not is_plain_path(entry.path):
            raise DataError(file=entry.path, expected="a file that a task has written", got="another path")
        other = attempts.setdefault(found[1], folder)
        if other != folder:
            raise DataError(file=entry.path, expected=f"one attempt of task {found[1]}", got=f"another one in {other}")
        if entry.path in paths:
            raise DataError(file=entry.path, expected="every file once", got="this one twice")
        paths.add(entry.path)
    if not FORMATS[form].is_set:
        return [Segment(number, entry.rows, (entry,)) for number, entry in enumerate(listed, 1)]
    wanted = sorted(one.name for one in schema.written_fields())
    segments = []
    for number, (folder, group) in enumerate(groupby(listed, lambda entry: entry.path.rpartition("/")[0]), 1):
        files = tuple(group)
        names = sorted(str(entry.field) for entry in files)
        if names != wanted or len({entry.rows for entry in files}) != 1:
            raise DataError(file=folder, expected=f"one file of equal length for each of {wanted}", got=f"{names}")
        segments.append(Segment(number, files[0].rows, files))
    return segments


def _check_there(place: Place, listed: Sequence[FileEntry], there: Mapping[str, int]) -> None:
    for entry in listed:
        size = there.get(entry.path)
        if size != entry.bytes:
            got = "it is not there" if size is None else f"it has {size} bytes"
            raise StoreError(f"was written with {entry.bytes} bytes, but {got}", path=place.name(entry.path))
