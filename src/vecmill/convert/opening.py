"""Opens the inputs of a conversion as one `Source`, with columns named as the fields and the requested rows."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from vecmill.convert.infer import NEW_KEY_NAMES
from vecmill.convert.outputs import open_output, output_of
from vecmill.convert.packed import is_pack, with_vectors
from vecmill.convert.reshape import EVERYTHING_ELSE, Keyed, Mapped, Sliced, mapped
from vecmill.errors import DataError, SchemaError
from vecmill.schema.collection import CollectionSchema
from vecmill.schema.fields import FieldSchema
from vecmill.sources import Source, TextOptions, open_source
from vecmill.sources.base import field_columns, names_text
from vecmill.sources.joined import Joined
from vecmill.sources.kinds import by_ending
from vecmill.sources.memory import is_object
from vecmill.sources.opening import Drop, RowsFrom
from vecmill.sources.places import expand, looks_like_arrays
from vecmill.sources.remote import has_pattern
from vecmill.sources.text.source import TextSource
from vecmill.sources.text.stream import STDIN
from vecmill.store.notes import as_folder, outputs_below, read_manifest
from vecmill.store.opening import open_place
from vecmill.store.url import disk_path, in_bucket
from vecmill.types.kind import DataType
from vecmill.types.lookup import TYPES

PathLike = str | os.PathLike[str]
Input = PathLike | Sequence[PathLike] | Source | Any | None
Columns = Mapping[str, str] | Iterable[str] | None


def field_names(schema: CollectionSchema | None) -> tuple[str, ...]:
    """Return the names of the fields that a source must have; none if there is no schema yet."""
    return tuple(field.name for field in schema.written_fields()) if schema is not None else ()


def text_options(
    given: TextOptions | None,
    schema: CollectionSchema | None,
    columns: Columns,
    *,
    again: bool = False,
    makes_key: bool = False,
    lenient: bool = False,
) -> TextOptions:
    """Return ``given`` with the types that the fields of ``schema`` fix for their columns.

    ``again``: the rows may be read more than once, even if nothing is inferred. ``makes_key``: the primary field is not
    read from a column. ``lenient``: see `TextOptions`.
    """
    options = given or TextOptions()
    if schema is None:
        return options
    wanted = field_columns(columns)
    fields: dict[str, FieldSchema] = {}
    shared = set()  # columns of several fields: what they are is left to the first rows
    for field in schema.written_fields():
        name = wanted.get(field.name, field.name)
        name = field.name if is_pack(name) else name
        if (makes_key and field.is_primary) or looks_like_arrays(name):
            continue
        if name in fields and fields[name].kind is not field.kind:
            shared.add(name)
        fields[name] = field
    fields = {name: field for name, field in fields.items() if name not in shared}
    # What a caller has named is there.
    optional = {
        name for name, field in fields.items()
        if field.name not in wanted and (field.nullable or field.default_value is not None)
    }  # fmt: skip
    # Reading once is enough, else standard input is put aside.
    return replace(
        options, fields=fields, optional=optional, rest=schema.enable_dynamic_field, lenient=lenient, spool=again
    )


def open_inputs(
    src: Input,
    *,
    columns: Columns = None,
    join: Sequence[Input] = (),
    also: Iterable[str] = (),
    kind: str | None = None,
    text: TextOptions | None = None,
    drop: Sequence[str] = (),
    rows_from: RowsFrom | None = None,
) -> Source:
    """Return ``src``, with the columns of every input in ``join`` beside its own.

    ``columns`` and ``also`` select and name columns of all inputs together, see `open_source`. ``kind`` is the kind of
    ``src``, ``rows_from`` says what its rows are made of, ``text`` has the options of text files, ``drop`` names
    columns to leave out. A folder that vecmill wrote is read segment by segment. Raises DataError if inputs differ in
    their number of rows, or do not have a column to leave out, SchemaError if they have columns of the same name.
    """
    gone = Drop(drop) if drop else None
    wanted = field_columns(columns)
    packs = {field: name for field, name in wanted.items() if is_pack(name)}
    if packs:
        files = {field: name for field, name in wanted.items() if looks_like_arrays(name)}
        source = with_vectors(_joined(src, files or None, join, also, kind, text, gone, rows_from), packs, None)
        source = mapped(source, {field: field if field in packs else name for field, name in wanted.items()}, also=also)
    else:
        source = _joined(src, columns, join, also, kind, text, gone, rows_from)
    if gone is not None:
        gone.check()
    return source


def _joined(
    src: Input,
    columns: Columns,
    join: Sequence[Input],
    also: Iterable[str],
    kind: str | None,
    text: TextOptions | None,
    drop: Drop | None,
    rows_from: RowsFrom | None,
) -> Source:
    src = _only(src)
    check_text_options(text, (src, *join), kind)
    for one in (src, *join):
        if isinstance(one, Mapping) or hasattr(one, "__array_interface__"):
            raise SchemaError(
                f"convert takes files and tables, no {type(one).__name__}: give it to a writer's append_batch"
            )
    if not join and not _is_source(src) and output_of(src) is None:
        return open_source(src, columns=columns, also=also, kind=kind, text=text, drop=drop, rows_from=rows_from)
    wanted = field_columns(columns)
    parts = [
        _opened(one, *((kind, rows_from) if one is src else (None, None)), text, drop)
        for one in (src, *join)
        if one is not None
    ]
    parts = _settled(parts, [name for name in wanted.values() if name != EVERYTHING_ELSE])
    named = {column.name for part in parts for column in part.columns}
    files = {field: name for field, name in wanted.items() if name not in named and looks_like_arrays(name)}
    if files:
        parts.append(open_source(None, columns=files))
        if len(files) == len(wanted):  # entries that name files select no columns
            wanted["*"] = "*"
        wanted |= {field: field for field in files}
    return mapped(_side_by_side(parts, wanted, also), wanted, also=also)


def _side_by_side(parts: Sequence[Source], wanted: Mapping[str, str], also: Iterable[str]) -> Source:
    """Return the columns of all inputs as one source. Raises SchemaError for columns of the same name.

    Columns that ``wanted`` and ``also`` do not select may have the same name; see `mapped`.
    """
    selected = None if not wanted or EVERYTHING_ELSE in wanted else {*wanted.values(), *also}
    counts = Counter(column.name for part in parts for column in part.columns)
    twice = sorted(name for name, n in counts.items() if n > 1)
    taken = [name for name in twice if selected is None or name in selected]
    if taken:
        way_out = "select columns without it (--map, columns=), or rename it in one of them"
        raise SchemaError(f"the inputs that are joined both have {names_text(taken)}; {way_out}")
    if twice:
        left = [{c.name: c.name for c in part.columns if c.name not in twice} for part in parts]
        parts = [Mapped(part, names) for part, names in zip(parts, left, strict=True)]
    return parts[0] if len(parts) == 1 else Joined(parts)


def _settled(parts: Sequence[Source], wanted: Sequence[str]) -> list[Source]:
    """Return sources that are joined, each with the columns that are its own.

    A column that its rows may have is that of another source which has it. ``wanted``: names of columns; those that no
    source has may be paths into JSON.
    """
    certain = {column.name for part in parts for column in part.columns if not column.is_optional}
    taken: set[str] = set()
    settled: list[Source] = []
    for part in parts:
        doubtful = {column.name for column in part.columns if column.is_optional}
        others = doubtful & (certain | taken)
        taken |= doubtful
        if not isinstance(part, TextSource):
            settled.append(part)
            continue
        own = part.without(others)
        for name in wanted:
            if name not in certain and not looks_like_arrays(name) and own.finds(name):
                own = own.with_column(name)
                certain.add(name)
        settled.append(own)
    return settled


def resolved(src: Input) -> Input:
    """Return the only item of a list of one, the only output in a folder, and any other input unchanged.

    So `convert(x, ...)` and `convert([x], ...)` ask the same question. Raises DataError for several outputs.
    """
    one = _only(_without_rows(src))
    if not isinstance(one, str | os.PathLike) or os.fspath(one) == STDIN:
        return one
    path = disk_path(one)
    if path is None and (not in_bucket(one) or has_pattern(os.fspath(one)) or by_ending(Path(one))):
        return one
    one = as_folder(one)
    place = open_place(one)
    if read_manifest(place) is not None:
        return one
    found = outputs_below(place)
    if not found or any(by_ending(Path(file.path)) is not None for file in place.files()):
        return one  # it holds files of its own to read
    if len(found) > 1:
        got = f"{len(found)} outputs, {names_text([PurePosixPath(each.where).name for each in found])}"
        raise DataError(file=os.fspath(one), expected="a file, or the folder of one output", got=f"{got}; name one")
    return found[0].where


def _without_rows(src: Input) -> Input:
    """Return the input, that of an iterator of paths as a list. Raises SchemaError for row dicts."""
    if isinstance(src, Iterator) and not is_object(src) and not _is_source(src):
        first = next(src, None)
        src = first if isinstance(first, Mapping) else [first, *src] if first is not None else []
    elif isinstance(src, list | tuple) and src:
        first = src[0]
    else:
        return src
    if isinstance(first, Mapping):
        raise SchemaError(
            "convert takes files and tables, no row dicts: give them to a writer's append_rows, or make a table of "
            "them (pyarrow.Table.from_pylist)"
        )
    return src


def check_text_options(text: TextOptions | None, inputs: Sequence[Input], kind: str | None) -> None:
    """Raise SchemaError for options of text that apply to no input.

    ``kind``: kind of the first input.
    """
    if text is None or not text.unused_by(()):  # nothing to check: do not look at the files
        return
    kinds: dict[str, str] = {}
    for i, one in enumerate(inputs):
        kinds |= {found: name for name, found in _kinds(one, kind if i == 0 else None)}
    unused = text.unused_by(kinds)
    if unused:
        what = ", ".join(f"{name!r} is {found}" for found, name in list(kinds.items())[:3]) or "there is no input"
        raise SchemaError(f"{unused} would change nothing, for no input is text of that kind: {what}")


def _kinds(one: Input, kind: str | None) -> Iterator[tuple[str, str]]:
    """Yield the names and the kinds of the files that an input stands for."""
    if one is None:
        return
    if isinstance(one, Sequence) and not isinstance(one, str):
        for inner in one:
            yield from _kinds(inner, kind)
    elif not isinstance(one, str | os.PathLike):
        yield type(one).__name__, "in memory"
    elif os.fspath(one) == STDIN:
        yield STDIN, kind or "csv"  # it may be any kind of text
    elif (output := output_of(one)) is not None:
        yield os.fspath(one), output[1].file_type.lower()
    else:
        yield from ((str(place.path), place.kind) for place in expand(one, kind))


def _only(src: Input) -> Input:
    while isinstance(src, Sequence) and not isinstance(src, str) and len(src) == 1:
        src = src[0]
    return src


def _is_source(one: object) -> bool:
    """Return True if ``one`` is a Source already; paths and tables in memory must be opened."""
    return hasattr(one, "batches") and hasattr(one, "locate")


def _opened(
    one: Any, kind: str | None, rows_from: RowsFrom | None, text: TextOptions | None, drop: Drop | None
) -> Source:
    output = output_of(_only(one))
    if output is None and not _is_source(one):
        return open_source(one, kind=kind, text=text, drop=drop, rows_from=rows_from)
    source: Source = one if output is None else open_output(*output, text, whole=True)
    if drop is None:
        return source
    left = drop.left_of(column.name for column in source.columns)
    return Mapped(source, {name: name for name in left})


def with_key(source: Source, id_from: str, schema: CollectionSchema | None, primary: str | None) -> tuple[Source, str]:
    """Return the source with the primary key that ``id_from`` names, and the name of the key column.

    "row" numbers the rows of the source from 0; "hash" hashes all columns of a row, "hash:a,b" these columns;
    "column:a" takes column a, "column" the one named ``primary``, id or pk. With a schema the key is its primary field.
    Raises SchemaError for an unknown ``id_from``, missing columns, or a key that the server makes.
    """
    how, _, names = id_from.partition(":")
    if how not in ("row", "column", "hash") or (how == "row" and names):
        raise SchemaError(f"id_from is 'row', 'column' or 'hash', or 'column:NAME', 'hash:NAME,...', not {id_from!r}")
    field = schema.primary_field if schema is not None else None
    if field is not None and field.auto_id:
        raise SchemaError(f"the server assigns this key (auto_id), so it cannot come from {how!r}", field=field.name)
    available = [column.name for column in source.columns]
    if how == "column":
        name = names or (field.name if field else primary or next((n for n in ("id", "pk") if n in available), ""))
        return _with_column_as_key(source, name, field)
    name = field.name if field else primary or next((n for n in NEW_KEY_NAMES if n not in available), NEW_KEY_NAMES[0])
    return _with_new_key(source, name, field, (names.split(",") if names else available) if how == "hash" else None)


def _with_column_as_key(source: Source, name: str, field: FieldSchema | None) -> tuple[Source, str]:
    """Return the source with column ``name`` as its key, under the name of ``field``. "" is no column."""
    available = [column.name for column in source.columns]
    if name not in available:
        wanted = f"a column {name!r}" if name else "the name of a column (id_from='column:NAME')"
        raise SchemaError(f"the primary key needs {wanted}; there are {names_text(available)}", field=name or None)
    if field is None or field.name == name:
        return source, name
    if field.name in available:
        raise SchemaError(f"the source has a column of this name, and {name!r} is to be it", field=field.name)
    return Mapped(source, {field.name if one == name else one: one for one in available}), field.name


def _with_new_key(
    source: Source, name: str, field: FieldSchema | None, hashed: Sequence[str] | None
) -> tuple[Source, str]:
    """Return the source with a new key column: the hash of the columns ``hashed``. None: the number of the row."""
    available = [column.name for column in source.columns]
    if name in available:
        raise SchemaError("the source has a column of this name; give one of them another name", field=name)
    for one in hashed or ():
        if one not in available:
            raise SchemaError(f"there is no such column to hash, only {names_text(available)}", field=one)
    is_text = field is not None and field.dtype is not None and TYPES[DataType(field.dtype)].group == "text"
    return Keyed(source, name, hashed, as_text=is_text), name


def cut(source: Source, skip: int, limit: int | None) -> Source:
    """Return the rows from ``skip`` on, at most ``limit``. Raises SchemaError for numbers below 0."""
    if skip < 0 or (limit is not None and limit < 0):
        raise SchemaError(f"skip and limit are at least 0, got {skip} and {limit}")
    return source if skip == 0 and limit is None else Sliced(source, skip, limit)
