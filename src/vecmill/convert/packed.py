"""One column per dimension: numbered columns of numbers, seen as one column of vectors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vecmill.errors import DataError
from vecmill.schema.collection import CollectionSchema
from vecmill.sources.base import Column, Source, names_text, natural_key, numbered_columns
from vecmill.sources.places import looks_like_arrays

_RANGE = re.compile(r"(.*?)([0-9]+)\.\.([0-9]+)")


def is_pack(name: str) -> bool:
    """Whether a name in ``columns`` stands for several columns: ``emb_*``, ``0..1535``."""
    if name == "*" or looks_like_arrays(name):
        return False
    return "*" in name or _RANGE.fullmatch(name) is not None


def columns_of(name: str, available: Sequence[str]) -> list[str]:
    """Return the columns that a pattern or a range stands for, in the order of their numbers. Raises DataError."""
    found = _RANGE.fullmatch(name)
    if found is None:
        fits = re.compile(".*".join(map(re.escape, name.split("*"))), re.DOTALL)
        names = sorted((one for one in available if fits.fullmatch(one)), key=lambda one: natural_key(Path(one)))
    else:
        names = [f"{found[1]}{i}" for i in range(int(found[2]), int(found[3]) + 1)]
    known = set(available)
    missing = [one for one in names if one not in known]
    if missing or not names:
        raise DataError(expected=f"columns {name!r}", got=f"columns {names_text(list(available))}")
    return names


def with_vectors(source: Source, packs: Mapping[str, str], schema: CollectionSchema | None) -> Source:
    """Return a source in which columns of numbers are the vectors that ``packs`` names (field -> pattern or range).

    Of a schema, the only dense field without a column is packed too, if the columns that no field has are as many
    numbered ones as it has dimensions.
    """
    available = [column.name for column in source.columns]
    groups = {field: columns_of(name, available) for field, name in packs.items()}
    if schema is not None and not packs:
        groups = _told_by_schema(schema, available)
    return Packed(source, groups) if groups else source


def _told_by_schema(schema: CollectionSchema, available: Iterable[str]) -> dict[str, list[str]]:
    fields = {field.name: field for field in schema.written_fields()}
    left = [name for name in available if name not in fields]
    missing = [one for name, one in fields.items() if one.kind.group == "dense" and name not in set(available)]
    if len(missing) != 1 or not left:
        return {}
    names = numbered_columns(left, missing[0].dim or 0)
    return {} if names is None else {missing[0].name: names}


class Packed:
    """Columns of a source of which some make vectors: ``groups`` has the columns of each by its name."""

    def __init__(self, source: Source, groups: Mapping[str, Sequence[str]]) -> None:
        import pyarrow as pa

        self._source = source
        self._groups = dict(groups)
        of = {column.name: column for column in source.columns}
        inside = {name for names in groups.values() for name in names}
        self._whole: dict[str, bool] = {}
        vectors = []
        for field, names in groups.items():
            for name in names:
                self._check(of[name])
            self._whole[field] = all(pa.types.is_integer(of[name].type) for name in names)
            element = pa.int64() if self._whole[field] else pa.float64()
            origin = f"{names[0]} to {names[-1]}"
            vectors.append(Column(field, origin, pa.list_(element, len(names)), None))
        self.columns = (*(column for column in source.columns if column.name not in inside), *vectors)
        self.n_rows = source.n_rows
        self.n_bytes = source.n_bytes

    def _check(self, column: Column) -> None:
        import pyarrow.types as t

        if not (t.is_integer(column.type) or t.is_floating(column.type)):
            file = self._source.locate(0, column.name)[0]
            raise DataError(file=file, field=column.name, expected="a column of numbers", got=f"one of {column.type}")

    def batches(
        self, names: Sequence[str] | None = None, *, batch_rows: int | None = None, start_row: int = 0
    ) -> Iterator[Mapping[str, Any]]:
        """Yield the columns, those of vectors as ndarrays (n, dim); see `Source.batches`."""
        mine = [column.name for column in self.columns] if names is None else list(names)
        read = [one for name in mine for one in self._groups.get(name, (name,))]
        row = start_row
        for batch in self._source.batches(read, batch_rows=batch_rows, start_row=start_row):
            yield {name: self._matrix(name, batch, row) if name in self._groups else batch[name] for name in mine}
            row += len(batch[read[0]])

    def _matrix(self, field: str, batch: Mapping[str, Any], row: int) -> Any:
        import numpy as np

        names = self._groups[field]
        out = np.empty((len(batch[names[0]]), len(names)), np.int64 if self._whole[field] else np.float64)
        for i, name in enumerate(names):
            values = batch[name]
            if getattr(values, "null_count", 0):
                at = int(np.argmin(np.asarray(values.is_valid())))
                file, found = self._source.locate(row + at, name)
                raise DataError(file=file, field=field, row=found, expected=f"a number in {name!r}", got="null")
            out[:, i] = values
        return out

    def locate(self, row: int, name: str | None = None) -> tuple[str, int]:
        """Return file and row in it; see `Source.locate`."""
        names = self._groups.get(name or "", (name,))
        return self._source.locate(row, names[0])
