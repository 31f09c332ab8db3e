"""Import files, as a request names them: one file, or the NPY files of a set; where each of their entries is."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

from vecmill.manifest import FileEntry, Manifest
from vecmill.output_formats import ENDINGS, BulkFileType, check_separator
from vecmill.store.blob import Blob, BucketBlob, LocalBlob
from vecmill.store.notes import MANIFEST_NAME
from vecmill.store.place import FileStat, Place


@dataclass(frozen=True, slots=True)
class Entry:
    """A file by its name; ``blob`` is None when it is not there, ``listed`` what its manifest says of it.

    ``instead``: what there is without a blob.
    """

    name: str
    blob: Blob | None
    listed: FileEntry | None = None
    instead: str = "none"

    @property
    def base(self) -> str:
        """The name without folders."""
        return self.name.rpartition("/")[2]

    @property
    def ending(self) -> str:
        """The ending of the name, as the server looks at it."""
        return PurePosixPath(self.base).suffix

    @property
    def identity(self) -> str:
        """What a file on disk has but once, whatever it is called."""
        return os.path.realpath(self.name) if isinstance(self.blob, LocalBlob) else self.name

    @property
    def size(self) -> int:
        """Bytes."""
        return self.blob.size if self.blob is not None else 0


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """What the manifest of an output says of all its files: the schema, the options of CSV. Compared by identity.

    ``rows``: of all segments, ``told_rows`` by its head. ``name``: that of the manifest.
    """

    schema: Mapping[str, Any]
    sep: str = ","
    nullkey: str = ""
    rows: int = 0
    told_rows: int | None = None
    name: str = MANIFEST_NAME

    @classmethod
    def of(cls, manifest: Manifest, name: str) -> Origin:
        """Take it from a manifest. Raises ValueError for a separator that is none."""
        options = manifest.import_options
        sep, nullkey = str(options.get("sep", ",")), str(options.get("nullkey", ""))
        check_separator(sep)
        return cls(manifest.schema, sep, nullkey, manifest.n_rows, manifest.told_rows, name)


@dataclass(frozen=True, slots=True)
class ImportFile:
    """What one inner list of an import request names: one file, or the NPY files of a set.

    ``origin``, and ``rows`` of all its files, are those of its manifest, where it has one.
    """

    entries: tuple[Entry, ...]
    origin: Origin | None = None
    rows: int | None = None

    @property
    def form(self) -> BulkFileType | None:
        """The format by the first name that tells one; None without such."""
        return next((ENDINGS[entry.ending] for entry in self.entries if entry.ending in ENDINGS), None)

    @property
    def is_remote(self) -> bool:
        """Whether a part of it is in a bucket."""
        return any(isinstance(entry.blob, BucketBlob) for entry in self.entries)


@dataclass(slots=True)
class Inputs:
    """All import files, and the manifests of some; ``is_request``: as inner lists, of which one request is made.

    ``schema_file``: no data, though it lies in a folder of them.
    """

    files: list[ImportFile] = field(default_factory=list)
    origins: list[Origin] = field(default_factory=list)
    is_request: bool = False
    schema_file: Path | None = None

    def add_output(self, manifest: Manifest, entry: Callable[[str], Entry], name: str = MANIFEST_NAME) -> None:
        """Add what a manifest lists; ``entry`` looks up a path of it. Raises ValueError as `Origin.of` does."""
        origin = Origin.of(manifest, name)
        self.origins.append(origin)
        for segment in list(manifest.segments):
            listed = tuple(replace(entry(one.path), listed=one) for one in segment.files)
            if segment.files and segment.files[0].field is None:
                self.files += [ImportFile((one,), origin, segment.rows) for one in listed]
            else:
                self.files.append(ImportFile(listed, origin, segment.rows))


def look_up(place: Place, path: str, found: Mapping[str, FileStat] = MappingProxyType({})) -> Entry:
    """Return a file in a place; ``found`` is what is known to be there. Raises StoreError."""
    blob = place.blob_of(found[path]) if path in found else place.blob(path)
    return Entry(place.name(path), blob, instead="none" if blob is not None else place.instead(path))
