"""Files on local disk: written under a temporary name, checksummed on the way, renamed when whole.

Every segment gets a hidden folder ``.<token>.tmp`` beside its final place; a rename publishes it under its number. What
a killed process leaves behind is therefore either published and whole, or hidden.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Collection, Iterator
from io import FileIO
from pathlib import Path

from vecmill.errors import StoreError
from vecmill.store.growing import GrowingFile
from vecmill.store.notes import MANIFEST_NAME, notes_path
from vecmill.store.sink import undoing

# Room is asked for ahead of the writes in steps: 1.17x faster than letting each write extend the file (ext4).
_RESERVE_MIN = 64 * 1024
_RESERVE_MAX = 32 * 1024 * 1024


@contextlib.contextmanager
def store_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn an OSError into a StoreError that names the path."""
    try:
        yield
    except StoreError:
        raise
    except OSError as error:
        raise StoreError(error.strerror or str(error), path=os.fspath(path), errno=error.errno) from error


class OutputFile(GrowingFile):
    """A file on disk."""

    def __init__(self, path: Path, header_bytes: int = 0, *, file: FileIO | None = None) -> None:
        """Make the file ``path``, or with ``file``, an empty one that has no name, write to that."""
        super().__init__(header_bytes)
        self.path = path
        self._reserved = 0
        with store_errors(path):
            # A file object, not a bare descriptor: of a writer that is never closed, it is closed with the object.
            self._file = path.open("x+b", buffering=0) if file is None else file
        self._fd = self._file.fileno()

    def read(self, start: int, n_bytes: int) -> bytes:
        """Read back from the body of the file."""
        with store_errors(self.path):
            data = os.pread(self._fd, n_bytes, self._header_bytes + start)
            while len(data) < n_bytes:
                more = os.pread(self._fd, n_bytes - len(data), self._header_bytes + start + len(data))
                if not more:
                    raise OSError(errno.EIO, "the file ends before what was written to it")
                data += more
            return data

    def finish(self, header: bytes = b"") -> tuple[int, str]:
        """Write the header, cut the file to its length and close it. Return (bytes, checksum) of the whole file."""
        done = self.complete(header)
        with store_errors(self.path):
            self.close()
        return done

    def fileno(self) -> int:
        """Return the descriptor, for who maps the file."""
        return self._fd

    def close(self) -> None:
        """Close the file as it is. Safe to call twice."""
        self._fd = -1
        self._file.close()

    def _reserve(self, end: int) -> None:
        if end <= self._reserved or not hasattr(os, "posix_fallocate"):
            return
        step = min(max(self._reserved, _RESERVE_MIN), _RESERVE_MAX)
        target = max(end, self._reserved + step)
        with store_errors(self.path):
            try:
                os.posix_fallocate(self._fd, self._reserved, target - self._reserved)
            except OSError as error:
                # Not every file system can; and where room ends soon, there may still be some for what is written.
                if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                    raise
                return
        self._reserved = target

    def _write(self, parts: list[memoryview], start: int, size: int) -> None:
        with store_errors(self.path):
            done = os.pwritev(self._fd, parts, start)
            while done < size:  # a short write: a signal, or more than the kernel takes at once
                rest = _after(parts, done)
                got = os.pwritev(self._fd, rest, start + done)
                if got == 0:
                    raise OSError(errno.EIO, "the file takes no more bytes")
                done += got

    def _cut_off(self, size: int) -> None:
        with store_errors(self.path):
            os.ftruncate(self._fd, size)


def _after(parts: list[memoryview], n_bytes: int) -> list[memoryview]:
    rest = []
    for part in parts:
        if n_bytes < part.nbytes:
            rest.append(part[n_bytes:])
        n_bytes = max(0, n_bytes - part.nbytes)
    return rest


class LocalFolder:
    """The hidden folder in which the files of one segment are written."""

    def __init__(self, root: Path, token: int) -> None:
        self._root = root
        self._folder = root / f".{token}.tmp"
        self._single: str | None = None  # suffix of the only file
        self._published: Path | None = None
        with store_errors(self._folder):
            self._folder.mkdir()

    def create(self, name: str, header_bytes: int = 0) -> OutputFile:
        """Open a file of a set."""
        return OutputFile(self._folder / name, header_bytes)

    def create_known(self, name: str, header: bytes, n_bytes: int) -> OutputFile:
        """Open a file of a set, its header written."""
        del n_bytes
        file = OutputFile(self._folder / name)
        with undoing(file.close):
            file.append(header)
        return file

    def create_single(self, suffix: str, *, gaps: bool = False) -> OutputFile:
        """Open the only file of the segment. All that was written to it can be taken back."""
        self._single = suffix
        return OutputFile(self._folder / f"segment{suffix}")

    def scratch(self, name: str, n_bytes: int | None = None) -> OutputFile:
        """Open a file that has no name: it is gone when it is closed."""
        del n_bytes
        path = self._folder / f".{name}.scratch"
        file = OutputFile(path)
        with store_errors(path), undoing(file.close):
            path.unlink()
        return file

    def publish(self, number: int) -> str:
        """Rename the folder, or the only file in it."""
        final = self._root / f"{number}{self._single or ''}"
        with store_errors(final):
            if self._single is None:
                self._folder.rename(final)
            else:
                (self._folder / f"segment{self._single}").rename(final)
        self._published = final
        if self._single is not None:
            with contextlib.suppress(OSError):  # the file is there: an empty hidden folder is no reason to fail
                self._folder.rmdir()
        return final.name

    def withdraw(self) -> None:
        """Hide the set again, or remove the file."""
        final = self._published
        assert final is not None
        with store_errors(final):
            if self._single is None:
                final.rename(self._folder)
            else:
                final.unlink()

    def drop(self) -> None:
        """Remove what was written and not published."""
        with store_errors(self._folder):
            if self._folder.exists():
                shutil.rmtree(self._folder)


# Hidden files that a writer has under way.
_HIDDEN = re.compile(r"\.[0-9]+\.tmp")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class LocalSink:
    """A folder on local disk."""

    hold_bytes = 0
    keeps_headless = False

    def __init__(self, root: Path) -> None:
        self._root = root
        self._notes = notes_path(root)

    @property
    def where(self) -> str:
        """The folder."""
        return str(self._root)

    @property
    def manifest_name(self) -> str:
        """The path of the manifest."""
        return str(self._notes / MANIFEST_NAME)

    def address(self, path: str) -> str:
        """Return the path of a file."""
        return str(self._root / path)

    def begin(self, manifest: str) -> None:
        """Make the folder. The manifest comes with the first segment."""
        with store_errors(self._root):
            self._root.mkdir(parents=True, exist_ok=True)

    def open_segment(self, token: int) -> LocalFolder:
        """Make a hidden folder for a segment."""
        return LocalFolder(self._root, token)

    def hold(self, n_bytes: int) -> bool:
        """Do nothing: an open file can always be rolled back."""
        del n_bytes
        return True

    def release(self) -> None:
        """Do nothing."""

    def replace_manifest(self, text: str) -> None:
        """Replace the manifest by a rename."""
        with store_errors(self._notes):
            self._notes.mkdir(exist_ok=True)
        replace_text(self._notes / MANIFEST_NAME, text)

    def read_manifest(self) -> str | None:
        """Return the text of the manifest, if there is one."""
        path = self._notes / MANIFEST_NAME
        with store_errors(path):
            return path.read_text("utf-8") if path.exists() else None

    def clear(self, listed: Collection[str]) -> None:
        """Remove hidden leftovers, and the one segment that may have been renamed and not listed.

        Raises StoreError if nothing tells that it is a writer's: no manifest, and the name of the folder is no uuid.
        """
        with store_errors(self._notes):
            (self._notes / f".{MANIFEST_NAME}.tmp").unlink(missing_ok=True)
        if not self._root.exists():
            return
        last = max((int(re.split("[./]", path)[0]) for path in listed), default=0)
        unlisted = re.compile(rf"{last + 1}(\.[a-z]+)?")
        with store_errors(self._root):
            for path in list(self._root.iterdir()):
                if unlisted.fullmatch(path.name):
                    if not listed and not _UUID.fullmatch(self._root.name):
                        raise StoreError(
                            "is there, but no manifest beside it lists it; remove it first", path=str(path)
                        )
                elif not _HIDDEN.fullmatch(path.name):
                    continue
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()

    def end(self, *, is_empty: bool) -> None:
        """Remove the folder and that of its notes, if nothing is in them."""
        if not is_empty:
            return
        for folder in (self._root, self._notes):
            with store_errors(folder):
                if folder.exists() and not any(folder.iterdir()):
                    folder.rmdir()


def replace_text(path: Path, text: str) -> None:
    """Write a small file so that readers see the old one or the new one, never half of it."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        file = OutputFile(temporary)
    except StoreError as error:
        if error.errno != errno.EEXIST:
            raise
        with store_errors(temporary):  # a process that was killed has left it
            temporary.unlink(missing_ok=True)
        file = OutputFile(temporary)
    with store_errors(path), undoing(temporary.unlink), contextlib.closing(file):
        file.append(text.encode())
        file.finish()
        temporary.replace(path)
