"""What each format can carry, and which server reads it: the rows of types, and what a schema asks beside them.

docs/formats.md is printed from here (``python -m vecmill.schema.carriage``). A release line of the server means its
latest patch release. Sources: milvus source internal/util/importutilv2, the release notes of 2.2 to 3.0, and trials
with 2.3.5.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from vecmill.errors import SchemaError
from vecmill.output_formats import FORMATS, BulkFileType
from vecmill.schema.collection import CollectionSchema, FieldSchema
from vecmill.schema.servers import TARGETS, check_target_name
from vecmill.types.kind import NO_STRUCT_IN_NPY, Carriage, Carried, DataType, Line, Version, not_carried
from vecmill.types.lookup import TYPES

F = BulkFileType


def _row(carried: Carried) -> Mapping[BulkFileType, Carriage]:
    """Return the cells of a row by format. Dialects carry what their format does, from their own first release on."""
    row = {}
    for form, known in FORMATS.items():
        own = FORMATS[known.dialect_of or form].rules.name.lower()
        cell: Carriage | str = getattr(carried, own, None) or carried.json
        one = Carriage(cell, carried.since) if isinstance(cell, str) else cell
        row[form] = one if one.since is None else Carriage(one.how, max(one.since, known.since))
    return row


_NO_NULLS = "as the type, and every row must have a value: NPY cannot carry a null"

TYPE_TABLE: Mapping[str, Mapping[BulkFileType, Carriage]] = {
    dtype.name: _row(kind.carried) for dtype, kind in TYPES.items() if kind.carried is not None
}
"""A row for every type that a field can have."""


def _vectors_in_structs() -> dict[str, Carried]:
    """Return the rows of vectors inside of struct arrays: those that were read first, then the widest."""
    found = [(kind.in_struct, kind) for kind in TYPES.values() if kind.in_struct is not None]
    found.sort(key=lambda one: (_row(one[0])[F.PARQUET].since or (), -one[1].bits_per_dim))
    return {kind.in_struct_row: carried for carried, kind in found}


_FEATURES = {
    "nullable scalar": Carried("null", Carriage(_NO_NULLS, (2, 6, 0)), "null", "a cell that equals nullkey", (2, 5, 0)),
    "nullable ARRAY": Carried(
        "null; an empty list is refused, for the server reads it as null",
        not_carried("NPY cannot carry an ARRAY"),
        "null",
        "a cell that equals nullkey",
        (2, 5, 0),
    ),
    "nullable vector": Carried("null", _NO_NULLS, "null", "a cell that equals nullkey", (2, 6, 18)),
    "nullable STRUCT": Carried("null", NO_STRUCT_IN_NPY, "null", "a cell that equals nullkey", (3, 0, 0)),
    "dynamic field": Carried("$meta, string", "$meta.npy", "$meta, object", "$meta, JSON object"),
    "output of a function": Carried("left out", "left out", "left out", since=(2, 5, 0)),
    "several vector fields": Carried("yes", "yes", "yes", since=(2, 4, 0)),
    "auto-id key with supplied values": Carried(
        "as the type",
        not_carried("the server refuses a file for an auto-id key in NPY; use PARQUET or JSON"),
        "as the type",
        "as the type, but not beside a dynamic field: the server would put the key there",
        (2, 6, 0),
    ),
}

FEATURE_TABLE: Mapping[str, Mapping[BulkFileType, Carriage]] = {
    name: _row(carried) for name, carried in (_FEATURES | _vectors_in_structs()).items()
}
"""What a schema can ask for beside plain types."""


def rows_of(schema: CollectionSchema) -> Iterator[tuple[str | None, str]]:
    """Yield what a schema asks of a file: (field, row of one of the tables)."""
    fields = [field for field in schema.written_fields() if not field.is_dynamic]
    for field in fields:
        yield field.name, "STRUCT" if field.is_struct else field.dtype.name
        if field.nullable:
            yield field.name, f"nullable {_nullable_kind(field)}"
        if field.is_primary and field.auto_id:
            yield field.name, "auto-id key with supplied values"
        for sub in field.struct_fields:
            if sub.kind.in_struct is not None:
                yield f"{field.name}[{sub.name}]", sub.kind.in_struct_row
    if sum(field.kind.is_vector for field in fields) > 1:
        yield None, "several vector fields"
    if schema.enable_dynamic_field:
        yield None, "dynamic field"
    for field in schema.fields:
        if field.is_function_output:
            yield field.name, "output of a function"


def _nullable_kind(field: FieldSchema) -> str:
    if field.is_struct:
        return "STRUCT"
    if field.kind.is_vector:
        return "vector"
    return "ARRAY" if field.dtype is DataType.ARRAY else "scalar"


def check_target(schema: CollectionSchema, form: BulkFileType, target: str | None) -> None:
    """Refuse a schema that the format cannot carry, or that the target's server would not read from it.

    ``target`` is a key of TARGETS; None stands for what every server reads that knows the type. Raises SchemaError,
    with the field and the nearest way out, or ValueError for an unknown target.
    """
    check_target_name(target)
    line = TARGETS[target] if target is not None else None
    if line is not None and FORMATS[form].since[:2] > line:
        raise SchemaError(
            f"target {target} does not read {form.name} files, servers do from {_version(FORMATS[form].since)} on; "
            f"use {_ways_out({other: one.since for other, one in FORMATS.items()}, line)}"
        )
    for field, name in rows_of(schema):
        _check_row(field, name, form, target)
    supplied = any(field.is_primary and field.auto_id for field in schema.written_fields())
    if (FORMATS[form].dialect_of or form) is F.CSV and supplied and schema.enable_dynamic_field:
        raise SchemaError(
            "beside a dynamic field the server would put the auto-id key of a CSV file into $meta; use PARQUET",
            field=schema.primary_field.name if schema.primary_field else None,
        )


def _check_row(field: str | None, name: str, form: BulkFileType, target: str | None) -> None:
    """Raise SchemaError if the format cannot carry the row ``name``, or the target does not read it from the format."""
    row = TYPE_TABLE.get(name) or FEATURE_TABLE[name]
    cell = row[form]
    if cell.since is None:
        raise SchemaError(cell.how, field=field)
    if target is not None and cell.since[:2] > TARGETS[target]:
        since = {other: one.since for other, one in row.items() if one.since is not None}
        raise SchemaError(
            f"target {target} does not read {name} from {form.name} files, servers do from "
            f"{_version(cell.since)} on; use {_ways_out(since, TARGETS[target]) or 'another type'}",
            field=field,
        )


def _ways_out(since: Mapping[BulkFileType, Version], line: Line) -> str:
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
