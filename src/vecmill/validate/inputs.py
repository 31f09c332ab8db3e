"""What is to be checked: paths, folders, URLs, manifests or the lists of an import request -> import files."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from vecmill.blobs import Blob, BucketBlob, LocalBlob, closing
from vecmill.errors import DataError, SchemaError, StoreError
from vecmill.filetype import BulkFileType
from vecmill.manifest import FileEntry, Manifest
from vecmill.sinks.base import MANIFEST_NAME
from vecmill.sinks.bucket import Bucket, Transfer
from vecmill.sinks.connect import open_bucket
from vecmill.sinks.refusal import refusal
from vecmill.sinks.shared import BucketFolder, SharedFolder

ENDINGS: Mapping[str, BulkFileType] = {
    ".parquet": BulkFileType.PARQUET,
    ".npy": BulkFileType.NUMPY,
    ".json": BulkFileType.JSON,
    ".jsonl": BulkFileType.JSONL,
    ".ndjson": BulkFileType.JSONL,
    ".csv": BulkFileType.CSV,
}
_MANIFEST_BYTES = 64 * 1024 * 1024
_PACKED = (".gz", ".zst", ".bz2", ".xz", ".zip", ".lz4")
_NEARLY = (".pq", ".parq", ".npz", ".tsv")
_OWN = (MANIFEST_NAME, "convert.json")
_NO_SEPARATORS = '\0\r\n"\ufffd'


@dataclass(frozen=True, slots=True)
class Entry:
    """A file by its name; ``blob`` is None when it is not there, ``listed`` what its manifest says of it.

    ``instead``: what there is without a blob.
    """

    name: str
    blob: Blob | None
    listed: FileEntry | None = None
    instead: str = "none"

    @property
    def base(self) -> str:
        """The name without folders."""
        return self.name.rpartition("/")[2]

    @property
    def ending(self) -> str:
        """The ending of the name, as the server looks at it."""
        return PurePosixPath(self.base).suffix

    @property
    def identity(self) -> str:
        """What a file on disk has but once, whatever it is called."""
        return os.path.realpath(self.name) if isinstance(self.blob, LocalBlob) else self.name

    @property
    def size(self) -> int:
        """Bytes."""
        return self.blob.size if self.blob is not None else 0


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """What the manifest of an output says of all its files: the schema, the options of CSV. Compared by identity."""

    schema: Mapping[str, Any]
    sep: str = ","
    nullkey: str = ""

    @classmethod
    def of(cls, manifest: Manifest) -> Origin:
        """Take it from a manifest. Raises ValueError for a separator that is none."""
        options = manifest.import_options
        sep, nullkey = str(options.get("sep", ",")), str(options.get("nullkey", ""))
        check_separator(sep)
        return cls(manifest.schema, sep, nullkey)


def check_separator(sep: str) -> None:
    """Raise ValueError for what Go's CSV reader does not take as a separator."""
    if len(sep) != 1 or sep in _NO_SEPARATORS:
        raise ValueError(f"sep must be one character, and no quote or line end, got {sep!r}")


@dataclass(frozen=True, slots=True)
class ImportFile:
    """What one inner list of an import request names: one file, or the NPY files of a set.

    ``origin``, and ``rows`` of all its files, are those of its manifest, where it has one.
    """

    entries: tuple[Entry, ...]
    origin: Origin | None = None
    rows: int | None = None

    @property
    def form(self) -> BulkFileType | None:
        """The format by the first name; None for an unknown one."""
        return ENDINGS.get(self.entries[0].ending) if self.entries else None

    @property
    def is_remote(self) -> bool:
        """Whether a part of it is in a bucket."""
        return any(isinstance(entry.blob, BucketBlob) for entry in self.entries)


@dataclass(slots=True)
class Inputs:
    """All import files; ``is_request``: as inner lists, of which one request is made.

    ``schema_file``: no data, though it lies in a folder of them.
    """

    files: list[ImportFile] = field(default_factory=list)
    is_request: bool = False
    schema_file: Path | None = None

    def add_output(self, manifest: Manifest, entry: Callable[[str], Entry]) -> None:
        """Add what a manifest lists; ``entry`` looks up a path of it. Raises ValueError as `Origin.of` does."""
        origin = Origin.of(manifest)
        for segment in list(manifest.segments):
            listed = tuple(replace(entry(one.path), listed=one) for one in segment.files)
            if segment.files and segment.files[0].field is None:
                self.files += [ImportFile((one,), origin, segment.rows) for one in listed]
            else:
                self.files.append(ImportFile(listed, origin, segment.rows))


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
        return Entry(path, _object(bucket, store, bucket.prefix))
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


def local_entry(path: Path) -> Entry:
    """Look up a file on disk."""
    try:
        if not path.is_file():
            return Entry(str(path), None, instead="no file" if path.exists() else "none")
        if not os.access(path, os.R_OK):
            return Entry(str(path), None, instead="one that may not be read")
        return Entry(str(path), LocalBlob(path, path.stat().st_size))
    except (OSError, ValueError):  # a name with a NUL in it is no file either
        return Entry(str(path), None)


def object_entry(bucket: Bucket, store: Any, key: str) -> Entry:
    """Look up an object by what its store knows it by. Raises StoreError."""
    name = f"{bucket.url}/{'/'.join(filter(None, (bucket.hidden_prefix, key)))}"
    return Entry(name, _object(bucket, store, key))


def look_up_in(folder: SharedFolder) -> Callable[[str], Entry]:
    """Return what looks up a path in a folder on disk or in a bucket. It raises StoreError."""
    if isinstance(folder, BucketFolder):
        objects = folder.objects
        return lambda path: object_entry(objects.bucket, objects.store, objects.key(path))
    return lambda path: local_entry(Path(folder.address(path)))


def _open(url: str) -> tuple[Bucket, Any]:
    try:
        bucket = open_bucket(url)
    except ValueError as err:
        raise SchemaError(str(err)) from err
    return bucket, bucket.store(Transfer(), checksum=False)


def _object(bucket: Bucket, store: Any, key: str) -> Blob | None:
    try:
        return BucketBlob(bucket, key, int(store.head(key)["size"]), store)
    except FileNotFoundError:
        return None
    except Exception as err:
        raise refusal(err, f"{bucket.url}/{key}", bucket.secrets) from None


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
    if not inputs.files:
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
    if not inputs.files:
        raise StoreError(f"nothing there that could be imported: {', '.join(ENDINGS)}", path=url)


def _from_manifest(text: str, name: str, entry: Callable[[str], Entry], inputs: Inputs) -> None:
    try:
        inputs.add_output(Manifest.from_json(text), entry)
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
