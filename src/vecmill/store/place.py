"""A place that holds files, a folder on a disk or in a bucket: what can be asked of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from vecmill.store.blob import Blob
from vecmill.store.sink import Sink


@dataclass(frozen=True, slots=True)
class FileStat:
    """A file in a place.

    Attributes
    ----------
    path: from the place.
    size: bytes.
    version: changes when the file does.
    modified: when that was, in seconds since 1970.
    e_tag: the version by which a store refuses to read another one. None on a disk.
    """

    path: str
    size: int
    version: str
    modified: float
    e_tag: str | None = None


class Place(Protocol):
    """A folder, there or not yet. Paths are relative to it, POSIX. All methods raise StoreError."""

    @property
    def where(self) -> str:
        """The path or URL of the folder."""

    @property
    def notes(self) -> Place:
        """The folder beside this one that holds what vecmill notes about it: see `vecmill.store.notes`."""

    def name(self, path: str) -> str:
        """Return the path or URL of a file."""

    def address(self, path: str) -> str:
        """Return a file as an import request names it: a path, or the key that the bucket has it by."""

    def child(self, path: str) -> Place:
        """Return a folder in this one."""

    def blob(self, path: str) -> Blob | None:
        """Return a file for reading, None where no file is that can be read."""

    def blob_of(self, found: FileStat) -> Blob | None:
        """Return a file that `walk` has found, as `blob` does: without another request to a store."""

    def instead(self, path: str) -> str:
        """Return what is at a path that `blob` knows no file at: "none", or other words."""

    def read_text(self, path: str) -> str | None:
        """Return the text of a file, None where there is none."""

    def put_text(self, path: str, text: str) -> None:
        """Put a text, whole or not at all, whatever is there."""

    def put_manifest(self, text: str, *, known: str | None) -> None:
        """Put the manifest if ``known`` is the one there; None: if there is none.

        The same text is no contradiction: another process put it that has done the same.
        """

    def folders(self) -> list[str]:
        """Return the names of the folders right in this one."""

    def files(self) -> list[FileStat]:
        """Return the files right in this folder."""

    def walk(self, path: str = "", *, links: bool = False) -> Iterator[FileStat]:
        """Yield all files below ``path``, in no order. ``links``: those too that links lead to, each once."""

    def claim(self, path: str) -> None:
        """Make sure that no other process writes to a new folder in this one."""

    def clear(self, folders: Iterable[str], keep: Collection[str] = ()) -> None:
        """Remove what is in these folders, but for the files to ``keep``. Failures are logged, not raised.

        What remains is in the way of nothing: a process that was given up may be writing to these folders still.
        """

    def delete(self, paths: Iterable[str]) -> None:
        """Remove files. Those that are not there are no error."""

    def sink(self) -> Sink:
        """Return what a writer fills the folder through."""
