"""Files of arrays as columns: which files are shards of one column, and which are columns side by side."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from vecmill.errors import DataError
from vecmill.sources.arrays import Array
from vecmill.sources.base import SourceFile, names_text
from vecmill.sources.kinds import kind_named
from vecmill.sources.places import expand

_NUMBERED = re.compile(r"(.*?)[-_.]?[0-9]+")


def arrays_in(file: SourceFile) -> dict[str, Array]:
    """Return the arrays of one file by name; none of a file that is no file of arrays."""
    load = kind_named(file.kind).arrays
    return {} if load is None else load()(file.path, file.member)


def shards_of(field: str, path: str) -> tuple[str, list[Array]]:
    """Return the name and the arrays of the one column that the files of ``path`` make."""
    shards: list[Array] = []
    name = ""
    for file in expand(path):
        inside = arrays_in(file)
        if len(inside) != 1:
            got = f"arrays {names_text(list(inside))}; name one (file:name)" if inside else f"a {file.kind} file"
            raise DataError(file=str(file.path), field=field, expected="one array", got=got)
        name = name or next(iter(inside))
        shards += inside.values()
    return (Path(path).stem if kind_named(file.kind).single else name), shards


def arrays_of(paths: Sequence[Sequence[SourceFile]], fields: Collection[str]) -> dict[str, list[Array]]:
    """Return the arrays of all files by name. ``paths``: the files of each path; ``fields``: names that are asked for.

    Files of several arrays are shards of the columns they share. So are files of one array that one path stands for
    (a folder, a pattern), and whose names differ in their number only; see `_numbered`.
    """
    found: dict[str, list[Array]] = {}
    shared: dict[str, dict[str, list[Array]]] = {}
    for files in paths:
        singles: dict[str, tuple[SourceFile, Array]] = {}
        for file in files:
            inside = arrays_in(file)
            if kind_named(file.kind).single and len(files) > 1:
                for name, array in inside.items():
                    _refuse_twice(file, name, {name: [singles[name][1]]} if name in singles else found)
                    singles[name] = file, array
                continue
            before = shared.get(file.kind)
            if before is not None and not kind_named(file.kind).single and before.keys() == inside.keys():
                for name, array in inside.items():
                    before[name].append(array)
                continue
            for name, array in inside.items():
                _refuse_twice(file, name, found)
                found[name] = [array]
            shared.setdefault(file.kind, {name: found[name] for name in inside})
        for name, arrays in _numbered(singles, fields).items():
            _refuse_twice(files[0], name, found)
            found[name] = arrays
    return found


def _refuse_twice(file: SourceFile, name: str, found: Mapping[str, Sequence[Array]]) -> None:
    if name in found:
        got = f"{name!r} in {found[name][0].place!r} before"
        raise DataError(file=str(file.path), expected="one file per column", got=got)


def _numbered(files: Mapping[str, tuple[SourceFile, Array]], fields: Collection[str]) -> dict[str, list[Array]]:
    """Return the columns of files of one array each: ``emb_0``, ``emb_1``, ... of one type and dim are ``emb``.

    Unless a field is called like one of them, or so many rows as each of them has are in the files beside them: then
    they are columns. Raises DataError if neither goes with the files beside them.
    """
    columns = _by_base(files, set(fields))
    in_shards = {name for names in columns.values() for name in names}
    alone = {name: [array] for name, (_, array) in files.items() if name not in in_shards}
    sharded = {base: [files[name][1] for name in names] for base, names in columns.items()}
    if not sharded:
        return alone
    beside = {_rows(arrays) for arrays in alone.values()}
    if len({_rows(arrays) for arrays in sharded.values()} | beside) < 2:
        return alone | sharded
    if len({array.shape[0] for arrays in sharded.values() for array in arrays} | beside) < 2:
        return {name: [array] for name, (_, array) in files.items()}
    base, names = next(iter(columns.items()))
    first = files[names[0]][0].path
    folder, ending = str(first)[: -len(first.name)], first.name.removeprefix(names[0])
    shards = f"--map '{base}={folder}{base}*{ending}' if they are shards of one column"
    one_each = f"--map {names[0]}={first} ... if each is a column"
    got = f"{names_text(names)}, of other numbers of rows than the files beside them; {shards}, {one_each}"
    raise DataError(file=str(first), expected="files that go with those beside them", got=got)


def _by_base(files: Mapping[str, tuple[SourceFile, Array]], asked: Collection[str]) -> dict[str, list[str]]:
    """Return the names that may be shards, by what they are without their numbers; none that is ``asked`` for."""
    groups: dict[tuple[str, str, str, tuple[int, ...]], list[str]] = defaultdict(list)
    for name, (file, array) in files.items():
        match = _NUMBERED.fullmatch(name)
        if match is not None:
            base = match[1] or Path(str(file.path)).parent.name
            groups[base, file.kind, array.dtype.str, array.shape[1:]].append(name)
    bases = Counter(base for base, *_ in groups)
    return {
        base: names
        for (base, *_), names in groups.items()
        if len(names) > 1 and bases[base] == 1 and base not in files and not set(names) & set(asked)
    }


def _rows(arrays: Sequence[Array]) -> int:
    return sum(array.shape[0] for array in arrays)
