"""Where a conversion writes: a folder of its own in ``dst``, on disk or in a bucket, and what is beside the files."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from vecmill.errors import StoreError
from vecmill.sources.base import one_line
from vecmill.sources.remote import ObjectPath, is_url, object_path

if TYPE_CHECKING:
    from vecmill.sinks.objects import Objects
    from vecmill.writer import BulkWriter

PathLike = str | os.PathLike[str]


class OutputFolder(Protocol):
    """The folder of one conversion. ``where`` is its path or URL. All of it raises StoreError."""

    @property
    def where(self) -> str: ...  # noqa: D102 - see above

    def read(self, name: str) -> bytes | None:
        """Return a file in it; None if there is none."""

    def write(self, name: str, data: bytes) -> None:
        """Put a file into it, whole or not at all."""

    def delete(self, name: str) -> None:
        """Remove a file, if it is there."""

    def address(self, path: str) -> str:
        """Return a path in it as an import takes it."""

    def leave(self) -> None:
        """Remove the folder if nothing is in it."""


@dataclass(frozen=True, slots=True)
class DiskFolder:
    """A folder on disk."""

    path: Path

    @property
    def where(self) -> str:
        """Its path."""
        return str(self.path)

    def read(self, name: str) -> bytes | None:
        """Return a file."""
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as err:
            raise self._refused(name, err) from err

    def write(self, name: str, data: bytes) -> None:
        """Put a file there by a rename."""
        fresh = self.path / f".{name}.tmp"
        try:
            fresh.write_bytes(data)
            fresh.replace(self.path / name)
        except OSError as err:
            raise self._refused(name, err) from err

    def delete(self, name: str) -> None:
        """Remove a file."""
        try:
            (self.path / name).unlink(missing_ok=True)
        except OSError as err:
            raise self._refused(name, err) from err

    def address(self, path: str) -> str:
        """Return the path on disk."""
        return str(self.path / path)

    def leave(self) -> None:
        """Remove the folder."""
        with suppress(OSError):  # there is something in it, or it is gone already
            self.path.rmdir()

    def _refused(self, name: str, err: OSError) -> StoreError:
        return StoreError((err.strerror or one_line(err)).lower(), path=str(self.path / name), errno=err.errno)


class BucketFolder:
    """A folder of a bucket, by its URL."""

    def __init__(self, url: str) -> None:
        from vecmill.sinks.bucket import Transfer
        from vecmill.sinks.objects import Objects

        self.where = url.rstrip("/")
        self._path = object_path(self.where)
        self._objects: Objects = Objects(self._path.bucket, "", Transfer(), 0)

    def read(self, name: str) -> bytes | None:
        """Return an object."""
        found = self._path.child(name)
        if found is None:
            return None
        with found.open() as file:
            return bytes(file.read())

    def write(self, name: str, data: bytes) -> None:
        """Put an object."""
        self._objects.put_again(name, data, len(data))

    def delete(self, name: str) -> None:
        """Delete an object."""
        self._objects.delete([name])

    def address(self, path: str) -> str:
        """Return the key."""
        return "/".join(filter(None, (self._objects.address_prefix, path)))

    def leave(self) -> None:
        """A folder of a bucket is there only as long as something is in it."""


def folder_at(where: PathLike) -> OutputFolder:
    """Return the folder of a path or a URL."""
    return BucketFolder(os.fspath(where)) if is_url(where) else DiskFolder(Path(where))


def folders_in(dst: PathLike, name: str) -> Iterator[OutputFolder]:
    """Yield the folders in ``dst`` that have a file ``name`` in them, the one where it is newest first."""
    found: list[tuple[float, str]] = []
    if is_url(dst):
        root = object_path(os.fspath(dst))
        depth = root.key.count("/") + bool(root.key) + 1
        objects = [one for one in root.walk() if one.name == name and one.key.count("/") == depth]
        found = [(one.modified, _parent(one)) for one in objects]
    else:
        with suppress(OSError):
            paths = [entry / name for entry in Path(dst).iterdir() if (entry / name).is_file()]
            found = [(path.stat().st_mtime_ns, str(path.parent)) for path in paths]
    for _, where in sorted(found, reverse=True):
        yield folder_at(where)


def _parent(path: ObjectPath) -> str:
    return str(path).rpartition("/")[0]


def scratch_folder(dst: PathLike) -> Path:
    """Return an existing folder for what has to be put aside on the way: near ``dst`` where that is on disk."""
    if is_url(dst):
        return Path(tempfile.gettempdir())
    return next(one for one in (Path(dst), *Path(dst).absolute().parents) if one.is_dir())


def open_writer(dst: PathLike, begun: OutputFolder | None, **options: Any) -> tuple[BulkWriter, OutputFolder]:
    """Return a writer into a new folder in ``dst``, or into the one that was ``begun``, and that folder.

    ``options`` are those of `LocalBulkWriter`. Raises SchemaError, StoreError.
    """
    writer: BulkWriter
    if is_url(dst):
        from vecmill.remote_writer import RemoteBulkWriter

        url = os.fspath(dst)
        path = "" if begun is None else begun.where.rpartition("/")[2]
        writer = RemoteBulkWriter(remote_path=path, connect_param=url, resume=begun is not None, **options)
        return writer, begun or folder_at(f"{url.rstrip('/')}/{writer.uuid}")
    from vecmill.local_writer import LocalBulkWriter

    local = LocalBulkWriter(local_path=dst if begun is None else begun.where, resume=begun is not None, **options)
    return local, DiskFolder(local.data_path)
