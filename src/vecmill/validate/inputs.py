"""What is to be checked: paths, folders, URLs, manifests or the lists of an import request -> import files."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from vecmill.errors import SchemaError, StoreError
from vecmill.manifest import Manifest
from vecmill.output_formats import ENDINGS
from vecmill.store.notes import MANIFEST_NAME, as_folder, noted_in, read_manifest
from vecmill.store.opening import open_file, open_place
from vecmill.store.place import FileStat, Place
from vecmill.store.url import disk_path
from vecmill.validate.entries import Entry, ImportFile, Inputs, look_up

_PACKED = (".gz", ".zst", ".bz2", ".xz", ".zip", ".lz4")
_NEARLY = (".pq", ".parq", ".npz", ".tsv")


def open_inputs(given: Any, schema_file: str | os.PathLike[str] | None = None) -> Inputs:
    """Return the import files that ``given`` stands for.

    Taken are a path or a URL (s3://, gs://, az://) of a file, of a folder of files or sets, of an output of a writer or
    its manifest; a list of them; a list of lists, as ``bulk_import(files=...)`` takes it. Several NPY files in one list
    are one set. ``schema_file`` is passed over in folders. Raises StoreError where nothing is (but what an inner list
    names may be missing), SchemaError for a URL of no known kind.
    """
    inputs = Inputs(schema_file=Path(schema_file).resolve() if schema_file is not None else None)
    if isinstance(given, str | os.PathLike):
        _expand(given, inputs)
        return inputs
    if isinstance(given, bytes) or not isinstance(given, Iterable):
        _checked(given)
    flat: list[Any] = []
    for one in given:
        if isinstance(one, str | os.PathLike):
            flat.append(one)
        elif isinstance(one, Iterable):
            inputs.is_request = True
            inputs.files.append(ImportFile(tuple(_entry(path) for path in one)))
        else:
            _checked(one)
    inputs.is_request |= not flat and not inputs.files
    arrays = [_is_array(one) for one in flat]
    inputs.files += _sets([_named(path) for path, is_array in zip(flat, arrays, strict=True) if is_array])
    for path, is_array in zip(flat, arrays, strict=True):
        if not is_array:
            _expand(path, inputs)
    return inputs


def _is_array(path: Any) -> bool:
    if not os.fspath(path).lower().endswith(".npy"):
        return False
    on_disk = disk_path(path)
    return on_disk is None or not on_disk.is_dir()


def _sets(entries: Sequence[Entry]) -> list[ImportFile]:
    """Group NPY files: one set, unless a name comes twice, which makes each folder a set."""
    if len({entry.base for entry in entries}) == len(entries):
        return [ImportFile(tuple(entries))] if entries else []
    folders: dict[str, list[Entry]] = {}
    for entry in entries:
        folders.setdefault(entry.name[: -len(entry.base)], []).append(entry)
    return [ImportFile(tuple(group)) for group in folders.values()]


def _checked(path: Any) -> Any:
    """Return what may be a path or a URL. Raises SchemaError, StoreError for all else."""
    if not isinstance(path, str | os.PathLike):
        raise SchemaError(f"expected a path, a URL or lists of them, got {type(path).__name__}")
    if path == "":
        raise StoreError("is no path", path="''")
    return path


def _entry(path: Any) -> Entry:
    return look_up(*open_file(_checked(path)))


def _named(path: Any) -> Entry:
    """Look up what was named alone. Raises StoreError if it is nowhere: that is no finding about data."""
    entry = _entry(path)
    if entry.blob is None:
        words = {"no file": "is no file", "none": "no such file or directory"}
        reason = words.get(entry.instead, "permission denied") if disk_path(path) is not None else "no such object"
        raise StoreError(reason, path=entry.name)
    return entry


def _expand(path: Any, inputs: Inputs) -> None:
    """Add what a path stands for: a file, an output of a writer, or a folder of files and outputs."""
    given = as_folder(_checked(path))
    is_file_name = PurePosixPath(given).suffix.lower() in ENDINGS
    on_disk = disk_path(given)
    is_file = not on_disk.is_dir() if on_disk is not None else is_file_name and _entry(given).blob is not None
    if is_file:
        inputs.files.append(ImportFile((_named(given),)))
        return
    place = open_place(given)
    manifest = read_manifest(place)
    try:
        found = {one.path: one for one in place.walk(links=True)}
    except StoreError:
        if on_disk is not None or not is_file_name:
            raise
        found = {}
    if manifest is not None:
        _add_output(manifest, place, found, inputs)
    elif not found and on_disk is None and PurePosixPath(given).suffix:  # a name such as v1.5 may be that of a folder
        inputs.files.append(ImportFile((_named(given),)))
    else:
        _add_folder(place, found, inputs)
    if not inputs.files and not any(origin.told_rows for origin in inputs.origins):
        raise StoreError(f"no file in it that could be imported: {', '.join(ENDINGS)}", path=place.where)


def _add_output(manifest: Manifest, place: Place, found: Mapping[str, FileStat], inputs: Inputs) -> None:
    name = place.notes.name(MANIFEST_NAME)
    try:
        inputs.add_output(manifest, partial(look_up, place, found=found), name)
    except ValueError as err:
        raise StoreError(f"cannot be read: {err}", path=name) from err


def _add_folder(place: Place, found: Mapping[str, FileStat], inputs: Inputs) -> None:
    """Add the outputs in a folder, and the files that belong to none."""
    noted = [folder for folder in map(noted_in, sorted(found, key=_natural)) if folder is not None]
    outputs = _outermost([folder for folder in noted if not _is_hidden(folder)])
    names = sorted((path for path in found if not _is_hidden(path)), key=_natural)
    for folder in outputs:
        output = place.child(folder)
        manifest = read_manifest(output)
        if manifest is not None:
            below = {
                path.removeprefix(f"{folder}/"): one for path, one in found.items() if path.startswith(f"{folder}/")
            }
            listed = {path: dataclasses.replace(one, path=path) for path, one in below.items()}
            _add_output(manifest, output, listed, inputs)
    covered = set(outputs)
    sets: dict[str, list[Entry]] = {}
    for name in names:
        path = PurePosixPath(name)
        folders = [str(folder) for folder in path.parents]
        if not covered.isdisjoint(folders):
            continue
        if path.suffix.lower() == ".npy":
            sets.setdefault(folders[0], []).append(look_up(place, name, found))
        elif _is_data(name) and path.name != MANIFEST_NAME and not _is_schema_file(place, name, inputs):
            inputs.files.append(ImportFile((look_up(place, name, found),)))
    inputs.files += [ImportFile(tuple(entries)) for entries in sets.values()]


def _is_schema_file(place: Place, name: str, inputs: Inputs) -> bool:
    return inputs.schema_file is not None and Path(place.name(name)).resolve() == inputs.schema_file


def _outermost(folders: Sequence[str]) -> list[str]:
    """Leave out folders in others: those of tasks, whose work the other one lists, or leaves out."""
    return [one for one in folders if set(folders).isdisjoint(map(str, PurePosixPath(one).parents))]


def _is_hidden(path: str) -> bool:
    """Whether nobody means to import it: ``.x``, ``_SUCCESS``. Not so ``_x.npy``, for a field may have that name."""
    *folders, name = PurePosixPath(path).parts
    if name.lower().endswith(".npy"):
        name = name.lstrip("_")
    return any(part.startswith((".", "_")) for part in (*folders, name))


def _is_data(name: str) -> bool:
    """Whether a file in a folder is one to import, or was meant to be: .parquet.gz, .PARQUET, .pq."""
    endings = [ending.lower() for ending in PurePosixPath(name).suffixes[-2:]]
    if endings and endings[-1] in _PACKED:
        endings.pop()
    return bool(endings) and endings[-1] in (*ENDINGS, *_NEARLY)


def _natural(path: Path | str) -> list[Any]:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", str(path))]
