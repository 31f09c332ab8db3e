"""A folder on a disk, as a place."""

from __future__ import annotations

import errno
import logging
import os
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from vecmill.errors import StoreError
from vecmill.store.blob import LocalBlob
from vecmill.store.local import LocalSink, replace_text, store_errors
from vecmill.store.notes import MANIFEST_NAME, notes_path
from vecmill.store.place import FileStat
from vecmill.store.sink import Sink, undoing

log = logging.getLogger(__name__)

_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)
_NOT_THERE = (FileNotFoundError, NotADirectoryError)


@dataclass(frozen=True, slots=True)
class LocalPlace:
    """A folder on a disk; see `vecmill.store.place.Place`."""

    root: Path

    @property
    def where(self) -> str:
        """The path."""
        return str(self.root)

    @property
    def notes(self) -> LocalPlace:
        """The folder of notes. Where a link leads to the folder, it is beside the folder, not the link."""
        return LocalPlace(notes_path(self.root))

    def name(self, path: str) -> str:
        """Return the path of a file."""
        return str(self.root / path)

    def address(self, path: str) -> str:
        """Return the path of a file."""
        return str(self.root / path)

    def child(self, path: str) -> LocalPlace:
        """Return a folder in this one."""
        return LocalPlace(self.root / path)

    def blob(self, path: str) -> LocalBlob | None:
        """Return a file for reading."""
        file = self.root / path
        try:
            if not file.is_file() or not os.access(file, os.R_OK):
                return None
            return LocalBlob(file, file.stat().st_size)
        except (OSError, ValueError):  # a name with a NUL in it names no file either
            return None

    def blob_of(self, found: FileStat) -> LocalBlob | None:
        """Return a file for reading."""
        return self.blob(found.path)

    def instead(self, path: str) -> str:
        """Return what is where no file is that can be read."""
        file = self.root / path
        try:
            if file.is_file():
                return "one that may not be read"
            return "no file" if file.exists() else "none"
        except (OSError, ValueError):
            return "none"

    def read_text(self, path: str) -> str | None:
        """Return the text of a file."""
        file = self.root / path
        with store_errors(file):
            try:
                return file.read_bytes().decode()
            except _NOT_THERE:
                return None
            except UnicodeDecodeError as error:
                raise StoreError(f"is no UTF-8 text: {error.reason}", path=str(file)) from error

    def put_text(self, path: str, text: str) -> None:
        """Put a text by a rename."""
        file = self.root / path
        with store_errors(file):
            file.parent.mkdir(parents=True, exist_ok=True)
        replace_text(file, text)

    def put_manifest(self, text: str, *, known: str | None) -> None:
        """Link or rename the manifest to its name."""
        file = self.notes.root / MANIFEST_NAME
        fresh = file.with_name(f".{MANIFEST_NAME}.{secrets.token_hex(4)}.tmp")
        with store_errors(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_text(text, "utf-8")
            with undoing(lambda: fresh.unlink(missing_ok=True)):
                if known is None and _linked(fresh, file):
                    fresh.unlink()
                    return
                found = self.notes.read_text(MANIFEST_NAME)
                if found == text:
                    fresh.unlink()
                    return
                if found != known:
                    raise StoreError("another export has put it meanwhile", path=str(file))
                fresh.replace(file)

    def folders(self) -> list[str]:
        """Return the names of the folders right in this one."""
        with store_errors(self.root):
            return [one.name for one in self.root.iterdir() if one.is_dir()] if self.root.is_dir() else []

    def files(self) -> list[FileStat]:
        """Return the files right in this folder."""
        with store_errors(self.root):
            names = [one.name for one in self.root.iterdir() if one.is_file()] if self.root.is_dir() else []
        return [found for found in map(self._stat, names) if found is not None]

    def _stat(self, path: str) -> FileStat | None:
        """Return the facts of a file, None for one that has vanished."""
        file = self.root / path
        with store_errors(file):
            try:
                found = file.stat()
            except FileNotFoundError:
                return None
        return FileStat(path, found.st_size, str(found.st_mtime_ns), found.st_mtime)

    def walk(self, path: str = "", *, links: bool = False) -> Iterator[FileStat]:
        """Yield all files but those that vanish meanwhile. Raises StoreError for a folder that cannot be read."""
        top = self.root / path
        if not top.is_dir():
            return
        is_new = _Once(top)
        for folder, folders, names in os.walk(top, onerror=_refuse, followlinks=links):
            if links:
                folders[:] = [name for name in folders if is_new(Path(folder, name))]
            for name in names:
                file = Path(folder, name)
                with store_errors(file):
                    if not file.is_file() or (file.is_symlink() and not links):
                        continue
                found = self._stat(file.relative_to(self.root).as_posix())
                if found is not None:
                    yield found

    def claim(self, path: str) -> None:
        """Make the folder. Raises StoreError if it is there."""
        with store_errors(self.root / path):
            (self.root / path).mkdir(parents=True)

    def clear(self, folders: Iterable[str], keep: Collection[str] = ()) -> None:
        """Remove files, and folders that become empty. Links are removed and not followed."""
        for folder in folders:
            top = self.root / folder
            if top.is_symlink():
                _tried(top.unlink, top)
                continue
            for here, below, names in os.walk(top, topdown=False):
                for path in [Path(here, name) for name in names]:
                    if path.relative_to(self.root).as_posix() not in keep:
                        _tried(path.unlink, path)
                for path in [Path(here, name) for name in below]:
                    _tried(path.unlink if path.is_symlink() else path.rmdir, path)
            _tried(top.rmdir, top)

    def delete(self, paths: Iterable[str]) -> None:
        """Remove files, and folders that become empty. Raises StoreError for a path that leads through a link."""
        for path in paths:
            file = self.root / path
            with store_errors(file):
                if file.parent.resolve() != self.root.resolve() / Path(path).parent:
                    raise StoreError("lies behind a link, and is not removed", path=str(file))
                try:
                    file.unlink()
                except _NOT_THERE:
                    continue
            for folder in (self.root / above for above in PurePosixPath(path).parents):
                _tried(folder.rmdir, folder)

    def sink(self) -> Sink:
        """Return what a writer fills the folder through."""
        return LocalSink(self.root)


class _Once:
    """Tells folders that are met for the first time: a link to one that is met anyway is no second copy of it."""

    def __init__(self, top: Path) -> None:
        self._root = top.resolve()
        self._seen = {self._root}

    def __call__(self, path: Path) -> bool:
        real = path.resolve()
        if real in self._seen or (path.is_symlink() and real.is_relative_to(self._root)):
            return False
        self._seen.add(real)
        return True


def _refuse(error: OSError) -> None:
    raise StoreError((error.strerror or str(error)).lower(), path=str(error.filename), errno=error.errno)


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
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ENOTEMPTY, errno.EEXIST, errno.EINVAL):
            log.warning("%s: cannot be removed: %s", path, error.strerror or error)
