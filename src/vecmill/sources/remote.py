"""Paths of sources: files on disk, and objects in a bucket that answer to the same few methods.

Credentials, region and endpoint of a bucket come from the environment, as for `RemoteBulkWriter` with a URL.
"""

from __future__ import annotations

import os
import re
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from vecmill.errors import DataError, StoreError
from vecmill.store.blob import BlobFile, BucketBlob
from vecmill.store.bucket import Bucket, Transfer
from vecmill.store.connect import open_bucket
from vecmill.store.refusal import refusal

_URL = re.compile(r"(?:s3a?|gs|az|azure|abfss?|adl)://[^/]+")
_BLOCK_BYTES = 4 << 20
_BLOCKS_KEPT = 16  # 64 MiB: a few columns of a Parquet file are read in turns
_BLOCKS_AHEAD = 3
_SMALL_BYTES = 1 << 16
_GLOB = re.compile(r"\*\*/|\*\*|\*|\?|\[!?[^\]]+\]")


def is_url(path: object) -> bool:
    """Whether ``path`` is the URL of something in a bucket."""
    return isinstance(path, str) and _URL.match(path) is not None


@dataclass(frozen=True, slots=True)
class Stat:
    """What `ObjectPath.stat` tells."""

    st_size: int


@dataclass(frozen=True, slots=True)
class ObjectPath:
    """An object, or a folder of objects, by its URL: so much of `pathlib.Path` as sources ask for.

    ``size`` is None for a folder. ``version`` changes when the object does;
    ``modified`` is when that was, in seconds since 1970. Reads are refused once it is not the ``e_tag`` that was found.
    """

    url: str
    bucket: Bucket = field(repr=False, compare=False)
    store: Any = field(repr=False, compare=False)
    key: str = field(repr=False)
    size: int | None = None
    version: str = ""
    modified: float = 0.0
    e_tag: str | None = None

    def __str__(self) -> str:
        return self.url

    @property
    def name(self) -> str:
        """The last part of the key."""
        return PurePosixPath(self.key).name

    @property
    def stem(self) -> str:
        """The name without its ending."""
        return PurePosixPath(self.key).stem

    def is_dir(self) -> bool:
        """Whether objects lie behind it."""
        return self.size is None

    def stat(self) -> Stat:
        """Return its size."""
        return Stat(self.size or 0)

    def open(self, mode: str = "rb") -> AheadFile:
        """Open the object for reading."""
        assert mode == "rb"
        return AheadFile(BucketBlob(self.bucket, self.key, self.size or 0, self.store, self.e_tag))

    def iterdir(self) -> list[ObjectPath]:
        """Return the objects right in the folder. Raises StoreError."""
        folder = f"{self.key}/" if self.key else ""
        return [one for one in self.walk() if "/" not in one.key.removeprefix(folder)]

    def folders(self) -> list[ObjectPath]:
        """Return the folders right in this one. Raises StoreError."""
        try:
            prefixes = self.store.list_with_delimiter(self.key or None)["common_prefixes"]
        except Exception as err:
            raise refusal(err, self.url, self.bucket.secrets) from None
        keys = [prefix.rstrip("/") for prefix in prefixes]
        return [ObjectPath(f"{self.bucket.url}/{key}", self.bucket, self.store, key) for key in keys]

    def matching(self, pattern: str) -> list[ObjectPath]:
        """Return the objects whose keys fit a glob pattern that begins with this folder. Raises StoreError."""
        fits = re.compile(_pattern(pattern))
        return [one for one in self.walk() if fits.fullmatch(one.key)]

    def child(self, name: str) -> ObjectPath | None:
        """Return the object ``name`` in this folder; None if there is none. Raises StoreError."""
        return self._object(f"{self.key}/{name}" if self.key else name)

    def exact(self) -> ObjectPath | None:
        """Return the object of this very URL; None if there is none. Raises StoreError."""
        return self._object(self.key) if self.key else None

    def found(self) -> ObjectPath:
        """Return the object of this URL, or the folder. Raises StoreError where neither is."""
        found = self.exact()
        if found is None and not self.walk(first_page=True):
            raise StoreError("nothing of this name in the bucket", path=self.url)
        return self if found is None else found

    def _object(self, key: str) -> ObjectPath | None:
        try:
            return self._known(self.store.head(key))
        except FileNotFoundError:
            return None
        except Exception as err:
            raise refusal(err, f"{self.bucket.url}/{key}", self.bucket.secrets) from None

    def walk(self, *, first_page: bool = False) -> list[ObjectPath]:
        """Return all objects in the folder, or the first few. Raises StoreError."""
        found: list[ObjectPath] = []
        try:
            for page in self.store.list(self.key or None):
                found += map(self._known, page)
                if first_page:
                    break
        except Exception as err:
            raise refusal(err, self.url, self.bucket.secrets) from None
        return found

    def _known(self, meta: Any) -> ObjectPath:
        url, changed = f"{self.bucket.url}/{meta['path']}", meta["last_modified"]
        version = str(meta["e_tag"] or changed)
        return ObjectPath(
            url, self.bucket, self.store, meta["path"], int(meta["size"]), version, changed.timestamp(), meta["e_tag"]
        )


AnyPath = Path | ObjectPath


def object_path(url: str) -> ObjectPath:
    """Return the path of a URL; nothing is asked yet. Raises DataError for a URL that names no bucket."""
    try:
        bucket = open_bucket(url)
        store = bucket.store(Transfer(), checksum=False)
    except ValueError as err:
        raise DataError(file=url, expected="the URL of an object or a folder in a bucket", got=str(err)) from err
    return ObjectPath(url.rstrip("/"), bucket, store, bucket.prefix)


def any_path(path: str | os.PathLike[str]) -> AnyPath:
    """Return what ``path`` names: a file, or what lies in a bucket. Raises DataError, StoreError for the latter."""
    return object_path(path).found() if isinstance(path, str) and is_url(path) else Path(path)


def inside(folder: AnyPath, name: str) -> AnyPath | None:
    """Return the file ``name`` in a folder; None if there is none. Raises StoreError."""
    if isinstance(folder, Path):
        path = folder / name
        return path if path.is_file() else None
    return folder.child(name)


def subfolders(folder: AnyPath) -> Sequence[AnyPath]:
    """Return the folders right in a folder. Raises StoreError."""
    if not isinstance(folder, Path):
        return folder.folders()
    try:
        return [path for path in folder.iterdir() if path.is_dir()]
    except OSError as err:
        raise StoreError((err.strerror or "cannot be read").lower(), path=str(folder), errno=err.errno) from err


def objects_like(url: str) -> list[ObjectPath]:
    """Return the objects whose URLs fit a glob pattern. Raises DataError, StoreError."""
    start = _GLOB.search(url)
    assert start is not None
    folder = url[: url.rfind("/", 0, start.start())]
    root = object_path(folder)
    return root.matching(f"{root.key}{url[len(folder) :]}".lstrip("/"))


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


class AheadFile(BlobFile):
    """An object as a file that is fetched ahead, since a request to a bucket takes long before its first byte.

    It keeps blocks. Behind one that is read in order the next ones are under way. A short look at some place (a header,
    a footer) is a request of its own. For one thread.
    """

    def __init__(self, blob: BucketBlob) -> None:
        super().__init__(blob)
        self._object = blob
        self._blocks: OrderedDict[int, Future[bytes]] = OrderedDict()
        self._pool: ThreadPoolExecutor | None = None
        self._end = -1  # of the last read

    def readinto(self, out: Any) -> int:
        """Fill ``out``. Raises StoreError."""
        view = memoryview(out).cast("B")
        start, stop = self._at, min(self._at + len(view), self._object.size)
        if start >= stop:
            return 0
        in_order = start == self._end
        if not in_order and stop - start <= _SMALL_BYTES and start // _BLOCK_BYTES not in self._blocks:
            view[: stop - start] = self._whole(self._object.read(start, stop), stop - start)
        else:
            at = start
            while at < stop:
                number, offset = divmod(at, _BLOCK_BYTES)
                piece = memoryview(self._block(number, in_order or at > start))[offset : offset + stop - at]
                view[at - start : at - start + len(piece)] = piece
                at += len(piece)
        self._at = self._end = stop
        return stop - start

    def _block(self, number: int, in_order: bool) -> bytes:
        ahead = _BLOCKS_AHEAD if in_order or number - 1 in self._blocks else 0
        for one in range(number, number + ahead + 1):
            if one not in self._blocks and one * _BLOCK_BYTES < self._object.size:
                if self._pool is None:
                    self._pool = ThreadPoolExecutor(_BLOCKS_AHEAD, thread_name_prefix="vecmill-fetch")
                self._blocks[one] = self._pool.submit(self._object.read, one * _BLOCK_BYTES, (one + 1) * _BLOCK_BYTES)
        self._blocks.move_to_end(number)
        while len(self._blocks) > _BLOCKS_KEPT:
            self._blocks.popitem(last=False)[1].cancel()
        n_bytes = min(_BLOCK_BYTES, self._object.size - number * _BLOCK_BYTES)
        return self._whole(self._blocks[number].result(), n_bytes)

    def _whole(self, data: bytes, n_bytes: int) -> bytes:
        if len(data) != n_bytes:
            raise StoreError(f"is shorter than its {self._object.size} bytes", path=self._object.name)
        return data

    def close(self) -> None:
        """Let go of the blocks."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        self._blocks.clear()
        super().close()


@contextmanager
def arrow_file(path: AnyPath) -> Iterator[Any]:
    """Open for pyarrow: what its readers take as a source."""
    if isinstance(path, Path):
        yield path
        return
    with path.open() as file:
        yield file
