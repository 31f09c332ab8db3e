"""Paths of sources: files on disk, and objects in a bucket that answer to the same few methods.

Credentials, region and endpoint of a bucket come from the environment, as for `RemoteBulkWriter` with a URL.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from vecmill.errors import DataError, SchemaError, StoreError
from vecmill.store.blob import AheadFile
from vecmill.store.bucket_place import BucketPlace, open_bucket_place
from vecmill.store.place import FileStat

_GLOB = re.compile(r"\*\*/|\*\*|\*|\?|\[!?[^\]]+\]")


@dataclass(frozen=True, slots=True)
class Stat:
    """What `ObjectPath.stat` tells."""

    st_size: int


@dataclass(frozen=True, slots=True)
class ObjectPath:
    """An object, or a folder of objects, by its URL: so much of `pathlib.Path` as sources ask for.

    ``place`` is the folder itself, or the one that the object is in; ``facts`` are those of the object, None for a
    folder. Reads are refused once another version of the object is there.
    """

    url: str
    place: BucketPlace = field(repr=False, compare=False)
    facts: FileStat | None = None

    def __str__(self) -> str:
        return self.url

    @property
    def name(self) -> str:
        """The last part of the key."""
        return PurePosixPath(self.url).name

    @property
    def stem(self) -> str:
        """The name without its ending."""
        return PurePosixPath(self.url).stem

    @property
    def version(self) -> str:
        """What changes when the object does."""
        return self.facts.version if self.facts is not None else ""

    def is_dir(self) -> bool:
        """Whether objects lie behind it."""
        return self.facts is None

    def stat(self) -> Stat:
        """Return its size."""
        return Stat(self.facts.size if self.facts is not None else 0)

    def open(self, mode: str = "rb") -> AheadFile:
        """Open the object for reading."""
        assert mode == "rb" and self.facts is not None
        return AheadFile(self.place.blob_of(self.facts, same=True))

    def iterdir(self) -> list[ObjectPath]:
        """Return the objects and the folders right in the folder. Raises StoreError."""
        folders = [ObjectPath(f"{self.url}/{name}", self.place.child(name)) for name in self.place.folders()]
        return [*folders, *(_object(self.place, found) for found in self.place.files())]


AnyPath = Path | ObjectPath


def objects_at(url: str) -> list[ObjectPath]:
    """Return the object or the folder of a URL, or the objects whose URLs fit it, where it is a glob pattern.

    Raises DataError for a URL that names no bucket, StoreError where nothing is.
    """
    place = _place(url)
    folder, name = place.above()
    found = folder.stat(name) if name else None
    if found is not None:
        return [_object(folder, found)]
    if has_pattern(url):
        matching = _matching(url)
        if not matching:
            raise StoreError("no object fits the pattern", path=url)
        return matching
    if next(place.walk(), None) is None:
        raise StoreError("nothing of this name in the bucket", path=url)
    return [ObjectPath(url.rstrip("/"), place)]


def _matching(url: str) -> list[ObjectPath]:
    """Return the objects whose URLs fit a glob pattern."""
    start = _GLOB.search(url)
    assert start is not None
    folder = url[: url.rfind("/", 0, start.start())]
    root, fits = _place(folder), re.compile(_pattern(url[len(folder) + 1 :]))
    return [_object(root, found) for found in root.walk() if fits.fullmatch(found.path)]


def _place(url: str) -> BucketPlace:
    try:
        return open_bucket_place(url)
    except SchemaError as err:
        raise DataError(file=url, expected="the URL of an object or a folder in a bucket", got=str(err)) from err


def _object(place: BucketPlace, found: FileStat) -> ObjectPath:
    return ObjectPath(place.name(found.path), place, found)


def has_pattern(url: str) -> bool:
    """Whether a URL is a glob pattern."""
    return _GLOB.search(url) is not None


def _pattern(glob: str) -> str:
    """Return the regular expression of a glob pattern; ``**`` stands for folders of any depth."""
    words = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts, at = [], 0
    for found in _GLOB.finditer(glob):
        parts.append(re.escape(glob[at : found.start()]))
        parts.append(words.get(found[0]) or found[0].replace("[!", "[^"))
        at = found.end()
    return "".join([*parts, re.escape(glob[at:])])


@contextmanager
def arrow_file(path: AnyPath) -> Iterator[Any]:
    """Open for pyarrow: what its readers take as a source."""
    if isinstance(path, Path):
        yield path
        return
    with path.open() as file:
        yield file
