"""A folder in a bucket, as a place."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from typing import Any

from vecmill.errors import StoreError
from vecmill.store.blob import BucketBlob
from vecmill.store.bucket_manifest import BucketManifest
from vecmill.store.connect import ConnectParam, open_bucket
from vecmill.store.notes import notes_name
from vecmill.store.object_sink import ObjectSink
from vecmill.store.objects import Objects, join_key
from vecmill.store.place import FileStat
from vecmill.store.sink import Sink
from vecmill.store.transfer import Transfer

log = logging.getLogger(__name__)

_AT_ONCE = 16


class BucketPlace:
    """A folder in a bucket; see `vecmill.store.place.Place`. ``objects``: how its objects are asked for."""

    def __init__(self, objects: Objects) -> None:
        self.objects = objects

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.where!r})"

    @property
    def where(self) -> str:
        """The URL."""
        return self.objects.where.rstrip("/")

    @property
    def notes(self) -> BucketPlace:
        """The folder of notes."""
        return BucketPlace(self.objects.beside(notes_name))

    def name(self, path: str) -> str:
        """Return the URL of an object."""
        return f"{self.where}/{path}"

    def address(self, path: str) -> str:
        """Return the key of an object, as the bucket has it."""
        return join_key(self.objects.address_prefix, path)

    def above(self) -> tuple[BucketPlace, str]:
        """Return the folder that this one is in, and the name that it has there."""
        objects, name = self.objects.above()
        return BucketPlace(objects), name

    def child(self, path: str) -> BucketPlace:
        """Return a folder in this one, which shares its client."""
        return BucketPlace(self.objects.below(path))

    def blob(self, path: str) -> BucketBlob | None:
        """Return an object for reading, by a HEAD request."""
        found = self.stat(path)
        return None if found is None else self.blob_of(found)

    def blob_of(self, found: FileStat, *, same: bool = False) -> BucketBlob:
        """Return an object that was found. ``same``: reading refuses any other version of it."""
        objects = self.objects
        e_tag = found.e_tag if same else None
        return BucketBlob(objects.bucket, objects.key(found.path), found.size, objects.store, e_tag)

    def stat(self, path: str) -> FileStat | None:
        """Return the facts of an object, None where there is none."""
        try:
            return self._stat(self.objects.store.head(self.objects.key(path)))
        except FileNotFoundError:
            return None
        except Exception as error:
            raise self.objects.refusal(error, path) from None

    def instead(self, path: str) -> str:
        """Return what is where no object is."""
        del path
        return "none"

    def read_text(self, path: str) -> str | None:
        """Return the text of an object."""
        try:
            return bytes(self.objects.store.get(self.objects.key(path)).bytes()).decode()
        except FileNotFoundError:
            return None
        except UnicodeDecodeError as error:
            raise StoreError(f"is no UTF-8 text: {error.reason}", path=self.name(path)) from error
        except Exception as error:
            raise self.objects.refusal(error, path) from None

    def put_text(self, path: str, text: str) -> None:
        """Put a text."""
        data = text.encode()
        self.objects.put_again(path, [data], len(data))

    def put_manifest(self, text: str, *, known: str | None) -> None:
        """Put the manifest on a condition, where the store knows such."""
        manifest = BucketManifest(self.objects)
        found = manifest.read()
        if found == text:
            return
        if found != known:
            raise StoreError("another export has put it meanwhile", path=manifest.name)
        if found is None:
            manifest.create(text)
        else:
            manifest.replace(text)

    def folders(self) -> list[str]:
        """Return what stands between the prefix of the folder and the next slash."""
        root = self.objects.key("")
        return [prefix.rstrip("/").removeprefix(root) for prefix in self._level()["common_prefixes"]]

    def files(self) -> list[FileStat]:
        """Return the objects right in this folder."""
        return [self._stat(one) for one in self._level()["objects"]]

    def _level(self) -> Any:
        try:
            return self.objects.store.list_with_delimiter(self.objects.key("").rstrip("/") or None)
        except Exception as error:
            raise self.objects.refusal(error, "") from None

    def walk(self, path: str = "", *, links: bool = False) -> Iterator[FileStat]:
        """Yield all objects."""
        del links
        try:
            for page in self.objects.store.list(self.objects.key(path).rstrip("/") or None, chunk_size=1000):
                yield from map(self._stat, page)
        except Exception as error:
            raise self.objects.refusal(error, path) from None

    def _stat(self, meta: Any) -> FileStat:
        changed, e_tag = meta["last_modified"], meta["e_tag"]
        path = meta["path"].removeprefix(self.objects.key(""))
        return FileStat(path, int(meta["size"]), str(e_tag or changed), changed.timestamp(), e_tag)

    def claim(self, path: str) -> None:
        """Do nothing: a writer begins with a manifest, on the condition that there is none."""

    def clear(self, folders: Iterable[str], keep: Collection[str] = ()) -> None:
        """Delete objects."""
        chosen = {folder.rstrip("/") for folder in folders}

        def is_left(path: str) -> bool:
            return path not in keep and any(str(above) in chosen for above in PurePosixPath(path).parents)

        try:
            gone = [found.path for found in self.walk() if is_left(found.path)]
        except StoreError as error:
            log.warning("%s: cannot be looked at: %s", error.path, error.reason)
            return

        def remove(path: str) -> None:
            try:
                self.objects.delete([path])
            except StoreError as error:
                log.warning("%s: cannot be removed: %s", error.path, error.reason)

        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="vecmill-clear") as pool:
            list(pool.map(remove, gone))

    def delete(self, paths: Iterable[str]) -> None:
        """Delete objects."""
        self.objects.delete(list(paths))

    def sink(self) -> Sink:
        """Return what a writer fills the folder through."""
        return ObjectSink(self.objects)


def open_bucket_place(
    connect: ConnectParam,
    prefix: str | os.PathLike[str] = "",
    *,
    transfer: Transfer | None = None,
    largest_bytes: int = 0,
) -> BucketPlace:
    """Return a folder in the bucket that is named; ``file://`` is a bucket too here. See `open_place`."""
    folder = os.fspath(prefix).strip("/")
    return BucketPlace(Objects(open_bucket(connect), folder, transfer or Transfer(), largest_bytes))
