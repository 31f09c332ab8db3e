"""The table of kinds of files: how each is recognised, and which module reads it.

A kind is told by how a file begins, then by the ending of its name. There are three families. Files of a *table* kind
have named columns; several follow one another. A file of an *array* kind holds arrays, each of
which is a column. Files of *text* have rows of named values, whose types are found in the first rows; `text.files`
reads them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vecmill.errors import DataError, StoreError
from vecmill.sources.arrays import Array
from vecmill.sources.base import SourceFile, names_text, one_line
from vecmill.sources.faiss import MAGICS as FAISS_MAGICS
from vecmill.sources.remote import AnyPath
from vecmill.sources.tables import Table

HEAD_BYTES = 4096
"""Bytes at the beginning of a file that are read to tell its kind."""


Tables = Callable[[Sequence[SourceFile]], Sequence[Table]]
"""Places -> tables, which follow one another. Raises DataError and StoreError."""

Arrays = Callable[[Any, str], dict[str, Array]]
"""(path, member) -> arrays by name; member "": all of them. Raises DataError and StoreError."""


Values = Callable[[Any, Sequence[str]], Iterator[np.ndarray[Any, Any]]]
"""(path, names of arrays) -> the values of each. Raises DataError and StoreError."""


@dataclass(frozen=True, slots=True)
class FileKind:
    """One kind of file.

    Attributes
    ----------
    name: the word of ``kind=`` and ``--kind``.
    endings: of file names, in lower case.
    begins: given the first 4 KiB of a file, return True if it is of this kind. None: the first bytes tell nothing.
    is_folder: given what is in a folder, by name, return True if it is of this kind as a whole. None: only files are.
    tables: loads the function that reads a table kind.
    arrays: loads the function that reads an array kind. Text kinds have neither.
    keyed: loads the function that returns the arrays of a file by their keys, where these are not the names of arrays.
    values: loads the function (path, names of arrays) -> their values in turn, where opening a file takes time.
    single: True if a file holds exactly one array, named after the file.
    is_text: True for text, which may be packed (``.gz``, ``.zst``).
    in_bucket: True if objects of this kind are read where they lie. Text always is.
    """

    name: str
    endings: tuple[str, ...]
    begins: Callable[[bytes], bool] | None = None
    is_folder: Callable[[Mapping[str, AnyPath]], bool] | None = None
    tables: Callable[[], Tables] | None = None
    arrays: Callable[[], Arrays] | None = None
    keyed: Callable[[], Arrays] | None = None
    values: Callable[[], Values] | None = None
    single: bool = False
    is_text: bool = False
    in_bucket: bool = False


def kind_named(name: str) -> FileKind:
    """Return the kind of that name. Raises DataError."""
    found = next((kind for kind in FILE_KINDS if kind.name == name), None)
    if found is None:
        raise DataError(
            expected=f"a kind of source: {names_text([k.name for k in FILE_KINDS], most=99)}", got=repr(name)
        )
    return found


def kind_of(path: AnyPath) -> FileKind:
    """Return the kind of a file by its first bytes, or else by its ending. Raises DataError, StoreError."""
    head = _head(path)
    found = next((kind for kind in FILE_KINDS if kind.begins is not None and kind.begins(head)), None) or by_ending(
        path
    )
    if found is None and (name := _kind_of_text(path)) is not None:
        found = kind_named(name)
    if found is None:
        got = f"a file that begins with {head[:8]!r}" if head else "an empty file"
        expected = f"a file of a kind that can be read, or its kind (--kind, kind=): {names_text(_NAMES, most=99)}"
        raise DataError(file=str(path), expected=expected, got=got)
    return found


def by_ending(path: AnyPath) -> FileKind | None:
    """Return the kind that a name ends like, or None."""
    name = path.name.lower()
    return next((kind for kind in FILE_KINDS if name.endswith(kind.endings) and kind.endings), None)


def folder_kind(path: AnyPath) -> FileKind | None:
    """Return the kind that a folder is one of as a whole, or None for a folder of files. Raises OSError, StoreError."""
    inside = {one.name: one for one in path.iterdir()}
    return next((kind for kind in FILE_KINDS if kind.is_folder is not None and kind.is_folder(inside)), None)


def _kind_of_text(path: AnyPath) -> str | None:
    from vecmill.sources.text.headers import kind_of_bytes
    from vecmill.sources.text.stream import TextInput

    return kind_of_bytes(TextInput(path))


def _head(path: AnyPath) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(HEAD_BYTES)
    except StoreError:
        raise
    except OSError as err:
        raise StoreError((err.strerror or one_line(err)).lower(), path=str(path), errno=err.errno) from err


def _packed(*endings: str) -> tuple[str, ...]:
    return tuple(ending + packing for ending in endings for packing in ("", ".gz", ".zst", ".zstd"))


def _parquet() -> Tables:
    from vecmill.sources import parquet

    return parquet.tables


def _arrow() -> Tables:
    from vecmill.sources import ipc

    return ipc.tables


def _lance() -> Tables:
    from vecmill.sources import lance

    return lance.tables


def _delta() -> Tables:
    from vecmill.sources import delta

    return delta.tables


def _iceberg() -> Tables:
    from vecmill.sources import iceberg

    return iceberg.tables


def _no_hudi(places: Sequence[SourceFile]) -> Sequence[Table]:
    raise DataError(
        file=str(places[0].path),
        expected="a table whose files are its rows",
        got="a Hudi table, whose files hold older rows too; write its rows to Parquet with Spark",
    )


def _faiss() -> Arrays:
    from vecmill.sources import faiss

    return faiss.arrays


def _npy() -> Arrays:
    from vecmill.sources import npy

    return npy.arrays


def _npz() -> Arrays:
    from vecmill.sources import npz

    return npz.arrays


def _hdf5() -> Arrays:
    from vecmill.sources import hdf5

    return hdf5.arrays


def _hdf5_keyed() -> Arrays:
    from vecmill.sources import hdf5

    return hdf5.keyed


def _hdf5_values() -> Values:
    from vecmill.sources import hdf5

    return hdf5.values


def _npz_values() -> Values:
    from vecmill.sources import npz

    return npz.values


def _safetensors_values() -> Values:
    from vecmill.sources import safetensors

    return safetensors.values


def _safetensors() -> Arrays:
    from vecmill.sources import safetensors

    return safetensors.arrays


def _torch() -> Arrays:
    from vecmill.sources import torchfile

    return torchfile.arrays


def _vecs(kind: str) -> Arrays:
    from vecmill.sources import vecs

    return functools.partial(vecs.arrays, kind=kind)


def _starts(*magics: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(magics)


def _is_npz(head: bytes) -> bool:
    # A ZIP archive whose first member is an NPY file; other archives begin like that, too (torch, docx).
    name_bytes = int.from_bytes(head[26:28], "little")
    return head.startswith(b"PK\x03\x04") and head[30 : 30 + name_bytes].endswith(b".npy")


def _is_torch(head: bytes) -> bool:
    # A ZIP archive whose first member is the structure.
    name_bytes = int.from_bytes(head[26:28], "little")
    return head.startswith(b"PK\x03\x04") and head[30 : 30 + name_bytes].endswith(b"/data.pkl")


def _is_safetensors(head: bytes) -> bool:
    # The length of the header, then the header: a JSON object.
    return head[8:9] == b"{" and 2 <= int.from_bytes(head[:8], "little") < 1 << 27 and head[9:10] in (b'"', b"}", b" ")


def _is_arrow(head: bytes) -> bool:
    # A stream begins with a marker, the length of the schema, and where in it its flatbuffer has its root.
    length, root = (int.from_bytes(head[i : i + 4], "little") for i in (4, 8))
    stream = head.startswith(b"\xff\xff\xff\xff") and 32 <= length < 1 << 24 and length % 8 == 0 and 4 <= root < 64
    return stream or head.startswith((b"ARROW1", b"FEA1"))


def _is_word2vec(kind: str) -> Callable[[bytes], bool]:
    def begins(head: bytes) -> bool:
        if not b"1" <= head[:1] <= b"9":
            return False
        from vecmill.sources.text.words import form_of

        return form_of(head) == kind

    return begins


def _holds(*names: str) -> Callable[[Mapping[str, AnyPath]], bool]:
    return lambda inside: not inside.keys().isdisjoint(names)


def _is_iceberg(inside: Mapping[str, AnyPath]) -> bool:
    metadata = inside.get("metadata")
    if metadata is None or not metadata.is_dir():
        return False
    return any(one.name.endswith(".metadata.json") for one in metadata.iterdir())


FILE_KINDS: tuple[FileKind, ...] = (
    FileKind("parquet", (".parquet", ".parq", ".pq"), _starts(b"PAR1"), tables=_parquet, in_bucket=True),
    FileKind("arrow", (".arrow", ".arrows", ".feather", ".ipc"), _is_arrow, tables=_arrow, in_bucket=True),
    FileKind("datasets", (), is_folder=_holds("state.json", "dataset_dict.json"), tables=_arrow),
    FileKind("lance", (".lance",), is_folder=_holds("_versions"), tables=_lance),
    FileKind("delta", (), is_folder=_holds("_delta_log"), tables=_delta),
    FileKind("iceberg", (), is_folder=_is_iceberg, tables=_iceberg),
    FileKind("hudi", (), is_folder=_holds(".hoodie"), tables=lambda: _no_hudi),
    FileKind("npy", (".npy",), _starts(b"\x93NUMPY"), arrays=_npy, single=True, in_bucket=True),
    FileKind("npz", (".npz",), _is_npz, arrays=_npz, values=_npz_values),
    FileKind("torch", (".pt", ".pth"), _is_torch, arrays=_torch),
    FileKind(
        "hdf5",
        (".hdf5", ".h5", ".hdf"),
        _starts(b"\x89HDF\r\n\x1a\n"),
        arrays=_hdf5,
        keyed=_hdf5_keyed,
        values=_hdf5_values,
    ),
    FileKind("safetensors", (".safetensors",), _is_safetensors, arrays=_safetensors, values=_safetensors_values),
    FileKind("faiss", (".faiss", ".index"), _starts(*FAISS_MAGICS), arrays=_faiss),
    *(
        FileKind(name, (f".{name}",), arrays=functools.partial(_vecs, name), single=True, in_bucket=True)
        for name in ("fvecs", "bvecs", "ivecs", "fbin", "f16bin", "u8bin", "i8bin", "ibin")
    ),
    FileKind("copy-binary", (), _starts(b"PGCOPY\n\xff\r\n\0"), is_text=True),
    FileKind("word2vec-binary", (), _is_word2vec("word2vec-binary"), is_text=True),
    FileKind("word2vec", _packed(".vec"), _is_word2vec("word2vec"), is_text=True),
    FileKind("glove", (), is_text=True),
    FileKind("jsonl", _packed(".jsonl", ".ndjson", ".jsonlines"), is_text=True),
    FileKind("json", _packed(".json"), is_text=True),
    FileKind("csv", _packed(".csv"), is_text=True),
    FileKind("tsv", _packed(".tsv", ".tab"), is_text=True),
    FileKind("copy", _packed(".copy", ".pgcopy"), is_text=True),
)
"""All kinds. Where two begin alike, the first one wins."""

_NAMES = [kind.name for kind in FILE_KINDS]
