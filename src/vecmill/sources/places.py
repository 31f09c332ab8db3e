"""Paths as people write them -> the files they stand for: patterns, folders, parts of a file."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from vecmill.errors import DataError, StoreError
from vecmill.sources.base import SourceFile, names_text, natural_key, one_line
from vecmill.sources.kinds import FILE_KINDS, FileKind, by_ending, folder_kind, kind_named, kind_of
from vecmill.sources.partitions import is_key
from vecmill.sources.remote import AnyPath, objects_at
from vecmill.store.url import disk_path, in_bucket, is_url

# Folders beside the files of a table that tell which rows are live.
_LOGS = ("_delta_log", "metadata", ".hoodie")


def expand(path: str | os.PathLike[str], kind: str | None = None) -> list[SourceFile]:
    """Return the files that ``path`` stands for, in order, each with its kind.

    A path is a file, a folder, or a pattern (``*``, ``?``, ``[..]``, ``**``), whose files come in the order of their
    numbers; ``:part`` behind it names a part of every file. A folder stands for the files right in it that end like a
    kind that can be read, and for those of its folders ``name=value``; hidden ones and those that begin with ``_`` are
    left out. ``kind`` is taken in place of what the files look like.

    Raises DataError, StoreError.
    """
    given = None if kind is None else kind_named(kind)
    whole = os.fspath(path)
    if in_bucket(whole):
        return _in_bucket(whole, given)
    on_disk = disk_path(path)
    if on_disk is None:
        raise DataError(file=whole, expected="a path, or a URL of s3, gs, az or file", got="another URL")
    name, member = _split(str(on_disk) if is_url(whole) else whole)
    if Path(name).exists() or not glob.has_magic(name):
        return _files(Path(name), member, given)
    found = sorted(_matches(name), key=natural_key)
    if not found:
        raise StoreError("no file fits the pattern", path=name)
    _refuse_parts_of_tables(found)
    return [place for file in found for place in _files(file, member, given)]


def looks_like_arrays(name: str) -> bool:
    """Whether ``name`` is a path or a pattern of array files by its ending, or a folder, not the name of a column."""
    if name.endswith("/") or ("/" in name and Path(name).is_dir()):
        return True
    bare = name if by_ending(Path(name)) else name.partition(":")[0]
    kind = by_ending(Path(bare))
    return kind is not None and kind.arrays is not None


def _split(name: str) -> tuple[str, str]:
    """Return path and part. A colon may stand in a path, so what exists is no part."""
    end = len(name)
    while not Path(name[:end]).exists() and (end := name.rfind(":", 0, end)) >= 0:
        if Path(name[:end]).exists() or _matches(name[:end]):
            return name[:end], name[end:].strip(":/")
    return name, ""


def _matches(pattern: str) -> list[Path]:
    # Path.glob takes no pattern that is absolute.
    return [Path(name) for name in glob.glob(pattern, recursive=True)] if glob.has_magic(pattern) else []  # noqa: PTH207


def _refuse_parts_of_tables(files: Sequence[Path]) -> None:
    """Raise DataError for files of a table that also keeps files of rows that are no longer its own."""
    for folder in sorted({above for file in files if file.is_file() for above in file.parents}):
        inside: dict[str, AnyPath] = {name: folder / name for name in _LOGS if (folder / name).is_dir()}
        kind = next((kind for kind in FILE_KINDS if kind.is_folder is not None and kind.is_folder(inside)), None)
        if kind is not None:
            got = (
                f"files of a table ({kind.name}), which may hold rows that it no longer has; name its folder, {folder}"
            )
            raise DataError(file=str(files[0]), expected="files that are tables of their own", got=got)


def _in_bucket(url: str, given: FileKind | None) -> list[SourceFile]:
    places = [place for one in sorted(objects_at(url), key=natural_key) for place in _files(one, "", given)]
    for place in places:
        kind = kind_named(place.kind)
        if not (kind.in_bucket or kind.is_text):
            readable = [one.name for one in FILE_KINDS if one.in_bucket or one.is_text]
            expected = f"a file on disk (of objects, these kinds are read: {names_text(readable, most=99)})"
            raise DataError(file=str(place.path), expected=expected, got=f"a {kind.name} object")
    return places


def _files(path: AnyPath, member: str, given: FileKind | None) -> list[SourceFile]:
    with _store_errors(path):
        path.stat()
        if not path.is_dir():
            return [SourceFile(path, (given or kind_of(path)).name, member)]
        whole = given if given is not None and given.is_folder is not None else folder_kind(path)
        if whole is not None:
            return [SourceFile(path, whole.name, member)]
        inside = [p for p in path.iterdir() if not p.name.startswith((".", "_")) or is_key(p.name)]
        deeper = sorted((p for p in inside if is_key(p.name) and p.is_dir()), key=natural_key)
    found = _readable(path, inside, given, or_none=bool(deeper))
    return [place for p in (*found, *deeper) for place in _files(p, member, given)]


@contextmanager
def _store_errors(path: AnyPath) -> Iterator[None]:
    try:
        yield
    except StoreError:
        raise
    except OSError as err:
        raise StoreError((err.strerror or one_line(err)).lower(), path=str(path), errno=err.errno) from err


def _readable(
    folder: AnyPath, inside: Sequence[AnyPath], given: FileKind | None, *, or_none: bool = False
) -> list[AnyPath]:
    """Return what is to be read of what is right in a folder. Raises DataError if nothing is, unless ``or_none``."""
    # Spark and others leave "_SUCCESS" and ".part.crc" files beside the data.
    found = sorted((p for p in inside if _wanted(p, given)), key=natural_key)
    # Many folders of data have a JSON file beside them that tells about them.
    found = [p for p in found if given is not None or _kind_name(p) != "json"] or found
    if not found and not or_none:
        known = "/".join(kind.endings[0] for kind in ([given] if given else FILE_KINDS) if kind.endings)
        raise DataError(file=str(folder), expected=f"a folder of files that end in {known}", got="none of them in it")
    return found


def _kind_name(path: AnyPath) -> str | None:
    kind = by_ending(path)
    return None if kind is None else kind.name


def _wanted(path: AnyPath, given: FileKind | None) -> bool:
    kind = by_ending(path)
    if kind is None or (given is not None and kind is not given):
        return False
    return not path.is_dir() or folder_kind(path) is not None
