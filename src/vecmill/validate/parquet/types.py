"""Which Arrow type the server takes for which field, release line by release line."""

from __future__ import annotations

from typing import Any

from vecmill.encode.plan import ColumnPlan
from vecmill.validate.rule import Line

PaType = Any
_SIGNED = ("int8", "int16", "int32", "int64")
_FLOATS = ("float", "double")
_TEXTS = ("text", "json", "meta", "geometry", "timestamptz")
# Of a binary column: rows are bytes. INT8 and float vectors are lists only.
_BYTES = ("binary_vector", "float16_vector", "bfloat16_vector")
_INDEX_TYPES = ("int32", "uint32", "int64", "uint64")


def type_rule(plan: ColumnPlan, kind: PaType, line: Line) -> str | None:
    """Return the rule that a column of this type breaks on servers of this line, None where they take it."""
    import pyarrow.types as pt

    if pt.is_null(kind):
        return None if plan.nullable or plan.field.default_value is not None else "parquet-type"
    if plan.kind in _TEXTS:
        return None if pt.is_string(kind) else "parquet-type"
    if plan.kind == "sparse":
        return None if pt.is_string(kind) or (line >= (2, 5) and _is_sparse_struct(kind)) else "parquet-type"
    if plan.kind == "struct":
        return _struct(plan, kind, line)
    if plan.kind == "array":
        return _list_of(plan, plan.items[0], kind, line)
    if plan.is_vector:
        return _vector(plan, kind, line)
    return _scalar(plan, kind, line)


def _scalar(plan: ColumnPlan, kind: PaType, line: Line) -> str | None:
    import pyarrow.types as pt

    if plan.kind == "bool":
        return None if pt.is_boolean(kind) else "parquet-type"
    name = str(kind)
    own = plan.kind
    if name == own:
        return None
    if own in _SIGNED:
        return None if name in _SIGNED[: _SIGNED.index(own)] else "parquet-type"
    # FLOAT and DOUBLE. 2.3 does not narrow.
    return None if name in _SIGNED or (name in _FLOATS and line >= (2, 4 if own == "float" else 0)) else "parquet-type"


def _lists(kind: PaType, line: Line, *, nullable: bool) -> bool:
    """Whether the server takes this kind of list. A large_list comes to it as a plain one."""
    import pyarrow.types as pt

    if pt.is_fixed_size_list(kind):
        return line >= ((3, 0) if nullable else (2, 6))
    return bool(pt.is_list(kind) or pt.is_large_list(kind))


def _list_of(plan: ColumnPlan, item: ColumnPlan, kind: PaType, line: Line) -> str | None:
    import pyarrow.types as pt

    if not _lists(kind, line, nullable=plan.nullable):
        return "parquet-type"
    if item.kind == "text":
        return None if pt.is_string(kind.value_type) else "parquet-type"
    return _scalar(item, kind.value_type, line)


def _vector(plan: ColumnPlan, kind: PaType, line: Line) -> str | None:
    import pyarrow.types as pt

    if plan.kind in _BYTES and (pt.is_binary(kind) or pt.is_large_binary(kind)):
        return None if pt.is_binary(kind) else "parquet-type"
    if not _lists(kind, line, nullable=plan.nullable):
        return "parquet-type"
    element = str(kind.value_type)
    if plan.kind in _BYTES:
        halves = plan.kind != "binary_vector" and line >= (3, 0) and element == "float"
        return None if element == "uint8" or halves else "parquet-type"
    if plan.kind == "int8_vector":
        return None if element == "int8" else "parquet-type"
    if plan.nullable:
        return None if element == "float" else "parquet-type"
    # 2.3 does not make floats of integers.
    return None if element in (_FLOATS if line < (2, 4) else (*_FLOATS, *_SIGNED)) else "parquet-type"


def _struct(plan: ColumnPlan, kind: PaType, line: Line) -> str | None:
    import pyarrow.types as pt

    if not (pt.is_list(kind) or pt.is_large_list(kind)) or not pt.is_struct(kind.value_type):
        return "parquet-type"
    members = {member.name: member.type for member in kind.value_type}
    if sorted(members) != sorted(item.name for item in plan.items) or kind.value_type.num_fields != len(plan.items):
        return "parquet-type"
    rules = [_member(item, members[item.name], line) for item in plan.items]
    return next((rule for rule in ("parquet-type", "parquet-narrow") if rule in rules), None)


def _member(item: ColumnPlan, kind: PaType, line: Line) -> str | None:
    import pyarrow.types as pt

    if item.is_vector:
        if not (pt.is_list(kind) or pt.is_large_list(kind)):
            return "parquet-type"
        wanted = {"float_vector": ("float", "double") if line >= (2, 6) else ("float",), "int8_vector": ("int8",)}
        return None if str(kind.value_type) in wanted.get(item.kind, ("uint8",)) else "parquet-type"
    if item.kind == "text":
        return None if pt.is_string(kind) else "parquet-type"
    rule = _scalar(item, kind, line)
    # 2.6 reads zeros from a narrower type than the field's, 3.0 refuses it.
    if rule is None and str(kind) != item.kind and item.kind != "bool":
        return "parquet-type" if line >= (3, 0) else "parquet-narrow"
    return rule


def _is_sparse_struct(kind: PaType) -> bool:
    import pyarrow.types as pt

    if not pt.is_struct(kind):
        return False
    members = {member.name: member.type for member in kind}
    if any(name not in members or not pt.is_list(members[name]) for name in ("indices", "values")):
        return False
    indices, values = (str(members[name].value_type) for name in ("indices", "values"))
    return indices in _INDEX_TYPES and values in _FLOATS
