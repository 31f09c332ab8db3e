"""Continuing the output of a writer that ended early."""

from __future__ import annotations

from vecmill.errors import StoreError
from vecmill.manifest import Manifest
from vecmill.store.notes import parse_manifest
from vecmill.store.sink import Sink


def resumed_manifest(sink: Sink, new: Manifest) -> Manifest:
    """Return the manifest that is there, or ``new`` if there is none, and remove the files that it does not list.

    Raises StoreError if the manifest is not of the same export, or cannot be read.
    """
    text = sink.read_manifest()
    if text is None:
        sink.clear(())
        return new
    where = sink.manifest_name
    found = parse_manifest(text, where)
    for what, old, now in (
        ("file type", found.file_type, new.file_type),
        ("schema", found.schema, new.schema),
        ("config", found.import_options, new.import_options),
    ):
        if old != now:
            raise StoreError(f"cannot be resumed: its {what} is {old}, not {now}", path=where)
    if found.is_of_tasks:
        raise StoreError("cannot be resumed: tasks have written it, and it is complete", path=where)
    sink.clear({entry.path for entry in found.files})
    return found
