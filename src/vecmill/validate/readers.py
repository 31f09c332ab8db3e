"""Which servers read a collection from a format, and what they ask of a file of it."""

from __future__ import annotations

import copy
from dataclasses import dataclass

from vecmill.errors import SchemaError
from vecmill.output_formats import BulkFileType
from vecmill.schema.carriage import check_target
from vecmill.schema.collection import CollectionSchema
from vecmill.schema.servers import DEFAULTS_FILLED, NULLABLE_NPY, TARGETS
from vecmill.types.kind import Line


@dataclass(frozen=True, slots=True)
class Readers:
    """The release lines whose rules hold, and the schema that they hold a file to; or why no server reads it."""

    schema: CollectionSchema
    lines: tuple[Line, ...]
    refusal: SchemaError | None = None


def readers_of(
    schema: CollectionSchema, form: BulkFileType, target: str | None, given: frozenset[str] | None
) -> Readers:
    """Return the servers that read a file: all, or that of the target. ``given``: its columns, where they are known.

    What a file may leave out, no server refuses: values for an auto-id key, and in NPY optional fields of a type that
    it cannot carry.
    """
    names = tuple(TARGETS) if target is None else (target,)
    lines, refusal = _lines(schema, form, names)
    if refusal is not None:
        lean, is_cut = _lean(schema, given)
        if is_cut:  # the collection is still one that the server has to know
            whole, _ = _lean(schema, None)
            known, unknown = _lines(whole, BulkFileType.PARQUET, names)
            known = () if unknown else tuple(line for line in known if line >= NULLABLE_NPY)
            names = tuple(name for name in names if TARGETS[name] in known)
        good, lean_refusal = _lines(lean, form, names)
        if good and lean_refusal is None:
            schema, lines, refusal = lean, good, None
    return Readers(_without_defaults(schema) if max(lines) < DEFAULTS_FILLED else schema, lines, refusal)


def _lines(
    schema: CollectionSchema, form: BulkFileType, names: tuple[str, ...]
) -> tuple[tuple[Line, ...], SchemaError | None]:
    """Return those of the targets that read it; if none does, all of them and what the last one says."""
    good, refusal = [], None
    for name in names:
        try:
            check_target(schema, form, name)
            good.append(TARGETS[name])
        except SchemaError as error:
            refusal = error
    return (tuple(good), None) if good else (tuple(TARGETS[name] for name in names), refusal)


def _lean(schema: CollectionSchema, given: frozenset[str] | None) -> tuple[CollectionSchema, bool]:
    """Return the schema without supplied auto-id keys and optional fields that are not given; whether those are any."""
    lean = copy.copy(schema)
    lean.options.pop("allow_insert_auto_id", None)
    if given is not None:
        lean.fields = [
            field
            for field in lean.fields
            if field.name in given or not (field.nullable or field.default_value is not None)
        ]
    return lean, len(lean.fields) < len(schema.fields)


def _without_defaults(schema: CollectionSchema) -> CollectionSchema:
    plain = copy.copy(schema)
    for field in plain.fields:
        field.default_value = None
    return plain
