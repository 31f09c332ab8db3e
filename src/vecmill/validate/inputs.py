"""What is to be checked: paths, folders, URLs, manifests or the lists of an import request -> import files."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from vecmill.errors import DataError, SchemaError, StoreError
from vecmill.filetype import ENDINGS
from vecmill.manifest import Manifest
from vecmill.store.blob import Blob, BucketBlob, LocalBlob, closing
from vecmill.store.bucket import Bucket, Transfer
from vecmill.store.connect import open_bucket
from vecmill.store.refusal import refusal
from vecmill.store.sink import MANIFEST_NAME
from vecmill.validate.entries import Entry, ImportFile, Inputs, local_entry, object_blob

_MANIFEST_BYTES = 64 * 1024 * 1024
_PACKED = (".gz", ".zst", ".bz2", ".xz", ".zip", ".lz4")
_NEARLY = (".pq", ".parq", ".npz", ".tsv")
_OWN = (MANIFEST_NAME, "convert.json")


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
        _place(given)
    flat: list[Any] = []
    for one in given:
        if isinstance(one, str | os.PathLike):
            flat.append(one)
        elif isinstance(one, Iterable):
            inputs.is_request = True
            inputs.files.append(ImportFile(tuple(_entry(path) for path in one)))
        else:
            _place(one)
    inputs.is_request |= not flat and not inputs.files
    arrays = [_is_array(one) for one in flat]
    inputs.files += _sets([_named(path) for path, is_array in zip(flat, arrays, strict=True) if is_array])
    for path, is_array in zip(flat, arrays, strict=True):
        if not is_array:
            _expand(path, inputs)
    return inputs


def _is_array(path: Any) -> bool:
    return os.fspath(path).lower().endswith(".npy") and (_is_url(path) or not Path(path).is_dir())


def _sets(entries: Sequence[Entry]) -> list[ImportFile]:
    """Group NPY files: one set, unless a name comes twice, which makes each folder a set."""
    if len({entry.base for entry in entries}) == len(entries):
        return [ImportFile(tuple(entries))] if entries else []
    folders: dict[str, list[Entry]] = {}
    for entry in entries:
        folders.setdefault(entry.name[: -len(entry.base)], []).append(entry)
    return [ImportFile(tuple(group)) for group in folders.values()]


def _is_url(path: object) -> bool:
    return isinstance(path, str) and re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", path) is not None


def _place(path: Any) -> Any:
    """Return a path for a file:// URL, other paths as they are. Raises SchemaError, StoreError for what is none."""
    if not isinstance(path, str | os.PathLike):
        raise SchemaError(f"expected a path, a URL or lists of them, got {type(path).__name__}")
    if isinstance(path, str) and path.startswith("file://"):
        path = unquote(urlsplit(path).path)
    if path == "":
        raise StoreError("is no path", path="''")
    return path


def _entry(path: Any) -> Entry:
    path = _place(path)
    if _is_url(path):
        bucket, store = _open(path)
        return Entry(path, object_blob(bucket, store, bucket.prefix))
    return local_entry(Path(path))


def _named(path: Any) -> Entry:
    """Look up what was named alone. Raises StoreError if it is nowhere: that is no finding about data."""
    entry = _entry(path)
    if entry.blob is None:
        if _is_url(path):
            raise StoreError("no such object", path=entry.name)
        words = {"no file": "is no file", "none": "no such file or directory"}
        raise StoreError(words.get(entry.instead, "permission denied"), path=entry.name)
    return entry


def _open(url: str) -> tuple[Bucket, Any]:
    try:
        bucket = open_bucket(url)
    except ValueError as err:
        raise SchemaError(str(err)) from err
    return bucket, bucket.store(Transfer(), checksum=False)


def _expand(path: Any, inputs: Inputs) -> None:
    path = _place(path)
    if _is_url(path):
        _expand_url(path, inputs)
        return
    here = Path(path)
    if here.name == MANIFEST_NAME and here.is_file():
        _from_manifest_at(here, inputs)
        return
    if not here.is_dir():
        inputs.files.append(ImportFile((_named(path),)))
        return
    names = sorted(_files_in(here), key=_natural)
    manifests = _outermost(
        [name for name in names if PurePosixPath(name).name == MANIFEST_NAME and _is_ours(_local_blob(here / name))]
    )
    for name in manifests:
        _from_manifest_at(here / name, inputs)
    _from_folder([here / name for name in names], [(here / name).parent for name in manifests], inputs)
    if not inputs.files and not any(origin.told_rows for origin in inputs.origins):
        raise StoreError(f"no file in it that could be imported: {', '.join(ENDINGS)}", path=str(here))


def _files_in(top: Path) -> Iterator[str]:
    """Yield what is in a folder and those in it, by paths from there. Raises StoreError for one that cannot be read."""

    def refuse(error: OSError) -> None:
        raise StoreError((error.strerror or str(error)).lower(), path=str(error.filename), errno=error.errno)

    root = top.resolve()
    seen = {root}

    def is_new(path: Path) -> bool:
        real = path.resolve()
        # A link to what is met anyway is no second copy of it.
        if real in seen or (path.is_symlink() and real.is_relative_to(root)):
            return False
        seen.add(real)
        return True

    for folder, folders, files in os.walk(top, onerror=refuse, followlinks=True):
        folders[:] = [name for name in folders if not _is_hidden(name) and is_new(Path(folder, name))]
        for name in files:
            path = Path(folder, name)
            if not _is_hidden(name) and path.is_file():
                yield str(path.relative_to(top))


def _outermost(manifests: Sequence[str]) -> list[str]:
    """Leave out manifests in folders that another one covers: of tasks whose work that one lists, or leaves out."""
    folders = {str(PurePosixPath(name).parent) for name in manifests}
    return [name for name in manifests if folders.isdisjoint(map(str, PurePosixPath(name).parents[1:]))]


def _local_blob(path: Path) -> LocalBlob:
    return LocalBlob(path, path.stat().st_size)


def _from_manifest_at(path: Path, inputs: Inputs) -> None:
    _from_manifest(_manifest_text(_local_blob(path)), str(path), lambda name: local_entry(path.parent / name), inputs)


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


def _from_folder(paths: Sequence[Path], covered: Sequence[Path], inputs: Inputs) -> None:
    sets: dict[Path, list[Entry]] = {}
    roots = set(covered)
    for path in paths:
        if not roots.isdisjoint(path.parents):
            continue
        if path.suffix.lower() == ".npy":
            sets.setdefault(path.parent, []).append(_entry(path))
        elif _is_data(path.name) and path.name not in _OWN and path.resolve() != inputs.schema_file:
            inputs.files.append(ImportFile((_entry(path),)))
    inputs.files += [ImportFile(tuple(entries)) for entries in sets.values()]


def _expand_url(url: str, inputs: Inputs) -> None:
    bucket, store = _open(url)
    name = PurePosixPath(bucket.prefix)

    def take_as_file() -> None:
        inputs.files.append(ImportFile((_named(url),)))

    is_file_name = name.suffix.lower() in ENDINGS and name.name != MANIFEST_NAME
    if is_file_name and _entry(url).blob is not None:
        take_as_file()
        return
    root = bucket.prefix.removesuffix(MANIFEST_NAME).rstrip("/")
    found: dict[str, int] = {}
    try:
        for page in store.list(root or None):
            found |= {one["path"]: int(one["size"]) for one in page}
    except Exception as err:
        if not is_file_name:
            raise refusal(err, url, bucket.secrets) from None
    if not found and name.suffix and name.name != MANIFEST_NAME:  # a name such as v1.5 may be that of a folder
        take_as_file()
        return

    def entry(key: str, base: str = "") -> Entry:
        key = base + key
        blob = BucketBlob(bucket, key, found[key], store) if key in found else None
        return Entry(f"{bucket.url}/{key}", blob)

    keys = [key for key in sorted(found, key=_natural) if not _is_hidden(key.removeprefix(root).lstrip("/"))]
    named = [key for key in keys if PurePosixPath(key).name == MANIFEST_NAME]
    manifests = _outermost([key for key in named if _is_ours(BucketBlob(bucket, key, found[key], store))])
    for key in manifests:
        base = key.removesuffix(MANIFEST_NAME)
        text = _manifest_text(BucketBlob(bucket, key, found[key], store))
        _from_manifest(text, f"{bucket.url}/{key}", partial(entry, base=base), inputs)
    bases = tuple(key.removesuffix(MANIFEST_NAME) for key in manifests)
    sets: dict[str, list[Entry]] = {}
    for key in keys:
        path = PurePosixPath(key)
        ending = path.suffix.lower()
        if key.startswith(bases) or not _is_data(key) or path.name in _OWN:
            continue
        if ending == ".npy":
            sets.setdefault(key.rpartition("/")[0], []).append(entry(key))
        else:
            inputs.files.append(ImportFile((entry(key),)))
    inputs.files += [ImportFile(tuple(entries)) for entries in sets.values()]
    if not inputs.files and not any(origin.told_rows for origin in inputs.origins):
        raise StoreError(f"nothing there that could be imported: {', '.join(ENDINGS)}", path=url)


def _from_manifest(text: str, name: str, entry: Callable[[str], Entry], inputs: Inputs) -> None:
    try:
        inputs.add_output(Manifest.from_json(text), entry, name)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as err:
        raise DataError(file=name, expected="the manifest of a vecmill output", got=str(err)) from err


def _is_ours(blob: Blob) -> bool:
    """Whether a file of this name is a manifest, be it a broken one. Other tools write such files too."""
    text = _manifest_text(blob)
    if "vecmill_manifest" in text:
        return True
    try:
        return not isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return True


def _manifest_text(blob: Blob) -> str:
    """Return the text of a manifest, as far as it is one. Raises StoreError."""
    with closing(blob):
        return blob.read(0, _MANIFEST_BYTES).decode(errors="replace")
