"""Where data come from: `open_source` turns paths into a `Source` of columns, one module per kind of file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vecmill.errors import DataError
from vecmill.sources.base import Column, Place, Source, names_text
from vecmill.sources.joined import Joined
from vecmill.sources.text.options import TextOptions

if TYPE_CHECKING:
    from vecmill.sources.arrays import Array
    from vecmill.sources.kinds import Tables
    from vecmill.sources.remote import AnyPath
    from vecmill.sources.tables import Table

__all__ = ["Column", "Source", "TextOptions", "open_source"]

Input = str | os.PathLike[str] | Any
"""A path, or an object that holds columns."""

_EVERYTHING_ELSE = "*"
_STDIN = "-"


def open_source(
    paths: Input | Sequence[Input] | None,
    *,
    columns: Mapping[str, str] | Iterable[str] | None = None,
    also: Iterable[str] = (),
    batch_rows: int | None = None,
    kind: str | None = None,
    text: TextOptions | None = None,
) -> Source:
    """Open files of any kind, and tables in memory, as one source of columns.

    Parameters
    ----------
    paths: a file, a folder, a pattern, or several, on disk or in a bucket (``s3://``, ``gs://``, ``az://``);
        ``file.h5:train`` is one part of a file. Tables of one kind
        (Parquet) follow one another in the order given; those of a folder in the order of their names, where
        ``part-2`` comes before ``part-10``. A file of one array (NPY, fvecs, fbin) is a column, named by its stem.
        Files of several arrays (NPZ, HDF5, safetensors) bring columns of their names, and follow one another.
        An object with Arrow's C interface (pyarrow, Polars, DuckDB, pandas), a dataset of Hugging Face's or Lance is
        a table of its own, ``-`` is text on standard input. Different kinds are joined row by row. None when
        ``columns`` names array files only.
    columns: field name -> column of the source, or -> a file of one array or a part of a file (a path that ends like
        one; a pattern such as ``folder/emb_*.npy`` joins shards in the order of their numbers). Entries that name
        columns select: nothing else is taken, unless ``"*"`` stands among them. Entries that name files only add. A
        list of names is taken as well.
    also: further columns to take under their own names if the source has them (the fields of a schema).
    batch_rows: most rows of a batch; by default as many as make 8 MiB.
    kind: what the files are, where their first bytes and their ending do not tell; see `vecmill.sources.kinds`.
    text: what files of text do not say about themselves.

    Raises
    ------
    DataError: no such column, columns of different lengths, files that disagree, a damaged file, an unknown kind.
    StoreError: a file that does not exist or cannot be read.
    """
    from vecmill.sources.arrays import ArraySource
    from vecmill.sources.kinds import kind_named
    from vecmill.sources.memory import is_object, open_object
    from vecmill.sources.places import expand, looks_like_arrays

    given = (
        [] if paths is None else [paths] if isinstance(paths, str | os.PathLike) or is_object(paths) else list(paths)
    )
    objects = [open_object(one) for one in given if is_object(one)]
    files: list[Any] = [one for one in given if not is_object(one)]
    tables: dict[str, list[Place]] = {}
    array_places: list[Place] = []
    texts: dict[str, list[str | AnyPath]] = {kind or "": [_STDIN]} if _STDIN in files else {}
    for place in (place for path in files if path != _STDIN for place in expand(path, kind)):
        if kind_named(place.kind).is_text:
            texts.setdefault(place.kind, []).append(place.path)
        elif kind_named(place.kind).tables is not None:
            tables.setdefault(place.kind, []).append(place)
        else:
            array_places.append(place)
    mapping = _mapping(columns)
    matrices = {field: _shards(field, name) for field, name in mapping.items() if looks_like_arrays(name)}
    chosen = {field: name for field, name in mapping.items() if field not in matrices}
    everything = not chosen or _EVERYTHING_ELSE in chosen
    groups = [_Group(one.place, tuple(one.schema.names), _in_memory(one)) for one in objects]
    groups += [
        _Group(str(places[0].path), _tables(k).names(places[0]), _in_files(k, places)) for k, places in tables.items()
    ]
    groups += [_text_group(replace(text or TextOptions(), kind=k or None), texts[k], everything) for k in texts]
    arrays = _arrays(array_places)
    available = _unique((*(column for group in groups for column in group.names), *arrays))
    if everything:
        chosen.pop(_EVERYTHING_ELSE, "")
        taken = set(chosen.values())
        chosen |= {
            name: name for name in available if name not in matrices and name not in chosen and name not in taken
        }
    else:
        chosen |= {name: name for name in also if name in available and name not in mapping}
    for field, name in chosen.items():
        if name not in available:
            where = groups[0].place if groups else next((a.place for column in arrays.values() for a in column), None)
            raise DataError(
                file=where, field=field, expected=f"a column {name!r}", got=f"columns {names_text(available)}"
            )

    parts: list[Source] = []
    for group in groups:
        wanted = {field: column for field, column in chosen.items() if column in group.names}
        if wanted:
            parts.append(group.open(wanted, batch_rows))
    from_arrays = {field: (name, arrays[name]) for field, name in chosen.items() if name in arrays} | matrices
    if from_arrays:
        parts.append(ArraySource(from_arrays, batch_rows=batch_rows))
    if not parts:
        raise DataError(expected="at least one column", got="none")
    return parts[0] if len(parts) == 1 else Joined(parts)


@dataclass(frozen=True, slots=True)
class _Group:
    """Tables that follow one another: the first one, their columns, and how columns of them are opened."""

    place: str
    names: tuple[str, ...]
    open: Callable[[Mapping[str, str], int | None], Source]


def _in_files(kind: str, places: Sequence[Place]) -> Callable[[Mapping[str, str], int | None], Source]:
    return lambda wanted, batch_rows: _tables(kind).table(places, wanted, batch_rows=batch_rows)


def _in_memory(table: Table) -> Callable[[Mapping[str, str], int | None], Source]:
    from vecmill.sources.tables import TableSource

    return lambda wanted, batch_rows: TableSource([table], wanted, batch_rows=batch_rows)


def _text_group(options: TextOptions, paths: Sequence[str | AnyPath], everything: bool) -> _Group:
    from vecmill.sources.text.files import TextFiles
    from vecmill.sources.text.source import TextSource

    files = TextFiles(paths, options)
    return _Group(
        files.inputs[0].name,
        files.names,
        lambda wanted, batch_rows: TextSource(files, wanted, strict=everything, batch_rows=batch_rows),
    )


def _tables(kind: str) -> Tables:
    from vecmill.sources.kinds import kind_named

    load = kind_named(kind).tables
    assert load is not None
    return load()


def _arrays(places: Sequence[Place]) -> dict[str, list[Array]]:
    """Return the arrays of all files by name. Files of several arrays are shards of the columns they share."""
    from vecmill.sources.kinds import kind_named

    found: dict[str, list[Array]] = {}
    shared: dict[str, dict[str, list[Array]]] = {}
    for place in places:
        kind = kind_named(place.kind)
        assert kind.arrays is not None
        inside = kind.arrays()(place.path, place.member)
        before = shared.get(place.kind)
        if before is not None and not kind.single and before.keys() == inside.keys():
            for name, array in inside.items():
                before[name].append(array)
            continue
        for name, array in inside.items():
            if name in found:
                got = f"{name!r} in {found[name][0].place!r} before"
                raise DataError(file=str(place.path), expected="one file per column", got=got)
            found[name] = [array]
        shared.setdefault(place.kind, {name: found[name] for name in inside})
    return found


def _shards(field: str, path: str) -> tuple[str, list[Array]]:
    """Return the name and the arrays of the one column that the files of ``path`` make."""
    from vecmill.sources.kinds import kind_named
    from vecmill.sources.places import expand

    shards: list[Array] = []
    name = ""
    for place in expand(path):
        kind = kind_named(place.kind)
        inside = kind.arrays()(place.path, place.member) if kind.arrays is not None else {}
        if len(inside) != 1:
            got = f"arrays {names_text(list(inside))}; name one (file:name)" if inside else f"a {kind.name} file"
            raise DataError(file=str(place.path), field=field, expected="one array", got=got)
        name = name or next(iter(inside))
        shards += inside.values()
    return (Path(path).stem if kind_named(place.kind).single else name), shards


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
