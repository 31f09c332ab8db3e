"""The output of a writer, wherever it lies: its manifest, and its files as a server is told of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from vecmill.errors import DataError, StoreError
from vecmill.manifest import Manifest
from vecmill.output_formats import FORMATS, parse_file_type
from vecmill.store.notes import MANIFEST_NAME, as_folder, outputs_below, read_manifest
from vecmill.store.opening import open_place
from vecmill.store.place import Place
from vecmill.store.url import disk_path
from vecmill.validate.check import check_output
from vecmill.validate.report import ValidationReport


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


@dataclass(frozen=True, slots=True)
class Output:
    """What a writer left: its manifest, and the place of the files that this lists.

    ``as_urls``: the server reads URLs (Zilliz Cloud), not keys of its own bucket or paths of its own disk (Milvus).
    """

    manifest: Manifest
    place: Place
    as_urls: bool = False

    def files(self, address: Callable[[str], str] | None = None) -> list[ImportFile]:
        """Return the import files with the paths that the server is told."""
        return import_files(self.manifest, address or (self.place.name if self.as_urls else self.place.address))

    def check(self) -> None:
        """Look every file up. Raises DataError for the first one that is missing or has another size.

        The most common end of an import is a file that is not where the server looks for it; this finds it before there
        is a job.
        """
        for entry in self.manifest.files:
            blob = self.place.blob(entry.path)
            if blob is None or blob.size != entry.bytes:
                raise DataError(
                    file=entry.path,
                    expected=f"{entry.bytes:,} bytes in {self.place.where}, where the server will look",
                    got="no such file" if blob is None else f"{blob.size:,} bytes",
                )

    def validate(self, target: str | None) -> ValidationReport:
        """Look at headers, footers and first rows, as `vecmill.validate` does. Raises SchemaError, StoreError."""
        return check_output(self.manifest, self.place, target=target, level="headers")


def open_output(given: Any, *, as_urls: bool = False) -> Output:
    """Open the output that is given: the folder of a writer, its manifest, or a folder that holds just one of them.

    ``given`` is a path or a URL. Raises StoreError where there is no output, or a damaged one; DataError for several
    outputs, and for one without rows; SchemaError for a URL of no known kind.
    """
    path = disk_path(given)
    place = open_place(as_folder(given) if path is None else Path(as_folder(path)).resolve())
    manifest = read_manifest(place)
    if manifest is None:
        found = outputs_below(place)
        if not found:
            is_there = path is None or path.is_dir()
            raise StoreError(
                f"no output of a conversion: no {place.notes.where}/{MANIFEST_NAME}" if is_there else "no such folder",
                path=place.where,
            )
        if len(found) > 1:
            got = f"{len(found)}: {_names(found)}"
            raise DataError(file=place.where, expected="the output of one conversion", got=got)
        place = found[0]
        manifest = read_manifest(place)
    name = place.notes.name(MANIFEST_NAME)
    if manifest is None:
        raise StoreError("is gone", path=name)
    if not manifest.n_rows:
        raise DataError(file=name, expected="rows to import", got="none")
    return Output(manifest, place, as_urls)


def _names(places: Sequence[Place]) -> str:
    names = [PurePosixPath(place.where).name for place in places]
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
