"""Import files, as a request names them: one file, or the NPY files of a set; where each of their entries is."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from vecmill.filetype import ENDINGS, BulkFileType, check_separator
from vecmill.manifest import FileEntry, Manifest
from vecmill.store.blob import Blob, BucketBlob, LocalBlob
from vecmill.store.bucket import Bucket
from vecmill.store.place import BucketFolder, SharedFolder
from vecmill.store.refusal import refusal
from vecmill.store.sink import MANIFEST_NAME


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


def local_entry(path: Path) -> Entry:
    """Look up a file on disk."""
    try:
        if not path.is_file():
            return Entry(str(path), None, instead="no file" if path.exists() else "none")
        if not os.access(path, os.R_OK):
            return Entry(str(path), None, instead="one that may not be read")
        return Entry(str(path), LocalBlob(path, path.stat().st_size))
    except (OSError, ValueError):  # a name with a NUL in it is no file either
        return Entry(str(path), None)


def object_entry(bucket: Bucket, store: Any, key: str) -> Entry:
    """Look up an object by what its store knows it by. Raises StoreError."""
    name = f"{bucket.url}/{'/'.join(filter(None, (bucket.hidden_prefix, key)))}"
    return Entry(name, object_blob(bucket, store, key))


def look_up_in(folder: SharedFolder) -> Callable[[str], Entry]:
    """Return what looks up a path in a folder on disk or in a bucket. It raises StoreError."""
    if isinstance(folder, BucketFolder):
        objects = folder.objects
        return lambda path: object_entry(objects.bucket, objects.store, objects.key(path))
    return lambda path: local_entry(Path(folder.address(path)))


def object_blob(bucket: Bucket, store: Any, key: str) -> Blob | None:
    """Look up an object; None when it is not there. Raises StoreError."""
    try:
        return BucketBlob(bucket, key, int(store.head(key)["size"]), store)
    except FileNotFoundError:
        return None
    except Exception as err:
        raise refusal(err, f"{bucket.url}/{key}", bucket.secrets) from None
