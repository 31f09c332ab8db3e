"""A folder that many processes write to, each below a folder of its own: on disk, or in a bucket.

What a writer needs is a `Sink` of its own folder. Around that there are small texts beside the files, a look at what is
there, and removing what nobody wants.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import secrets
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from vecmill.errors import StoreError
from vecmill.store.bucket import Bucket, Transfer
from vecmill.store.connect import open_bucket
from vecmill.store.local import LocalSink, replace_text, store_errors
from vecmill.store.object_sink import ObjectSink
from vecmill.store.objects import Objects
from vecmill.store.sink import MANIFEST_NAME, Sink, undoing

log = logging.getLogger(__name__)

_AT_ONCE = 16
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)


class SharedFolder(Protocol):
    """Paths are relative to the folder, POSIX. Raises StoreError."""

    @property
    def where(self) -> str:
        """The folder, for messages."""

    def address(self, path: str) -> str:
        """Return a path as an import takes it."""

    def sink(self, folder: str) -> Sink:
        """Return the sink of a folder in this one."""

    def read(self, path: str) -> str | None:
        """Return a text, None where there is none."""

    def put(self, path: str, text: str) -> None:
        """Put a text, whole or not at all, whatever is there."""

    def claim(self, folder: str) -> None:
        """Make sure that nobody else writes to a folder in this one."""

    def publish(self, manifest: str, *, known: str | None) -> None:
        """Put the manifest on the condition that ``known`` is there still; None: that there is none.

        The same text is no contradiction: it was put by somebody who has done the same.
        """

    def folders(self) -> list[str]:
        """Return the names of the folders in this one."""

    def files(self, wanted: Callable[[str], bool]) -> dict[str, dict[str, int]]:
        """Return all files (path in the folder: bytes) of each folder in this one whose name is ``wanted``."""

    def clear(self, folders: Iterable[str], keep: Collection[str] = ()) -> None:
        """Remove what is in these folders, but for the files to ``keep``. What cannot be removed is logged.

        It is in the way of nothing: somebody may be writing to these folders still, who does not know better.
        """

    def delete(self, paths: Iterable[str]) -> None:
        """Remove files that are there."""


class DiskFolder:
    """A folder on a disk that all of the processes see."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def where(self) -> str:
        """The folder."""
        return str(self._root)

    def address(self, path: str) -> str:
        """Return the path of a file."""
        return str(self._root / path)

    def sink(self, folder: str) -> Sink:
        """Return the sink of a folder in this one."""
        return LocalSink(self._root / folder)

    def read(self, path: str) -> str | None:
        """Return a text, None where there is none."""
        with store_errors(self._root / path):
            try:
                return (self._root / path).read_text("utf-8")
            except (FileNotFoundError, NotADirectoryError):
                return None

    def put(self, path: str, text: str) -> None:
        """Put a text by a rename."""
        file = self._root / path
        with store_errors(file):
            file.parent.mkdir(parents=True, exist_ok=True)
        replace_text(file, text)

    def claim(self, folder: str) -> None:
        """Make the folder. Raises StoreError if it is there."""
        with store_errors(self._root / folder):
            (self._root / folder).mkdir(parents=True)

    def publish(self, manifest: str, *, known: str | None) -> None:
        """Link or rename the manifest to its name."""
        file = self._root / MANIFEST_NAME
        fresh = file.with_name(f".{MANIFEST_NAME}.{secrets.token_hex(4)}.tmp")
        with store_errors(file):
            self._root.mkdir(parents=True, exist_ok=True)
            fresh.write_text(manifest, "utf-8")
            with undoing(lambda: fresh.unlink(missing_ok=True)):
                if known is None and _linked(fresh, file):
                    fresh.unlink()
                    return
                found = self.read(MANIFEST_NAME)
                if found == manifest:
                    fresh.unlink()
                    return
                if found != known:
                    raise StoreError("another export has put it meanwhile", path=str(file))
                fresh.replace(file)

    def folders(self) -> list[str]:
        """Return the names of the folders in this one."""
        with store_errors(self._root):
            return [one.name for one in self._root.iterdir() if one.is_dir()] if self._root.is_dir() else []

    def files(self, wanted: Callable[[str], bool]) -> dict[str, dict[str, int]]:
        """Return the files of the folders that are wanted; see `SharedFolder.files`."""
        found: dict[str, dict[str, int]] = {}
        with store_errors(self._root):
            if not self._root.is_dir():
                return found
            for folder in self._root.iterdir():
                if wanted(folder.name) and folder.is_dir():
                    found[folder.name] = dict(_sizes(folder))
        return found

    def clear(self, folders: Iterable[str], keep: Collection[str] = ()) -> None:
        """Remove files, and folders that become empty."""
        for folder in folders:
            for here, below, names in os.walk(self._root / folder, topdown=False):
                place = Path(here)
                for path in [place / name for name in names]:
                    if path.relative_to(self._root).as_posix() not in keep:
                        _tried(path.unlink, path)
                for name in below:
                    _tried((place / name).rmdir, place / name)
            _tried((self._root / folder).rmdir, self._root / folder)

    def delete(self, paths: Iterable[str]) -> None:
        """Remove files, and folders that become empty."""
        for path in paths:
            file = self._root / path
            with store_errors(file):
                file.unlink(missing_ok=True)
            _tried(file.parent.rmdir, file.parent)


def _sizes(folder: Path) -> Iterable[tuple[str, int]]:
    for here, _, names in os.walk(folder):
        for name in names:
            path = Path(here, name)
            try:
                size = path.stat().st_size
            except FileNotFoundError:  # somebody writes there, and has renamed it
                continue
            yield path.relative_to(folder).as_posix(), size


def _linked(fresh: Path, file: Path) -> bool:
    """Give a file a second name that is free; return False if it is not, or the file system knows no links."""
    try:
        os.link(fresh, file)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return False
    return True


def _tried(act: Callable[[], object], path: Path) -> None:
    """Remove a file, or a folder if it is empty. Errors are logged."""
    try:
        act()
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST):
            log.warning("%s: cannot be removed: %s", path, error.strerror or error)


class BucketFolder:
    """A folder in a bucket. ``objects``: how its objects are asked for."""

    def __init__(self, bucket: Bucket, folder: str, transfer: Transfer, largest_bytes: int) -> None:
        self._bucket = bucket
        self._folder = folder
        self._transfer = transfer
        self._largest_bytes = largest_bytes
        self.objects = self._below("")

    def _below(self, folder: str) -> Objects:
        path = "/".join(filter(None, (self._folder, folder)))
        return Objects(self._bucket, path, self._transfer, self._largest_bytes)

    @property
    def where(self) -> str:
        """The folder, as a URL."""
        return self.objects.where

    def address(self, path: str) -> str:
        """Return the key of an object, as the bucket has it."""
        return "/".join(filter(None, (self.objects.address_prefix, path)))

    def sink(self, folder: str) -> Sink:
        """Return the sink of a folder in this one."""
        return ObjectSink(self._below(folder))

    def read(self, path: str) -> str | None:
        """Return a text, None where there is none."""
        import obstore

        try:
            return bytes(obstore.get(self.objects.store, self.objects.key(path)).bytes()).decode()
        except FileNotFoundError:
            return None
        except Exception as error:
            raise self.objects.refusal(error, path) from None

    def put(self, path: str, text: str) -> None:
        """Put a text."""
        data = text.encode()
        self.objects.put_again(path, [data], len(data))

    def claim(self, folder: str) -> None:
        """Do nothing: a writer begins with a manifest, on the condition that there is none."""

    def publish(self, manifest: str, *, known: str | None) -> None:
        """Put the manifest on a condition, where the store knows such."""
        sink = ObjectSink(self.objects)
        found = sink.read_manifest()
        if found == manifest:
            return
        if found != known:
            raise StoreError("another export has put it meanwhile", path=self.objects.name(MANIFEST_NAME))
        if found is None:
            sink.put_manifest(manifest)
        else:
            sink.replace_manifest(manifest)

    def folders(self) -> list[str]:
        """Return what stands between the prefix of the folder and the next slash."""
        import obstore

        root = self.objects.key("")
        try:
            found = obstore.list_with_delimiter(self.objects.store, root.rstrip("/") or None)["common_prefixes"]
        except Exception as error:
            raise self.objects.refusal(error, "") from None
        return [prefix.rstrip("/").removeprefix(root) for prefix in found]

    def files(self, wanted: Callable[[str], bool]) -> dict[str, dict[str, int]]:
        """Return the objects of the folders that are wanted; see `SharedFolder.files`."""
        import obstore

        root = self.objects.key("")
        found: dict[str, dict[str, int]] = {}
        try:
            for page in obstore.list(self.objects.store, root.rstrip("/") or None, chunk_size=1000):
                for one in page:
                    folder, sign, path = one["path"].removeprefix(root).partition("/")
                    if sign and wanted(folder):
                        found.setdefault(folder, {})[path] = int(one["size"])
        except Exception as error:
            raise self.objects.refusal(error, "") from None
        return found

    def clear(self, folders: Iterable[str], keep: Collection[str] = ()) -> None:
        """Delete objects."""
        chosen = set(folders)
        found = self.files(chosen.__contains__)
        gone = [f"{folder}/{path}" for folder, paths in found.items() for path in paths]

        def remove(path: str) -> None:
            try:
                self.objects.delete([path])
            except StoreError as error:
                log.warning("%s: cannot be removed: %s", error.path, error.reason)

        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="vecmill-clear") as pool:
            list(pool.map(remove, [path for path in gone if path not in keep]))

    def delete(self, paths: Iterable[str]) -> None:
        """Delete objects."""
        self.objects.delete(list(paths))


def disk_path(url: Any) -> Path | None:
    """Return the path that ``url`` is, or that it names as ``file:///folder``; None for what is in a bucket."""
    if isinstance(url, os.PathLike) or (isinstance(url, str) and not re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", url)):
        return Path(url)
    is_file = isinstance(url, str) and urlsplit(url).scheme == "file"
    return Path(unquote(urlsplit(url).path)) if is_file else None


def open_shared(
    url: Any, connect_param: Any = None, *, transfer: Transfer | None = None, largest_bytes: int
) -> SharedFolder:
    """Return the folder that is named: a path, ``file:///folder``, ``s3://bucket/prefix`` and such, or with
    ``connect_param`` a prefix in the bucket that this stands for. ``url`` may also be such a parameter itself.

    ``largest_bytes``: about the size of the largest file. Raises ValueError for what is none of them.
    """
    send = transfer or Transfer()
    if connect_param is not None:
        return BucketFolder(open_bucket(connect_param), os.fspath(url).strip("/"), send, largest_bytes)
    path = disk_path(url)
    return DiskFolder(path) if path is not None else BucketFolder(open_bucket(url), "", send, largest_bytes)
