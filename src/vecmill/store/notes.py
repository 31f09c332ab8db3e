"""What vecmill notes about a folder of files, and where: beside the folder ``x``, in ``_vecmill-x/``.

The folder of an output holds import files and nothing else, so that it can be imported as a whole. What is to be known
about them lies in the folder of notes: the manifest, the question of a conversion, the rows that it left out, the
journal of imports. This module alone knows the names.

The name of the folder begins otherwise than ``x``: a listing of a bucket by the prefix ``x`` has import files alone. It
begins with "_", which tells many tools that it holds no data.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from vecmill.errors import StoreError
from vecmill.manifest import FileEntry, Manifest

if TYPE_CHECKING:
    from vecmill.store.place import Place

_PREFIX = "_vecmill"
MANIFEST_NAME = "manifest.json"
RECORD_NAME = "convert.json"
REJECTS_NAME = "rejects.jsonl"
TASK_NAME = "task.json"
IMPORTS_NAME = "imports.json"

# What makes a path a pattern, or part of a file, to who opens it.
_NOT_IN_PATHS = frozenset("*?[]\\:\0")


def notes_name(folder: str) -> str:
    """Return the name of the folder of notes about the folder of this name ("": the bucket itself)."""
    return f"{_PREFIX}-{folder}" if folder else _PREFIX


def is_notes(name: str) -> bool:
    """Whether a folder of this name holds notes about the folder beside it."""
    return name == _PREFIX or name.startswith(f"{_PREFIX}-")


def noted_name(notes: str) -> str:
    """Return the name of the folder that the notes of this name are about; other names as they are."""
    return notes.removeprefix(_PREFIX).removeprefix("-") if is_notes(notes) else notes


def notes_path(root: Path) -> Path:
    """Return the folder of notes about a folder on a disk. Where a link leads to that, it is beside the folder."""
    # Path.is_symlink raises where a folder above may not be read.
    if os.path.islink(root) or root.name in ("", ".."):  # noqa: PTH114
        root = root.resolve()
    return root.parent / notes_name(root.name)


def as_folder(given: Any) -> Any:
    """Return the folder of an output that is named by its manifest or by its folder of notes; all else as it is."""
    if not isinstance(given, str | os.PathLike):
        return given
    text = os.fspath(given).rstrip("/")
    if text == MANIFEST_NAME:
        text = os.path.abspath(text)  # noqa: PTH100 - as a string, like all others
    above, slash, notes = text.removesuffix(f"/{MANIFEST_NAME}").rpartition("/")
    return f"{above}{slash}{noted_name(notes)}" if is_notes(notes) else given


def parse_manifest(text: str, name: str) -> Manifest:
    """Return the manifest that ``text`` holds. Raises StoreError, which names it ``name``, for any other text.

    Its paths lead to files below its folder and are no patterns.
    """
    try:
        manifest = Manifest.from_json(text)
        check_paths(manifest.files)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StoreError(f"cannot be read: {' '.join(str(error).split())}", path=name) from error
    return manifest


def check_paths(files: Iterable[FileEntry]) -> None:
    """Raise ValueError for a path that is not plain: see `is_plain_path`."""
    for one in files:
        if not is_plain_path(one.path):
            raise ValueError(f"{one.path!r} is not the path of a file below the folder")


def is_plain_path(path: str) -> bool:
    """Whether a path leads to a file below the folder that it begins at, and is no pattern."""
    return not any(part in ("", ".", "..") for part in path.split("/")) and _NOT_IN_PATHS.isdisjoint(path)


def read_manifest(place: Place) -> Manifest | None:
    """Return the manifest of a folder that vecmill wrote, None for any other. Raises StoreError for a damaged one."""
    text = place.notes.read_text(MANIFEST_NAME)
    return None if text is None else parse_manifest(text, place.notes.name(MANIFEST_NAME))


def outputs_below(place: Place) -> list[Place]:
    """Return the outputs that lie right in a folder, by name. Raises StoreError."""
    names = sorted(noted_name(name) for name in place.folders() if is_notes(name) and noted_name(name))
    found = [place.child(name) for name in names]
    return [one for one in found if one.notes.blob(MANIFEST_NAME) is not None]


def noted_in(path: str) -> str | None:
    """Return the folder that a path below some folder leads to the manifest of, None for all other paths."""
    where = PurePosixPath(path)
    if where.name != MANIFEST_NAME or not is_notes(where.parent.name):
        return None
    return str(where.parent.with_name(noted_name(where.parent.name) or "."))
