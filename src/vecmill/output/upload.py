"""Send what was written to disk into a bucket, as a writer would have put it there; what is there already stays."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from vecmill.errors import SchemaError, StoreError
from vecmill.manifest import FileEntry, Manifest, Segment
from vecmill.output_formats import ENDINGS
from vecmill.store.bucket_manifest import BucketManifest
from vecmill.store.bucket_place import BucketPlace, open_bucket_place
from vecmill.store.connect import ConnectParam
from vecmill.store.local import store_errors
from vecmill.store.local_place import LocalPlace
from vecmill.store.notes import as_folder, is_notes, parse_manifest, read_manifest
from vecmill.store.spool import checked_parts, checksum_of, mapped_file
from vecmill.store.transfer import Transfer
from vecmill.store.url import disk_path

_FILES_AT_ONCE = 3

Progress = Callable[[int, int], object]


@dataclass(frozen=True, slots=True)
class UploadReport:
    """What an upload did.

    Attributes
    ----------
    files: keys in the bucket; one inner list per import file, as ``bulk_import(files=...)`` takes it.
    data_path: the folder of the bucket that holds them.
    url: the same as a URL.
    n_sent, bytes_sent: files that were sent.
    n_skipped, bytes_skipped: files that were there already, with the same size and checksum.
    seconds: wall time.
    """

    files: list[list[str]]
    data_path: str
    url: str
    n_sent: int
    bytes_sent: int
    n_skipped: int
    bytes_skipped: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values, fit for JSON."""
        return dataclasses.asdict(self)


def upload(
    src: str | os.PathLike[str],
    dst: ConnectParam,
    *,
    transfer: Transfer | None = None,
    progress: Progress | None = None,
) -> UploadReport:
    """Upload the output of a writer, or other import files.

    Parameters
    ----------
    src: a path or ``file:///folder``. Of an output (its folder or its manifest), the files that its manifest lists go
        to ``<prefix>/<name of the folder>/``, compared with their checksums on the way, and the manifest beside them
        after every segment. Else all import files in the folder, or the one file.
    dst: a URL (``s3://bucket/prefix``), or what :class:`RemoteBulkWriter` takes as ``connect_param``.
    progress: called as ``progress(bytes, total)`` whenever a file is there.

    An upload that broke off goes on where it was: files that are whole are not sent again.

    Raises StoreError if a file is not what the manifest says, or cannot be read or sent.
    """
    began = time.perf_counter()
    path = disk_path(src)
    if path is None:
        raise SchemaError(f"expected a path or file:///folder to upload, got {src!r}")
    path = Path(as_folder(path))
    if not path.exists():
        raise StoreError("is not there", path=str(path))
    manifest = read_manifest(LocalPlace(path))
    segments = manifest.segments if manifest is not None else _segments(path)
    largest = max((entry.bytes for segment in segments for entry in segment.files), default=0)
    folder = path.resolve().name if path.is_dir() else ""
    place = open_bucket_place(dst, folder, transfer=transfer, largest_bytes=largest)
    sending = _Sending(place, path if path.is_dir() else path.parent, segments, manifest, progress)
    sending.run()
    sent, n_bytes = sending.sent, sum(entry.bytes for entry in sending.sent)
    return UploadReport(
        files=[[place.address(entry.path) for entry in segment.files] for segment in segments],
        data_path=str(PurePosixPath("/") / place.address("")),
        url=place.where,
        n_sent=len(sent),
        bytes_sent=n_bytes,
        n_skipped=len(sending.done) - len(sent),
        bytes_skipped=sending.n_bytes - n_bytes,
        seconds=time.perf_counter() - began,
    )


class _Sending:
    """One upload: ``done`` has the files that are there, ``sent`` those that were sent for that."""

    def __init__(
        self,
        place: BucketPlace,
        root: Path,
        segments: Sequence[Segment],
        manifest: Manifest | None,
        progress: Progress | None,
    ) -> None:
        self._objects, self._there = place.objects, BucketManifest(place.objects)
        self._root = root
        self._segments = segments
        self._progress = progress
        self._published = dataclasses.replace(manifest, segments=[]) if manifest is not None else None
        before = _claim(self._there, manifest)
        self._n_published = len(before.segments)
        self._listed = {entry.path: entry for entry in before.files}
        self.n_bytes = sum(entry.bytes for segment in segments for entry in segment.files)
        self.sent: list[FileEntry] = []
        self.done: list[FileEntry] = []

    def run(self) -> None:
        """Send the files, some at a time, and list each segment once its files are there. Raises StoreError."""
        entries = [entry for segment in self._segments for entry in segment.files]
        with ThreadPoolExecutor(_FILES_AT_ONCE, thread_name_prefix="vecmill-upload") as pool:
            results = pool.map(self._send, entries)
            try:
                for segment in self._segments:
                    for entry in segment.files:
                        self._finish(entry, was_sent=next(results))
                    self._publish(segment)
            except BaseException as error:
                pool.shutdown(cancel_futures=True)
                error.add_note(f"{len(self.done)} of {len(entries)} files are there; run again to go on")
                raise

    def _finish(self, entry: FileEntry, *, was_sent: bool) -> None:
        if was_sent:
            self.sent.append(entry)
        self.done.append(entry)
        if self._progress is not None:
            self._progress(sum(one.bytes for one in self.done), self.n_bytes)

    def _publish(self, segment: Segment) -> None:
        if self._published is None:
            return
        self._published.segments.append(segment)
        if len(self._published.segments) > self._n_published:
            self._there.replace(self._published.to_json())

    def _send(self, entry: FileEntry) -> bool:
        """Send a file, unless it is there. Return whether it was sent."""
        objects, file = self._objects, self._root / entry.path
        if self._listed.get(entry.path) == entry and objects.is_whole(entry.path, entry.bytes):
            return False
        if objects.holds(entry.path, entry.bytes, entry.checksum):
            return False
        data = mapped_file(file)
        if len(data) != entry.bytes:
            raise StoreError(f"is not what its manifest says: {len(data)} bytes, not {entry.bytes}", path=str(file))
        parts = checked_parts(data, entry.checksum, objects.part_bytes, file)
        # One part needs no upload in parts, which takes three requests.
        objects.send(entry.path, parts if len(data) > objects.part_bytes else b"".join(parts), entry.checksum)
        return True


def _segments(path: Path) -> list[Segment]:
    """Return what lies in a folder without a manifest: the NPY files of a folder together, every other file alone."""
    root = path if path.is_dir() else path.parent
    with store_errors(path):
        found = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
        files = [one for one in found if one.suffix in ENDINGS and not _is_hidden(one.relative_to(root))]
    if not files:
        raise StoreError(f"holds no file to import ({', '.join(ENDINGS)})", path=str(path))
    groups: dict[Path, list[FileEntry]] = {}
    for file in files:
        data = mapped_file(file)
        name = file.relative_to(root).as_posix()
        entry = FileEntry(path=name, rows=0, bytes=len(data), checksum=checksum_of(data))
        groups.setdefault(file.parent if file.suffix == ".npy" else file, []).append(entry)
    return [Segment(number=i, rows=0, files=tuple(files)) for i, files in enumerate(groups.values(), 1)]


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") or is_notes(part) for part in path.parts)


def _claim(there: BucketManifest, manifest: Manifest | None) -> Manifest:
    """Make sure that the place can be reached, and is this upload's. Return the manifest that is there."""
    text = there.read()
    if manifest is None:
        return Manifest("", "", {})
    if text is None:
        new = dataclasses.replace(manifest, segments=[])
        there.begin(new.to_json())
        return new
    found = parse_manifest(text, there.name)
    if found.uuid != manifest.uuid or found.segments != manifest.segments[: len(found.segments)]:
        raise StoreError("another export is there", path=there.name)
    return found
