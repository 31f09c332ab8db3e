"""Where a conversion writes: a folder of its own in ``dst``, on disk or in a bucket."""

from __future__ import annotations

import dataclasses
import os
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from vecmill.errors import SchemaError, StoreError
from vecmill.store.place import SharedFolder, disk_path, open_shared
from vecmill.validate.entries import look_up_in

if TYPE_CHECKING:
    from vecmill.schema.collection import CollectionSchema
    from vecmill.writer.api import BulkWriter
    from vecmill.writer.options import WriterOptions

PathLike = str | os.PathLike[str]


def destination(dst: PathLike) -> SharedFolder:
    """Return the folder that is written to. Raises SchemaError for a URL of another kind, StoreError for a file."""
    path = disk_path(dst)
    if path is not None and path.exists() and not path.is_dir():
        raise StoreError("is a file; name a folder", path=str(path))
    try:
        return open_shared(dst, largest_bytes=0)
    except ValueError as err:
        raise SchemaError(str(err)) from err


def child(dst: PathLike, name: str) -> PathLike:
    """Return the path or URL of a folder in ``dst``."""
    path = disk_path(dst)
    return f"{os.fspath(dst).rstrip('/')}/{name}" if path is None else path / name


def open_writer(
    dst: PathLike, begun: str | None, schema: CollectionSchema, options: WriterOptions
) -> tuple[BulkWriter, SharedFolder]:
    """Return a writer into a new folder in ``dst``, or into the one of that name that was ``begun``; and the folder.

    Raises SchemaError, StoreError.
    """
    from vecmill.writer.api import BulkWriter

    name = begun or str(uuid.uuid4())
    folder = open_shared(child(dst, name), transfer=options.transfer, largest_bytes=options.segment_size)
    options = dataclasses.replace(options, resume=begun is not None)
    return BulkWriter(schema, folder.sink(""), name, options, look_up=look_up_in(folder)), folder


def scratch_folder(dst: PathLike) -> Path:
    """Return an existing folder for what has to be put aside on the way: near ``dst`` where that is on disk."""
    path = disk_path(dst)
    if path is None:
        return Path(tempfile.gettempdir())
    return next(one for one in (path, *path.absolute().parents) if one.is_dir())
