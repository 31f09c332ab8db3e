"""The output of a writer in a bucket: read from there, looked up there, and named as servers want it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from vecmill.errors import SchemaError
from vecmill.store.bucket import Bucket, Transfer
from vecmill.store.connect import open_bucket
from vecmill.store.refusal import refusal
from vecmill.validate.entries import Entry, object_entry

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class BucketPlace:
    """A folder of a bucket. ``as_urls``: tell a server URLs (Zilliz Cloud), else keys in its own bucket (Milvus)."""

    bucket: Bucket
    store: Any = field(repr=False)
    as_urls: bool = False

    @property
    def where(self) -> str:
        """Bucket and prefix."""
        return self._url("").rstrip("/")

    def read(self, path: str) -> str:
        """Return a text object."""
        return self._do(path, lambda key: bytes(self.store.get(key).bytes()).decode())

    def size(self, path: str) -> int | None:
        """Return the bytes of an object by a HEAD request, None when it is not there."""
        return self._do(path, self._head)

    def entry(self, path: str) -> Entry:
        """Return an object for a look into it, by a HEAD request."""
        return object_entry(self.bucket, self.store, "/".join(filter(None, (self.bucket.prefix, path))))

    def address(self, path: str) -> str:
        """Return the key, or the URL."""
        return self._url(path) if self.as_urls else self._key(path)

    def _head(self, key: str) -> int | None:
        try:
            return int(self.store.head(key)["size"])
        except FileNotFoundError:
            return None

    def _key(self, path: str) -> str:
        return "/".join(filter(None, (self.bucket.hidden_prefix, self.bucket.prefix, path)))

    def _url(self, path: str) -> str:
        return f"{self.bucket.url}/{self._key(path)}"

    def _do(self, path: str, act: Callable[[str], T]) -> T:
        key = "/".join(filter(None, (self.bucket.prefix, path)))
        try:
            return act(key)
        except Exception as err:
            raise refusal(err, self._url(path), self.bucket.secrets) from None


def open_place(url: str, *, as_urls: bool = False) -> BucketPlace:
    """Open a folder of a bucket by its URL; credentials come from the environment. Raises SchemaError for no such URL.

    ``url`` may be that of the manifest in the folder.
    """
    try:
        bucket = open_bucket(url.removesuffix("/manifest.json"))
    except ValueError as err:
        raise SchemaError(str(err)) from err
    return BucketPlace(bucket, bucket.store(Transfer()), as_urls)
