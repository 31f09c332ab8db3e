"""The output of a writer, wherever it lies: its manifest, and its files as a server is told of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from vecmill.errors import DataError, StoreError
from vecmill.filetype import FORMATS, parse_file_type
from vecmill.manifest import Manifest
from vecmill.validate.check import check_output
from vecmill.validate.entries import Entry, local_entry
from vecmill.validate.report import ValidationReport

MANIFEST_NAME = "manifest.json"


@dataclass(frozen=True, slots=True)
class ImportFile:
    """What one inner list of a request holds: one file, or the NPY files of a set; ``paths`` as the server takes them.

    ``number`` is that of the segment in the manifest, ``folder`` the path of the set (None for a single file).
    """

    number: int
    paths: tuple[str, ...]
    rows: int
    n_bytes: int
    folder: str | None = None


def import_files(manifest: Manifest, address: Callable[[str], str]) -> list[ImportFile]:
    """Return the import files of a manifest; ``address`` turns a path of the manifest into what the server takes."""
    files = []
    for segment in manifest.segments:
        folders = {entry.path.rpartition("/")[0] for entry in segment.files}
        in_folder = FORMATS[parse_file_type(manifest.file_type)].is_set and len(folders) == 1
        files.append(
            ImportFile(
                number=segment.number,
                paths=tuple(address(entry.path) for entry in segment.files),
                rows=segment.rows,
                n_bytes=sum(entry.bytes for entry in segment.files),
                folder=address(folders.pop()) if in_folder else None,
            )
        )
    return files


class Place(Protocol):
    """A folder on disk or under a prefix of a bucket. Paths are the manifest's: relative, POSIX. Raises StoreError."""

    @property
    def where(self) -> str:
        """The folder, for messages: what the server would look in."""

    def read(self, path: str) -> str:
        """Return a text file."""

    def size(self, path: str) -> int | None:
        """Return the bytes of a file, None when it is not there."""

    def entry(self, path: str) -> Entry:
        """Return a file for a look into it."""

    def address(self, path: str) -> str:
        """Return a path as the server takes it."""


@dataclass(frozen=True, slots=True)
class LocalPlace:
    """A folder on a disk that the server reads too."""

    folder: Path

    @property
    def where(self) -> str:
        """The absolute path."""
        return str(self.folder.resolve())

    def read(self, path: str) -> str:
        """Return a text file."""
        try:
            return (self.folder / path).read_text()
        except OSError as err:
            raise StoreError((err.strerror or str(err)).lower(), path=str(self.folder / path), errno=err.errno) from err

    def size(self, path: str) -> int | None:
        """Return the bytes of a file, None when it is not there."""
        try:
            return (self.folder / path).stat().st_size
        except FileNotFoundError:
            return None
        except OSError as err:
            raise StoreError((err.strerror or str(err)).lower(), path=str(self.folder / path), errno=err.errno) from err

    def entry(self, path: str) -> Entry:
        """Return a file for a look into it."""
        return local_entry(self.folder / path)

    def address(self, path: str) -> str:
        """Return the absolute path."""
        return str((self.folder / path).resolve())


@dataclass(frozen=True, slots=True)
class Output:
    """A manifest and the place of its files."""

    manifest: Manifest
    place: Place

    def files(self, address: Callable[[str], str] | None = None) -> list[ImportFile]:
        """Return the import files with the paths that the server is told."""
        return import_files(self.manifest, address or self.place.address)

    def check(self) -> None:
        """Look every file up. Raises DataError for the first one that is missing or has another size.

        The most common end of an import is a file that is not where the server looks for it; this finds it before there
        is a job.
        """
        for entry in self.manifest.files:
            size = self.place.size(entry.path)
            if size != entry.bytes:
                raise DataError(
                    file=entry.path,
                    expected=f"{entry.bytes:,} bytes in {self.place.where}, where the server will look",
                    got="no such file" if size is None else f"{size:,} bytes",
                )

    def validate(self, target: str | None) -> ValidationReport:
        """Look at headers, footers and first rows, as `vecmill.validate` does. Raises SchemaError, StoreError."""
        return check_output(self.manifest, self.place.entry, target=target, level="headers")


def open_local(src: str | os.PathLike[str]) -> Output:
    """Open the output in ``src``: the folder of a writer, its manifest, or a folder that holds just one of them.

    Raises StoreError where there is nothing to read, DataError for several outputs or a manifest that is none.
    """
    path = Path(src)
    if path.name == MANIFEST_NAME and path.is_file():
        path = path.parent
    if not (path / MANIFEST_NAME).is_file():
        found = sorted(path.glob(f"*/{MANIFEST_NAME}"))
        if not found:
            reason = f"no {MANIFEST_NAME} in it: not the output of a conversion" if path.is_dir() else "no such folder"
            raise StoreError(reason, path=str(path))
        if len(found) > 1:
            raise DataError(
                file=str(path), expected="the output of one conversion", got=f"{len(found)}: {_names(found)}"
            )
        path = found[0].parent
    return read_output(LocalPlace(path))


def read_output(place: Place) -> Output:
    """Read the manifest in a place. Raises DataError for one that is damaged or empty."""
    text = place.read(MANIFEST_NAME)
    try:
        manifest = Manifest.from_json(text)
    except (ValueError, KeyError, TypeError) as err:
        raise DataError(
            file=f"{place.where}/{MANIFEST_NAME}", expected="the manifest of a vecmill output", got=str(err)
        ) from err
    if not manifest.n_rows:
        raise DataError(file=f"{place.where}/{MANIFEST_NAME}", expected="rows to import", got="none")
    return Output(manifest, place)


def _names(paths: Iterable[Path]) -> str:
    names = [path.parent.name for path in paths]
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
