"""Opening a place by whatever names it: a path, a URL, connect parameters, an obstore store."""

from __future__ import annotations

import os
from typing import Any

from vecmill.store.bucket_place import open_bucket_place
from vecmill.store.local_place import LocalPlace
from vecmill.store.place import Place
from vecmill.store.transfer import Transfer
from vecmill.store.url import disk_path


def open_place(
    given: Any, prefix: str | os.PathLike[str] = "", *, transfer: Transfer | None = None, largest_bytes: int = 0
) -> Place:
    """Return the place that is named, be it there or not.

    Parameters
    ----------
    given: a path, ``file:///folder``, the URL of something in a bucket (``s3://bucket/prefix``, ``gs://``, ``az://``;
        credentials come from the environment), connect parameters, or an obstore store.
    prefix: a folder in that.
    transfer: how objects are sent.
    largest_bytes: about the bytes of the largest file that will be written.

    Raises SchemaError for what is none of them, StoreError where no client can be made.
    """
    path = disk_path(given)
    if path is not None:
        return LocalPlace(path / os.fspath(prefix).strip("/"))
    return open_bucket_place(given, prefix, transfer=transfer, largest_bytes=largest_bytes)


def open_file(given: Any) -> tuple[Place, str]:
    """Return the folder of the file that is named, and the name of the file in that. Raises as `open_place` does."""
    path = disk_path(given)
    return (LocalPlace(path.parent), path.name) if path is not None else open_bucket_place(given).above()
