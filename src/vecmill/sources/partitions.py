"""Columns that the names of folders tell: ``lang=en/year=2020/part-0.parquet``, as Hive and its kin lay tables out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from vecmill.errors import DataError
from vecmill.sources.base import Column, Source

_KEY = re.compile(r"([^=/\\]+)=([^/\\]*)")
_NULL = "__HIVE_DEFAULT_PARTITION__"
_INTEGER = re.compile(r"-?[0-9]{1,18}")

Keys = Mapping[str, str | None]
"""The names and values that the folders above a file tell."""


def is_key(folder: str) -> bool:
    """Return True for the name of a folder that tells a column: ``lang=en``."""
    return _KEY.fullmatch(folder) is not None


def keys_of(file: str) -> dict[str, str | None]:
    """Return what the folders above a file tell, by its path or URL."""
    found: dict[str, str | None] = {}
    for folder in re.split(r"[/\\]", file)[:-1]:
        if match := _KEY.fullmatch(folder):
            value = unquote(match[2])
            found[unquote(match[1])] = None if value == _NULL else value
    return found


class Partitioned:
    """A source of files, with columns that their folders tell beside its own.

    ``keys`` has those of every file by its place, ``wanted`` the fields of such columns, and ``types`` the Arrow types
    in which they are wanted: else they are int64 where all of a column are whole numbers, or text. ``source`` may have
    some of the columns, too; its values must be the same. ``counts``: its one column is there to count rows only.

    Raises DataError for a value that is not of its type, with the file; here, before a row is read.
    """

    def __init__(
        self,
        source: Source,
        keys: Mapping[str, Keys],
        wanted: Mapping[str, str],
        types: Mapping[str, Any],
        *,
        counts: bool = False,
    ) -> None:
        self._source = source
        self._counts = counts
        self._texts = keys
        self._names = dict(wanted)
        self._values: dict[str, dict[str, Any]] = {file: {} for file in keys}
        columns = {} if counts else {column.name: column for column in source.columns}
        for field, name in wanted.items():
            type_ = columns[field].type if field in columns else _type_of(name, keys, types)
            nulls = self._enter(field, name, type_)
            column = columns.get(field) or Column(field, name, type_, 0)
            columns[field] = replace(column, null_count=None if nulls else column.null_count, file="", absent="")
        self.columns = tuple(columns.values())
        self.n_bytes = source.n_bytes
        self.locate = source.locate

    def _enter(self, field: str, name: str, type_: Any) -> bool:
        """Note the value of a field for every file; return True if one of them is null."""
        import pyarrow as pa

        seen: dict[str | None, Any] = {}
        for file, texts in self._texts.items():
            text = texts.get(name)
            if text not in seen:
                try:
                    seen[text] = pa.scalar(text, pa.string()).cast(type_)
                except (pa.ArrowException, ValueError):
                    raise DataError(
                        file=file, field=field, expected=f"{type_} as {name!r} in the name of a folder", got=repr(text)
                    ) from None
            self._values[file][field] = seen[text]
        return None in seen

    @property
    def n_rows(self) -> int | None:
        """Return the rows of the files; None when only reading to the end can tell."""
        return self._source.n_rows

    def batches(
        self, names: Sequence[str] | None = None, *, batch_rows: int | None = None, start_row: int = 0
    ) -> Iterator[Mapping[str, Any]]:
        """Yield the batches of the files with what their folders tell; see `Source.batches`."""
        import pyarrow as pa

        asked = [column.name for column in self.columns if names is None or column.name in names]
        own = [column.name for column in self._source.columns]
        read = own if self._counts else [name for name in own if name in asked] or own[:1]
        row = start_row
        for batch in self._source.batches(read, batch_rows=batch_rows, start_row=start_row):
            file, first = self._source.locate(row)
            n = len(next(iter(batch.values())))
            found = {name: batch[name] for name in asked if name in batch}
            for field, value in self._values.get(file, {}).items():
                if field in found:
                    self._compare(field, found[field], value, file, first)
                elif field in asked:
                    found[field] = pa.repeat(value, n)
            yield found
            row += n

    def _compare(self, field: str, values: Any, value: Any, file: str, first: int) -> None:
        """Raise DataError for a row of a file that says something else than its folder."""
        import pyarrow as pa
        import pyarrow.compute as pc

        plain = values.cast(value.type) if values.type != value.type else values
        same = pc.is_null(plain) if not value.is_valid else pc.fill_null(pc.equal(plain, value), False)
        if not pc.all(same).as_py():
            row = pc.index(same, pa.scalar(False)).as_py()
            name = self._names[field]
            text = self._texts[file][name]
            expected = f"{name}={_NULL if text is None else text}, as the name of its folder"
            raise DataError(file=file, field=field, row=first + row, expected=expected, got=repr(values[row].as_py()))


def _type_of(name: str, keys: Mapping[str, Keys], types: Mapping[str, Any]) -> Any:
    import pyarrow as pa

    if name in types and not pa.types.is_nested(types[name]) and not hasattr(types[name], "storage_type"):
        return types[name]
    values = {texts.get(name) for texts in keys.values()} - {None}
    return pa.int64() if values and all(_INTEGER.fullmatch(value or "") for value in values) else pa.string()
