"""Where data come from: `open_source` turns paths into a `Source` of columns, one module per kind of file."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from vecmill.errors import DataError, StoreError
from vecmill.sources.base import Column, Joined, Source, names_text, natural_key, one_line

__all__ = ["Column", "Source", "open_source"]

PathLike = str | os.PathLike[str]

_PARQUET_ENDINGS = {".parquet", ".parq", ".pq"}
_EVERYTHING_ELSE = "*"


def open_source(
    paths: PathLike | Sequence[PathLike] | None,
    *,
    columns: Mapping[str, str] | Iterable[str] | None = None,
    also: Iterable[str] = (),
    batch_rows: int | None = None,
) -> Source:
    """Open Parquet and NPY files as one source of columns.

    Parameters
    ----------
    paths: a file, a folder, or several. Parquet files follow one another in the order given; those of a folder in the
        order of their names, where ``part-2`` comes before ``part-10``. An NPY file is one column, named by its stem.
        Parquet and NPY together are joined row by row. None when ``columns`` names NPY files only.
    columns: field name -> column of the source, or -> an NPY file (a path that ends in ``.npy``; a pattern such as
        ``folder/emb_*.npy`` joins shards in the order of their numbers). Entries that name columns select: nothing
        else is taken, unless ``"*"`` stands among them. Entries that name files only add. A list of names is taken
        as well.
    also: further columns to take under their own names if the source has them (the fields of a schema).
    batch_rows: most rows of a batch; by default as many as make 8 MiB.

    Raises
    ------
    DataError: no such column, columns of different lengths, Parquet files that disagree, a damaged file.
    StoreError: a file that does not exist or cannot be read.
    """
    from vecmill.sources.npy import NpySource
    from vecmill.sources.parquet import ParquetSource, parquet_names

    parquet, npy = _expand(paths)
    mapping = _mapping(columns)
    matrices = {field: _shards(name) for field, name in mapping.items() if name.endswith(".npy")}
    chosen = {field: name for field, name in mapping.items() if field not in matrices}
    in_parquet = parquet_names(parquet[0]) if parquet else ()
    available = _unique((*in_parquet, *npy))
    if not chosen or _EVERYTHING_ELSE in chosen:
        chosen.pop(_EVERYTHING_ELSE, "")
        taken = set(chosen.values())
        chosen |= {
            name: name for name in available if name not in matrices and name not in chosen and name not in taken
        }
    else:
        chosen |= {name: name for name in also if name in available and name not in mapping}
    for field, name in chosen.items():
        if name not in available:
            where = str(parquet[0]) if parquet else None
            raise DataError(
                file=where, field=field, expected=f"a column {name!r}", got=f"columns {names_text(available)}"
            )

    parts: list[Source] = []
    from_parquet = {field: name for field, name in chosen.items() if name in in_parquet}
    if from_parquet:
        parts.append(ParquetSource(parquet, from_parquet, batch_rows=batch_rows))
    from_npy = {field: (name, [npy[name]]) for field, name in chosen.items() if name in npy}
    from_npy |= {field: (Path(mapping[field]).stem, shards) for field, shards in matrices.items()}
    if from_npy:
        parts.append(NpySource(from_npy, batch_rows=batch_rows))
    if not parts:
        raise DataError(expected="at least one column", got="none")
    return parts[0] if len(parts) == 1 else Joined(parts)


def _mapping(columns: Mapping[str, str] | Iterable[str] | None) -> dict[str, str]:
    if columns is None:
        return {}
    if isinstance(columns, Mapping):
        return {str(field): os.fspath(name) for field, name in columns.items()}
    return {name: name for name in ([columns] if isinstance(columns, str) else columns)}


def _unique(names: tuple[str, ...]) -> tuple[str, ...]:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(expected="columns of different names", got=f"more than one of {names_text(twice)}")
    return names


def _expand(paths: PathLike | Sequence[PathLike] | None) -> tuple[list[Path], dict[str, Path]]:
    """Return the Parquet files in order, and the NPY files by stem."""
    given = [] if paths is None else [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    parquet: list[Path] = []
    npy: dict[str, Path] = {}
    for path in (file for entry in given for file in _files(Path(entry))):
        if _kind(path) == "parquet":
            parquet.append(path)
        elif path.stem in npy:
            raise DataError(file=str(path), expected="one file per column", got=f"{str(npy[path.stem])!r} before")
        else:
            npy[path.stem] = path
    return parquet, npy


def _files(path: Path) -> list[Path]:
    """Return the files that ``path`` stands for: itself, or the data files of a folder in natural order."""
    try:
        if not path.is_dir():
            path.stat()
            return [path]
        inside = [p for p in path.iterdir() if p.suffix.lower() in {*_PARQUET_ENDINGS, ".npy"}]
    except OSError as err:
        raise StoreError((err.strerror or one_line(err)).lower(), path=str(path), errno=err.errno) from err
    # Spark and others leave "_SUCCESS" and ".part.crc" files beside the data.
    found = sorted((p for p in inside if not p.name.startswith((".", "_"))), key=natural_key)
    if not found:
        raise DataError(file=str(path), expected="a folder of .parquet or .npy files", got="none of them in it")
    return found


def _shards(pattern: str) -> list[Path]:
    if not glob.has_magic(pattern) or Path(pattern).exists():
        return _files(Path(pattern))
    folder, name = os.path.split(pattern)
    found = sorted(Path(folder or ".").glob(name), key=natural_key)
    if not found:
        raise StoreError("no file fits the pattern", path=pattern)
    return found


def _kind(path: Path) -> str:
    if path.suffix.lower() in _PARQUET_ENDINGS:
        return "parquet"
    if path.suffix.lower() == ".npy":
        return "npy"
    try:
        with path.open("rb") as file:
            magic = file.read(6)
    except OSError as err:
        raise StoreError((err.strerror or one_line(err)).lower(), path=str(path), errno=err.errno) from err
    if magic[:4] == b"PAR1":
        return "parquet"
    if magic == b"\x93NUMPY":
        return "npy"
    raise DataError(file=str(path), expected="a Parquet or an NPY file", got=f"a file that begins with {magic!r}")
