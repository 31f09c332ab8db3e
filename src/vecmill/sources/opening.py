"""Open what a caller names, files of any kind and tables in memory, as one `Source`."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from vecmill.errors import DataError
from vecmill.sources.arrays import Array, ArraySource
from vecmill.sources.base import Source, SourceFile, field_columns, names_text
from vecmill.sources.joined import Joined
from vecmill.sources.keyed import KEY, VECTOR, KeyRows
from vecmill.sources.kinds import kind_named
from vecmill.sources.memory import is_object, open_object
from vecmill.sources.partitions import Partitioned, keys_of
from vecmill.sources.places import expand, looks_like_arrays
from vecmill.sources.remote import AnyPath
from vecmill.sources.shards import arrays_of, shards_of
from vecmill.sources.tables import Table, TableSource
from vecmill.sources.text.options import TextOptions
from vecmill.sources.text.stream import STDIN

PathOrTable = str | os.PathLike[str] | Any
"""A path, a pattern or a URL; or an object that holds columns."""

RowsFrom = Literal["keys"]

EVERYTHING = "*"
"""Among ``columns``: take all other columns too."""


def open_source(
    paths: PathOrTable | Sequence[PathOrTable] | None,
    *,
    columns: Mapping[str, str] | Iterable[str] | None = None,
    also: Iterable[str] = (),
    batch_rows: int | None = None,
    kind: str | None = None,
    text: TextOptions | None = None,
    drop: Drop | None = None,
    rows_from: RowsFrom | None = None,
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
    batch_rows: most rows of a batch. None: as many as make 8 MiB.
    kind: the kind of the files, where first bytes and ending do not tell; see `vecmill.sources.kinds`.
    text: what files of text do not say about themselves.
    drop: columns that are left out: they are not looked at.
    rows_from: "keys" makes a row of every array of the files: its name (or that of its file, where each has one array)
        is the column ``id``, its values ``vector``. None: every array is a column.

    Raises
    ------
    DataError: no such column, columns of different lengths, files that disagree, a damaged file, an unknown kind.
    StoreError: a file that does not exist or cannot be read.
    """
    wanted = field_columns(columns)
    shards = {field: shards_of(field, name) for field, name in wanted.items() if looks_like_arrays(name)}
    takes_all = EVERYTHING in wanted or wanted.keys() == shards.keys()
    given = _listed(paths)
    if rows_from is None:
        asked = {*wanted, *wanted.values(), *also}
        groups, arrays = _found(given, kind, text or TextOptions(), drop, asked, takes_all=takes_all)
    else:
        groups, arrays = [_keyed([file for path in given for file in expand(path, kind)])], {}
    if drop is not None:
        groups, arrays = _left(groups, arrays, drop)
    available = _available(groups, arrays, [name for one, name in wanted.items() if one not in shards])
    chosen = _chosen(wanted, shards, available, None if takes_all else also)
    _check_columns(chosen, available, [*(group.place for group in groups), *(a[0].place for a in arrays.values())])
    parts = _opened(chosen, groups, batch_rows)
    from_arrays = {field: (name, arrays[name]) for field, name in chosen.items() if name in arrays} | shards
    if from_arrays:
        parts.append(ArraySource(from_arrays, batch_rows=batch_rows))
    if not parts:
        raise DataError(expected="at least one column", got="none")
    return parts[0] if len(parts) == 1 else Joined(parts)


def _found(
    given: Sequence[Any],
    kind: str | None,
    text: TextOptions,
    drop: Drop | None,
    asked: Collection[str],
    *,
    takes_all: bool,
) -> tuple[list[_Group], dict[str, list[Array]]]:
    """Return the tables and texts that paths and objects stand for, and the arrays by name.

    ``asked`` names fields and columns that are asked for. ``takes_all``: a key of JSON that is no column is an error.
    """
    objects = [open_object(one) for one in given if is_object(one)]
    files = _by_family([one for one in given if not is_object(one)], kind)
    groups = [*_table_groups(objects, files.tables, text), *_text_groups(files.texts, text, takes_all, drop)]
    return groups, arrays_of(files.arrays, asked)


def _keyed(files: Sequence[SourceFile]) -> _Group:
    """Return the rows that the arrays of files are."""
    names = dict.fromkeys((KEY, VECTOR))
    return _Group(str(files[0].path), names, lambda wanted, batch_rows: KeyRows(files, wanted, batch_rows))


def _left(
    groups: Sequence[_Group], arrays: Mapping[str, list[Array]], drop: Drop
) -> tuple[list[_Group], dict[str, list[Array]]]:
    """Return groups and arrays without the columns to leave out."""
    left = [replace(group, names=drop.left_of(group.names)) for group in groups]
    return left, {name: arrays[name] for name in drop.left_of(arrays)}


class Drop:
    """Columns that are left out, by their names in the source; ``*`` in a name stands for any text."""

    def __init__(self, names: Sequence[str]) -> None:
        self._fits = {name: re.compile(re.escape(name).replace("\\*", ".*"), re.DOTALL) for name in names}
        self._unused = set(names)
        self._seen: dict[str, None] = {}

    def left_of(self, names: Iterable[str]) -> dict[str, None]:
        """Return the names that are left."""
        left: dict[str, None] = {}
        for name in names:
            self._seen[name] = None
            dropping = [given for given, fit in self._fits.items() if fit.fullmatch(name)]
            self._unused.difference_update(dropping)
            if not dropping:
                left[name] = None
        return left

    def check(self) -> None:
        """Raise DataError for a name that no column has."""
        for name in sorted(self._unused):
            raise DataError(expected=f"a column {name!r} to leave out", got=f"columns {names_text(list(self._seen))}")


def _available(groups: Sequence[_Group], arrays: Iterable[str], wanted: Sequence[str]) -> dict[str, None]:
    """Return the columns that there are, as keys of a dict; of those that must be looked for, the ``wanted`` ones."""
    available = _distinct([*(name for group in groups for name in group.names), *arrays])
    for group in groups:
        named = dict.fromkeys(name for name in wanted if name not in available and name != EVERYTHING)
        available |= {name: None for name in named if group.finds(name)}
    return available | dict.fromkeys(name for group in groups for name in group.optional)


@dataclass(frozen=True, slots=True)
class _Families:
    """The files of a call: tables and text by kind, in the order in which the kinds first come; and array files."""

    tables: Mapping[str, Sequence[SourceFile]]
    texts: Mapping[str, Sequence[str | AnyPath]]
    arrays: Sequence[Sequence[SourceFile]]


@dataclass(frozen=True, slots=True)
class _Group:
    """Tables that follow one another.

    Attributes
    ----------
    place: the first table, for errors.
    names: the columns of the tables.
    find: whether there is a column of a name that is not among ``names``, such as a path into JSON.
    found: those that there are.
    optional: columns that no row has to have; taken where no other source brings them.
    open: (field name -> column, most rows of a batch) -> source of these columns.
    """

    place: str
    names: Collection[str]
    open: Callable[[Mapping[str, str], int | None], Source]
    find: Callable[[str], bool] = lambda name: False
    optional: Sequence[str] = ()
    found: list[str] = field(default_factory=list)

    def finds(self, name: str) -> bool:
        """Whether there is a column of a name that is not among ``names``."""
        is_here = self.find(name)
        if is_here:
            self.found.append(name)
        return is_here


def _with_keys(group: _Group, files: Iterable[str], options: TextOptions) -> _Group:
    """Return a group with the columns that the folders of its files tell, as their fields have them."""
    keys = {file: keys_of(file) for file in files}
    told = dict.fromkeys(name for one in keys.values() for name in one)
    if not told:
        return group
    from vecmill.sources.text.fields import type_of_field

    names = {**dict.fromkeys(group.names), **told}
    types = {name: type_of_field(one) for name, one in options.fields.items() if name in told}

    def opened(wanted: Mapping[str, str], batch_rows: int | None) -> Source:
        own = {one: name for one, name in wanted.items() if name in group.names or name not in told}
        counted = next(iter(group.names))
        return Partitioned(
            group.open(own or {counted: counted}, batch_rows), keys,
            {one: name for one, name in wanted.items() if name in told}, types, counts=not own,
        )  # fmt: skip

    return _Group(group.place, names.keys(), opened, group.find, group.optional, group.found)


def _opened(chosen: Mapping[str, str], groups: Sequence[_Group], batch_rows: int | None) -> list[Source]:
    """Return the columns ``chosen`` of each group that has some."""
    owners = {name: group for group in reversed(groups) for name in (*group.optional, *group.found)}
    owners |= {name: group for group in reversed(groups) for name in group.names}
    parts = [(group, {field: name for field, name in chosen.items() if owners.get(name) is group}) for group in groups]
    return [group.open(mine, batch_rows) for group, mine in parts if mine]


def _listed(paths: PathOrTable | Sequence[PathOrTable] | None) -> list[Any]:
    if paths is None:
        return []
    return [paths] if isinstance(paths, str | os.PathLike) or is_object(paths) else list(paths)


def _by_family(paths: Sequence[Any], kind: str | None) -> _Families:
    """Return the files that ``paths`` stand for. Raises DataError, StoreError."""
    tables: dict[str, list[SourceFile]] = defaultdict(list)
    texts: dict[str, list[str | AnyPath]] = defaultdict(list)
    arrays: list[list[SourceFile]] = []
    if STDIN in paths:
        texts[kind or ""].append(STDIN)
    for path in (path for path in paths if path != STDIN):
        arrays.append([])
        for file in expand(path, kind):
            found = kind_named(file.kind)
            if found.is_text:
                texts[file.kind].append(file.path)
            elif found.tables is not None:
                tables[file.kind].append(file)
            else:
                arrays[-1].append(file)
    return _Families(tables, texts, arrays)


def _table_groups(
    objects: Sequence[Table], files: Mapping[str, Sequence[SourceFile]], options: TextOptions
) -> list[_Group]:
    """Return a group for every object in memory, and one for the files of each table kind."""
    groups = [_table_group([one]) for one in objects]
    for kind, places in files.items():
        load = kind_named(kind).tables
        assert load is not None
        tables = load()(places)
        groups.append(_with_keys(_table_group(tables), [table.place for table in tables], options))
    return groups


def _table_group(tables: Sequence[Table]) -> _Group:
    # Columns that only some tables have are columns of all. (A name that is there twice in one is refused if wanted.)
    names = dict.fromkeys(name for table in tables for name in table.schema.names)
    return _Group(
        tables[0].place,
        names.keys(),
        lambda wanted, batch_rows: TableSource(tables, wanted, batch_rows=batch_rows),
    )


def _text_groups(
    files: Mapping[str, Sequence[str | AnyPath]], options: TextOptions, takes_all: bool, drop: Drop | None
) -> Iterable[_Group]:
    """Yield a group for the files of each kind of text. ``takes_all``: a key that is no column is an error."""
    for kind, paths in files.items():
        keys = {name for path in paths for name in keys_of(str(path))}
        fields = {name: one for name, one in options.fields.items() if name not in keys}
        group = _text_group(paths, replace(options, kind=kind or None, fields=fields), takes_all, drop)
        yield _with_keys(group, map(str, paths), options)


def _text_group(paths: Sequence[str | AnyPath], options: TextOptions, takes_all: bool, drop: Drop | None) -> _Group:
    from vecmill.sources.text.files import TextFiles
    from vecmill.sources.text.source import TextSource

    files = TextFiles(paths, options)
    dropped = set() if drop is None else set(files.seen) - drop.left_of(files.seen).keys()
    return _Group(
        files.inputs[0].name,
        dict.fromkeys(files.names),
        lambda wanted, batch_rows: TextSource(
            files, wanted, takes_all=takes_all, dropped=dropped, batch_rows=batch_rows
        ),
        files.find,
        files.optional,
    )


def _chosen(
    wanted: Mapping[str, str], shards: Mapping[str, Any], available: Collection[str], also: Iterable[str] | None
) -> dict[str, str]:
    """Return field -> column of what is taken from ``available``.

    ``wanted`` without the fields that come from ``shards``, and further columns under their own names: those in
    ``also`` that are there; None: every column that is neither taken nor called like a field of ``wanted``.
    """
    chosen = {field: name for field, name in wanted.items() if field not in shards and field != EVERYTHING}
    if also is not None:
        return chosen | {name: name for name in also if name in available and name not in wanted}
    given = {*chosen, *chosen.values(), *shards}
    return chosen | {name: name for name in available if name not in given}


def _distinct(names: Iterable[str]) -> dict[str, None]:
    """Return names as the keys of a dict, in their order. Raises DataError for one that is there twice."""
    counts = Counter(names)
    twice = sorted(name for name, n in counts.items() if n > 1)
    if twice:
        raise DataError(expected="columns of different names", got=f"more than one of {names_text(twice)}")
    return dict.fromkeys(counts)


def _check_columns(chosen: Mapping[str, str], available: Collection[str], places: Sequence[str]) -> None:
    """Raise DataError for the first column that no source has; it names the first place."""
    for wanted, name in chosen.items():
        if name not in available:
            where = places[0] if places else None
            got = f"columns {names_text(list(available))}"
            raise DataError(file=where, field=wanted, expected=f"a column {name!r}", got=got)
