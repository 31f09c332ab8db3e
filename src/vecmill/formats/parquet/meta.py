"""Parquet metadata: schema, page headers, column chunks, footer. Pure functions from facts to bytes.

Source: Apache Parquet format 2.10, src/main/thrift/parquet.thrift and LogicalTypes.md. The schema mirrors what pyarrow
writes for the same columns (all optional, three-level lists named list.element), since that is what the server's reader
is tested with, but holds no ARROW:schema: the server would restore types from it that it then refuses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vecmill.encode.plan import ColumnPlan
from vecmill.formats.parquet.thrift import Value, binary, boolean, i8, i16, i32, i64, sequence, struct
from vecmill.types.kind import ParquetForm
from vecmill.version import __version__

MAGIC = b"PAR1"
# As readers take it apart: APPLICATION version NUMBER (build HASH).
CREATED_BY = f"vecmill version {__version__}"

_OPTIONAL, _REPEATED = 1, 2
_PLAIN, _RLE, _RLE_DICTIONARY = 0, 3, 8
CODECS: Mapping[str, int] = {"none": 0, "snappy": 1, "zstd": 6}

_PHYSICAL = {"BOOLEAN": 0, "INT32": 1, "INT64": 2, "FLOAT": 4, "DOUBLE": 5, "BYTE_ARRAY": 6}
_CONVERTED = {"STRING": 0, "LIST": 3, "UINT_8": 11, "INT_8": 15, "INT_16": 16}
_LIST_STEPS = ("list", "element")


def _annotation(form: ParquetForm) -> list[tuple[int, Value]]:
    """Return the logical type of a leaf: as ConvertedType for old readers, then as LogicalType."""
    if not form.annotation:
        return []
    if form.annotation == "STRING":
        logical = struct([(1, struct())])
    else:
        bits = 16 if form.annotation == "INT_16" else 8
        logical = struct([(10, struct([(1, i8(bits)), (2, boolean(form.annotation != "UINT_8"))]))])
    return [(6, i32(_CONVERTED[form.annotation])), (10, logical)]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A leaf column of the Parquet schema: the form of its values and its path."""

    form: ParquetForm
    path: tuple[str, ...]


def leaves(plan: ColumnPlan) -> tuple[Leaf, ...]:
    """Return the leaves of a column: one for each sub-field of a struct array, otherwise one."""
    within = (plan.name, *_LIST_STEPS)
    if plan.kind.group == "struct":
        return tuple(Leaf(item.kind.parquet_nested, (*within, *_path(item))) for item in plan.items)
    if plan.kind.group == "array":
        return (Leaf(plan.items[0].kind.parquet_nested, within),)
    return (Leaf(plan.kind.parquet, within if plan.kind.parquet.is_list else (plan.name,)),)


def _path(item: ColumnPlan) -> tuple[str, ...]:
    """Return the path of a sub-field within its struct: there every vector is a list."""
    return (item.name, *_LIST_STEPS) if item.is_vector else (item.name,)


def _leaf(leaf: Leaf) -> Value:
    head = [(1, i32(_PHYSICAL[leaf.form.physical])), (3, i32(_OPTIONAL)), (4, binary(leaf.path[-1]))]
    return struct([*head, *_annotation(leaf.form)])


def _list_of(name: str, element: Sequence[Value]) -> list[Value]:
    """Return an optional list in three levels, around the tree of its optional element."""
    is_list = [(6, i32(_CONVERTED["LIST"])), (10, struct([(3, struct())]))]
    return [
        struct([(3, i32(_OPTIONAL)), (4, binary(name)), (5, i32(1)), *is_list]),
        struct([(3, i32(_REPEATED)), (4, binary("list")), (5, i32(1))]),
        *element,
    ]


def _tree(plan: ColumnPlan) -> list[Value]:
    own = leaves(plan)
    if plan.kind.group != "struct":
        only = [_leaf(own[0])]
        return only if len(own[0].path) == 1 else _list_of(plan.name, only)
    element = [struct([(3, i32(_OPTIONAL)), (4, binary("element")), (5, i32(len(own)))])]
    for item, leaf in zip(plan.items, own, strict=True):
        part = [_leaf(leaf)]
        element += _list_of(item.name, part) if item.is_vector else part
    return _list_of(plan.name, element)


def schema_elements(plans: Sequence[ColumnPlan]) -> list[Value]:
    """Return the flattened schema tree."""
    root = struct([(4, binary("schema")), (5, i32(len(plans)))])
    return [root, *(value for plan in plans for value in _tree(plan))]


def page_header(form: ParquetForm, n_values: int, raw_bytes: int, stored_bytes: int) -> bytes:
    """Return the header of a v1 data page; the levels are RLE."""
    encoding = _RLE_DICTIONARY if form.dictionary else _PLAIN
    page = struct([(1, i32(n_values)), (2, i32(encoding)), (3, i32(_RLE)), (4, i32(_RLE))])
    return struct([(1, i32(0)), (2, i32(raw_bytes)), (3, i32(stored_bytes)), (5, page)]).data


def dictionary_header(raw_bytes: int, stored_bytes: int) -> bytes:
    """Return the header of a dictionary page of INT32 values, PLAIN."""
    page = struct([(1, i32(raw_bytes // 4)), (2, i32(_PLAIN))])
    return struct([(1, i32(2)), (2, i32(raw_bytes)), (3, i32(stored_bytes)), (7, page)]).data


@dataclass(slots=True)
class ColumnChunk:
    """Facts of one column in one row group, gathered page by page.

    ``offset``: where its first page begins, ``data_offset`` where the first that is no dictionary does.
    """

    leaf: Leaf
    offset: int
    data_offset: int
    n_values: int = 0
    n_nulls: int = 0
    raw_bytes: int = 0
    stored_bytes: int = 0
    low: int | None = None
    high: int | None = None

    def encode(self, codec: int) -> Value:
        """Return the ColumnChunk struct."""
        in_dictionary = bool(self.leaf.form.dictionary)
        encodings = [_PLAIN, _RLE, _RLE_DICTIONARY] if in_dictionary else [_PLAIN, _RLE]
        meta = struct(
            [
                (1, i32(_PHYSICAL[self.leaf.form.physical])),
                (2, sequence([i32(encoding) for encoding in encodings])),
                (3, sequence([binary(part) for part in self.leaf.path])),
                (4, i32(codec)),
                (5, i64(self.n_values)),
                (6, i64(self.raw_bytes)),
                (7, i64(self.stored_bytes)),
                (9, i64(self.data_offset)),
                *([(11, i64(self.offset))] if in_dictionary else []),
                (12, self._statistics()),
            ]
        )
        return struct([(2, i64(self.offset)), (3, meta)])

    def _statistics(self) -> Value:
        counts = [(3, i64(self.n_nulls))]
        if self.low is None or self.high is None:
            return struct(counts)
        size = 8 if self.leaf.form.physical == "INT64" else 4
        low, high = (binary(limit.to_bytes(size, "little", signed=True)) for limit in (self.low, self.high))
        return struct([*counts, (5, high), (6, low)])


@dataclass(slots=True)
class RowGroup:
    """Facts of one row group."""

    n_rows: int
    chunks: list[ColumnChunk] = field(default_factory=list)

    def encode(self, ordinal: int, codec: int) -> Value:
        """Return the RowGroup struct."""
        fields = [
            (1, sequence([chunk.encode(codec) for chunk in self.chunks])),
            (2, i64(sum(chunk.raw_bytes for chunk in self.chunks))),
            (3, i64(self.n_rows)),
            (5, i64(self.chunks[0].offset)),
            (6, i64(sum(chunk.stored_bytes for chunk in self.chunks))),
        ]
        # The ordinal is a 16-bit field, and optional: a file of more row groups goes without.
        return struct([*fields, (7, i16(ordinal))] if ordinal < 2**15 else fields)


def footer(plans: Sequence[ColumnPlan], groups: Sequence[RowGroup], codec: int, key_values: Mapping[str, str]) -> bytes:
    """Return the end of the file: FileMetaData, its length, the magic."""
    fields: list[tuple[int, Value]] = [
        (1, i32(2)),
        (2, sequence(schema_elements(plans))),
        (3, i64(sum(group.n_rows for group in groups))),
        (4, sequence([group.encode(i, codec) for i, group in enumerate(groups)])),
        (5, sequence([struct([(1, binary(key)), (2, binary(value))]) for key, value in key_values.items()])),
        (6, binary(CREATED_BY)),
        # min_value and max_value mean nothing to a reader without the order they were taken in.
        (7, sequence([struct([(1, struct())]) for plan in plans for _ in leaves(plan)])),
    ]
    data = struct(fields).data
    return data + len(data).to_bytes(4, "little") + MAGIC
