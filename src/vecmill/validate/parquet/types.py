"""Which Arrow type the server takes for which field, release line by release line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vecmill.encode.plan import ColumnPlan
from vecmill.schema.servers import (
    FIXED_SIZE_LISTS,
    NULLABLE_FIXED_SIZE_LISTS,
    SPARSE_STRUCTS,
    STRUCT_TYPES_HELD,
)
from vecmill.types.kind import Line

PaType = Any
_INDEX_TYPES = ("int32", "uint32", "int64", "uint64")


def type_rule(plan: ColumnPlan, kind: PaType, line: Line) -> str | None:
    """Return the rule that a column of this type breaks on servers of this line. None: they take it."""
    import pyarrow.types as pt

    if pt.is_null(kind):
        return None if plan.nullable or plan.field.default_value is not None else "parquet-type"
    if plan.kind.group == "sparse":
        return None if pt.is_string(kind) or (line >= SPARSE_STRUCTS and _is_sparse_struct(kind)) else "parquet-type"
    if plan.kind.group == "struct":
        return _struct(plan, kind, line)
    if plan.kind.group == "array":
        return _array(plan, plan.items[0], kind, line)
    if plan.is_vector:
        return _vector(plan, kind, line)
    return _taken(plan.kind.arrow, kind, line)


def _taken(arrow: Mapping[str, Line], kind: PaType, line: Line) -> str | None:
    """Return None if servers of this line take the type. ``arrow``: as in `Kind`."""
    since = arrow.get(str(kind))
    return None if since is not None and line >= since else "parquet-type"


def _lists(kind: PaType, line: Line, *, nullable: bool) -> bool:
    """Return True if the server takes this kind of list. It reads a large_list as a list."""
    import pyarrow.types as pt

    if pt.is_fixed_size_list(kind):
        return line >= (NULLABLE_FIXED_SIZE_LISTS if nullable else FIXED_SIZE_LISTS)
    return bool(pt.is_list(kind) or pt.is_large_list(kind))


def _array(plan: ColumnPlan, item: ColumnPlan, kind: PaType, line: Line) -> str | None:
    if not _lists(kind, line, nullable=plan.nullable):
        return "parquet-type"
    return _taken(item.kind.arrow, kind.value_type, line)


def _vector(plan: ColumnPlan, kind: PaType, line: Line) -> str | None:
    import pyarrow.types as pt

    if plan.kind.is_bytes and (pt.is_binary(kind) or pt.is_large_binary(kind)):
        return None if pt.is_binary(kind) else "parquet-type"
    if not _lists(kind, line, nullable=plan.nullable):
        return "parquet-type"
    arrow = plan.kind.arrow_nullable if plan.nullable else None
    return _taken(arrow or plan.kind.arrow, kind.value_type, line)


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
        return _taken(item.kind.arrow_in_struct or item.kind.arrow, kind.value_type, line)
    rule = _taken(item.kind.arrow, kind, line)
    # 2.6 reads zeros from a narrower type than the field's, 3.0 refuses it.
    if rule is None and item.kind.group in ("int", "float") and str(kind) != item.kind.name:
        return "parquet-type" if line >= STRUCT_TYPES_HELD else "parquet-narrow"
    return rule


def _is_sparse_struct(kind: PaType) -> bool:
    import pyarrow.types as pt

    if not pt.is_struct(kind):
        return False
    members = {member.name: member.type for member in kind}
    if any(name not in members or not pt.is_list(members[name]) for name in ("indices", "values")):
        return False
    indices, values = (str(members[name].value_type) for name in ("indices", "values"))
    return indices in _INDEX_TYPES and values in ("float", "double")
