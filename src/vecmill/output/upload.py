"""Send what was written to disk into a bucket, as a writer would have put it there; what is there already stays."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from vecmill.errors import StoreError
from vecmill.filetype import ENDINGS
from vecmill.manifest import FileEntry, Manifest, Segment
from vecmill.store.bucket import Transfer
from vecmill.store.connect import Target, open_bucket
from vecmill.store.local import store_errors
from vecmill.store.object_sink import ObjectSink
from vecmill.store.objects import Objects
from vecmill.store.sink import MANIFEST_NAME
from vecmill.store.spool import checked_parts, checksum_of, mapped_file

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
    target: Target,
    *,
    transfer: Transfer | None = None,
    progress: Progress | None = None,
) -> UploadReport:
    """Upload a folder that a writer has filled, or other import files.

    Parameters
    ----------
    src: a folder with a ``manifest.json``: what that lists goes to ``<prefix>/<name of the folder>/``, compared with
        its checksums on the way, and the manifest behind every segment. Or a folder without one, or one file.
    target: a URL (``s3://bucket/prefix``), or what :class:`RemoteBulkWriter` takes as ``connect_param``.
    progress: called as ``progress(bytes, total)`` whenever a file is there.

    An upload that broke off goes on where it was: files that are whole are not sent again.

    Raises StoreError if a file is not what the manifest says, or cannot be read or sent.
    """
    began = time.perf_counter()
    path = Path(src)
    manifest = _manifest(path)
    segments = manifest.segments if manifest is not None else _segments(path)
    root = path if path.is_dir() else path.parent
    largest = max((entry.bytes for segment in segments for entry in segment.files), default=0)
    folder = path.resolve().name if path.is_dir() else ""
    objects = Objects(open_bucket(target), folder, transfer or Transfer(), largest)
    sink = ObjectSink(objects)
    there = _claim(sink, manifest)
    n_there, listed = len(there.segments), {entry.path: entry for entry in there.files}
    sent: list[FileEntry] = []
    done: list[FileEntry] = []
    total = sum(entry.bytes for segment in segments for entry in segment.files)

    def send(entry: FileEntry) -> bool:
        return _send(objects, root / entry.path, entry, listed)

    with ThreadPoolExecutor(_FILES_AT_ONCE, thread_name_prefix="vecmill-upload") as pool:
        results: Iterator[bool] = pool.map(send, [entry for segment in segments for entry in segment.files])
        published = dataclasses.replace(manifest, segments=[]) if manifest is not None else None
        try:
            for segment in segments:
                for entry in segment.files:
                    sent += [entry] * next(results)
                    done.append(entry)
                    if progress is not None:
                        progress(sum(one.bytes for one in done), total)
                if published is not None:
                    published.segments.append(segment)
                    if len(published.segments) > n_there:
                        sink.replace_manifest(published.to_json())
        except BaseException as error:
            pool.shutdown(cancel_futures=True)
            error.add_note(
                f"{len(done)} of {sum(len(one.files) for one in segments)} files are there; run again to go on"
            )
            raise
    n_bytes = sum(entry.bytes for entry in sent)
    return UploadReport(
        files=[[sink.address(entry.path) for entry in segment.files] for segment in segments],
        data_path=str(PurePosixPath("/") / objects.address_prefix),
        url=sink.where,
        n_sent=len(sent),
        bytes_sent=n_bytes,
        n_skipped=len(done) - len(sent),
        bytes_skipped=total - n_bytes,
        seconds=time.perf_counter() - began,
    )


def _manifest(path: Path) -> Manifest | None:
    """Return the manifest of a folder, None where there is none."""
    file = path / MANIFEST_NAME
    with store_errors(path):
        if not path.exists():
            raise StoreError("is not there", path=str(path))
        if not file.is_file():
            return None
        text = file.read_text("utf-8")
    return _parsed(text, str(file))


def _parsed(text: str, name: str) -> Manifest:
    try:
        return Manifest.from_json(text)
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"cannot be read: {error}", path=name) from error


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
    return any(part.startswith(".") for part in path.parts)


def _claim(sink: ObjectSink, manifest: Manifest | None) -> Manifest:
    """Make sure that the place can be reached, and is this upload's. Return the manifest that is there."""
    text = sink.read_manifest()
    new = dataclasses.replace(manifest, segments=[]) if manifest is not None else Manifest("", "", {})
    if manifest is None:
        return new
    if text is None:
        sink.begin(new.to_json())
        return new
    found = _parsed(text, f"{sink.where}/{MANIFEST_NAME}")
    if found.uuid != manifest.uuid or found.segments != manifest.segments[: len(found.segments)]:
        raise StoreError("another export is there", path=f"{sink.where}/{MANIFEST_NAME}")
    return found


def _send(objects: Objects, file: Path, entry: FileEntry, there: Mapping[str, FileEntry]) -> bool:
    """Send a file, unless it is there. Return whether it was sent."""
    if there.get(entry.path) == entry and objects.is_whole(entry.path, entry.bytes):
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
