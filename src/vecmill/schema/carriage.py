"""What each format can carry, type by type, and which server reads it: the one table.

docs/formats.md is printed from it (``python -m vecmill.schema.carriage``). A release line of the server means its
latest patch release. Sources: milvus source internal/util/importutilv2, the release notes of 2.2 to 3.0, and trials
with 2.3.5.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from vecmill.errors import SchemaError
from vecmill.filetype import FORMATS, BulkFileType
from vecmill.schema.collection import CollectionSchema, FieldSchema
from vecmill.types.datatypes import DataType

F = BulkFileType
D = DataType
Version = tuple[int, int, int]

TARGETS: Mapping[str, tuple[int, int]] = {
    "2.3": (2, 3),
    "2.4": (2, 4),
    "2.5": (2, 5),
    "2.6": (2, 6),
    "3.0": (3, 0),
    # Follows the newest 2.6.
    "cloud": (2, 6),
}


@dataclass(frozen=True, slots=True)
class Carriage:
    """How a format carries something, and since which release of the server; ``since`` is None where it never does.

    ``how`` then says why not, and what to do about it.
    """

    how: str
    since: Version | None = (2, 2, 0)

    @property
    def is_carried(self) -> bool:
        """Whether any server reads it."""
        return self.since is not None


def _no(why: str) -> Carriage:
    return Carriage(why, None)


def _row(
    parquet: Carriage | str,
    npy: Carriage | str,
    json: Carriage | str,
    csv: Carriage | str | None = None,
    since: Version = (2, 2, 0),
) -> Mapping[BulkFileType, Carriage]:
    """Make a row of a table: ``json`` stands for CSV unless that is given. Dialects carry what their format does."""
    cells = {F.PARQUET: parquet, F.NUMPY: npy, F.JSON: json, F.CSV: json if csv is None else csv}
    row = {}
    for form, known in FORMATS.items():
        cell = cells[known.dialect_of or form]
        one = Carriage(cell, since) if isinstance(cell, str) else cell
        row[form] = one if one.since is None else Carriage(one.how, max(one.since, known.since))
    return row


_USE_PARQUET = "use PARQUET or JSON"
_NO_STRUCT = _no(f"NPY cannot carry struct arrays; {_USE_PARQUET}")
_NO_NULLS = "as the type, and every row must have a value: NPY cannot carry a null"

TYPE_TABLE: Mapping[str, Mapping[BulkFileType, Carriage]] = {
    "BOOL": _row("boolean", "|b1", "true, false"),
    "INT8": _row("int8", "|i1", "number"),
    "INT16": _row("int16", "<i2", "number"),
    "INT32": _row("int32", "<i4", "number"),
    "INT64": _row("int64", "<i8", "number"),
    "FLOAT": _row("float", "<f4", "number, shortest digits of the float32"),
    "DOUBLE": _row("double", "<f8", "number, shortest digits"),
    "VARCHAR": _row("string", "<U, as wide as the longest value", "string"),
    "TEXT": _row(
        Carriage("string", (3, 0, 0)),
        _no("the server does not read TEXT from NPY; use PARQUET"),
        Carriage("string", (3, 0, 0)),
        _no("no server is known to read TEXT from CSV; use PARQUET"),
    ),
    "JSON": _row("string, JSON text", "<U, JSON text", "object, or a string with JSON text", "JSON text"),
    "GEOMETRY": _row("string, WKT", Carriage("<U, WKT", (3, 0, 0)), "string, WKT", "WKT", (2, 6, 6)),
    "TIMESTAMPTZ": _row(
        "string", _no(f"the server does not read TIMESTAMPTZ from NPY; {_USE_PARQUET}"), "string", "text", (2, 6, 6)
    ),
    "ARRAY": _row("list<element>", _no(f"NPY cannot carry an ARRAY; {_USE_PARQUET}"), "list", "JSON list"),
    "STRUCT": _row(
        "list<struct>",
        _NO_STRUCT,
        "list of objects",
        "JSON list of objects",
        (2, 6, 4),
    ),
    "FLOAT_VECTOR": _row("list<float>", "<f4 (n, dim)", "list of numbers"),
    "BINARY_VECTOR": _row("binary, dim / 8 bytes", "|u1 (n, dim / 8)", "list of dim / 8 bytes"),
    "FLOAT16_VECTOR": _row(
        "binary, 2 * dim bytes", Carriage("|u1 (n, 2 * dim)", (2, 4, 5)), "list of numbers", since=(2, 4, 1)
    ),
    "BFLOAT16_VECTOR": _row(
        "binary, 2 * dim bytes", Carriage("|u1 (n, 2 * dim)", (2, 4, 5)), "list of numbers", since=(2, 4, 1)
    ),
    "INT8_VECTOR": _row("list<int8>", "|i1 (n, dim)", "list of numbers", since=(2, 6, 0)),
    "SPARSE_FLOAT_VECTOR": _row(
        "string, JSON object",
        _no(f"NPY cannot carry a sparse vector; {_USE_PARQUET}"),
        "object",
        "JSON object",
        (2, 4, 3),
    ),
}
"""A row for every type that a field can have."""

FEATURE_TABLE: Mapping[str, Mapping[BulkFileType, Carriage]] = {
    "nullable scalar": _row("null", Carriage(_NO_NULLS, (2, 6, 0)), "null", "a cell that equals nullkey", (2, 5, 0)),
    "nullable ARRAY": _row(
        "null; an empty list is refused, for the server reads it as null",
        _no("NPY cannot carry an ARRAY"),
        "null",
        "a cell that equals nullkey",
        (2, 5, 0),
    ),
    "nullable vector": _row("null", _NO_NULLS, "null", "a cell that equals nullkey", (2, 6, 18)),
    "nullable STRUCT": _row("null", _NO_STRUCT, "null", "a cell that equals nullkey", (3, 0, 0)),
    "dynamic field": _row("$meta, string", "$meta.npy", "$meta, object", "$meta, JSON object"),
    "output of a function": _row("left out", "left out", "left out", since=(2, 5, 0)),
    "several vector fields": _row("yes", "yes", "yes", since=(2, 4, 0)),
    "auto-id key with supplied values": _row(
        "as the type",
        _no("the server refuses a file for an auto-id key in NPY; use PARQUET or JSON"),
        "as the type",
        "as the type, but not beside a dynamic field: the server would put the key there",
        (2, 6, 0),
    ),
    "FLOAT_VECTOR in STRUCT": _row("list<float>", _NO_STRUCT, "list of numbers", since=(2, 6, 4)),
    "INT8_VECTOR in STRUCT": _row(Carriage("list<int8>", (2, 6, 4)), _NO_STRUCT, "list of numbers", since=(3, 0, 0)),
    "BINARY_VECTOR in STRUCT": _row(Carriage("list<uint8>", (2, 6, 4)), _NO_STRUCT, "list of bytes", since=(3, 0, 0)),
    "half vector in STRUCT": _row("list<uint8>", _NO_STRUCT, "list of numbers", since=(3, 0, 0)),
}
"""What a schema can ask for beside plain types."""

_STRUCT_VECTORS = {D.FLOAT16_VECTOR: "half vector in STRUCT", D.BFLOAT16_VECTOR: "half vector in STRUCT"}


def _asked(schema: CollectionSchema) -> Iterator[tuple[str | None, str]]:
    """Yield what a schema asks of a file: (field, row of one of the tables)."""
    fields = [field for field in schema.written_fields() if not field.is_dynamic]
    for field in fields:
        yield field.name, "STRUCT" if field.is_struct else field.dtype.name
        if field.nullable:
            yield field.name, f"nullable {_nullable_kind(field)}"
        if field.is_primary and field.auto_id:
            yield field.name, "auto-id key with supplied values"
        for sub in field.struct_fields:
            if sub.spec.group == "dense":
                row = _STRUCT_VECTORS.get(sub.dtype, f"{sub.dtype.name} in STRUCT")
                yield f"{field.name}[{sub.name}]", row
    if sum(field.spec.is_vector for field in fields) > 1:
        yield None, "several vector fields"
    if schema.enable_dynamic_field:
        yield None, "dynamic field"
    for field in schema.fields:
        if field.is_function_output:
            yield field.name, "output of a function"


def _nullable_kind(field: FieldSchema) -> str:
    if field.is_struct:
        return "STRUCT"
    if field.spec.is_vector:
        return "vector"
    return "ARRAY" if field.dtype is D.ARRAY else "scalar"


def check_target(schema: CollectionSchema, form: BulkFileType, target: str | None) -> None:
    """Refuse a schema that the format cannot carry, or that the target's server would not read from it.

    ``target`` is a key of TARGETS; None stands for what every server reads that knows the type. Raises SchemaError,
    with the field and the nearest way out, or ValueError for an unknown target.
    """
    if target is not None and target not in TARGETS:
        raise ValueError(f"target {target!r} is not one of {', '.join(TARGETS)}")
    line = TARGETS[target] if target is not None else None
    if line is not None and FORMATS[form].since[:2] > line:
        raise SchemaError(
            f"target {target} does not read {form.name} files, servers do from {_version(FORMATS[form].since)} on; "
            f"use {_ways_out({other: one.since for other, one in FORMATS.items()}, line)}"
        )
    for field, name in _asked(schema):
        row = TYPE_TABLE.get(name) or FEATURE_TABLE[name]
        cell = row[form]
        if cell.since is None:
            raise SchemaError(cell.how, field=field)
        if line is not None and cell.since[:2] > line:
            since = {other: one.since for other, one in row.items() if one.since is not None}
            raise SchemaError(
                f"target {target} does not read {name} from {form.name} files, servers do from "
                f"{_version(cell.since)} on; use {_ways_out(since, line) or 'another type'}",
                field=field,
            )
    supplied = any(field.is_primary and field.auto_id for field in schema.written_fields())
    if form is F.CSV and supplied and schema.enable_dynamic_field:
        raise SchemaError(
            "beside a dynamic field the server would put the auto-id key of a CSV file into $meta; use PARQUET",
            field=schema.primary_field.name if schema.primary_field else None,
        )


def _ways_out(since: Mapping[BulkFileType, Version], line: tuple[int, int]) -> str:
    """Name the formats that the target reads it from; else the first target that reads it at all."""
    forms = [form.name for form, version in since.items() if version[:2] <= line]
    if forms:
        return " or ".join(forms[:2])
    first = min(since.values())
    newer = next((name for name, one in TARGETS.items() if first[:2] <= one), None)
    return f"target {newer}" if newer else ""


def _version(version: Version) -> str:
    return ".".join(map(str, version)).removesuffix(".0")


def as_markdown() -> str:
    """Return docs/formats.md."""
    lines = [
        "# What each format carries",
        "",
        "Printed from a table by `python -m vecmill.schema.carriage`; do not edit. In brackets: the first release",
        "of the server that reads it. A dash: no server does, and a writer refuses the schema.",
        "`target=` (on the command line `--target`) holds a schema to one release line, by its latest patch release:",
        f"{', '.join(TARGETS)}. Without a target, what is written is what every server reads that knows the type.",
    ]
    for title, table in (("Type", TYPE_TABLE), ("Schema", FEATURE_TABLE)):
        lines += ["", f"| {title} | {' | '.join(form.name for form in FORMATS)} |", "|---" * (len(FORMATS) + 1) + "|"]
        lines += [f"| {name} | {' | '.join(_cell(row[form]) for form in FORMATS)} |" for name, row in table.items()]
    lines += [
        "",
        "## Options",
        "",
        "Keys of `config=` of the writers. Any other key is refused, but `sep` and `nullkey` are taken, and without",
        "effect, in all formats, as by pymilvus.",
        "",
        "| Format | Key | Meaning |",
        "|---|---|---|",
    ]
    lines += [
        f"| {form.name} | `{key}` | {words} |" for form, one in FORMATS.items() for key, words in one.options.items()
    ]
    return "\n".join(lines) + "\n"


def _cell(cell: Carriage) -> str:
    how = cell.how.replace("|", "\\|")
    return f"— {how}" if cell.since is None else f"{how} ({_version(cell.since)})"


if __name__ == "__main__":
    print(as_markdown(), end="")
