"""One field of a collection: its type, its flags, and the rules that it can break by itself."""

from __future__ import annotations

import copy
import json
import operator
import re
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from vecmill.errors import SchemaError
from vecmill.types.default_check import default_problem
from vecmill.types.kind import DataType, Kind
from vecmill.types.lookup import TYPES, parse_datatype, plain_value

DYNAMIC_FIELD = "$meta"
MAX_NAME_CHARS = 255
# Servers say 2, Milvus Lite says 1. The looser bound: no server can hold a collection that it wrongly lets through.
MIN_DIM = 1
MAX_DIM = 32_768
# For binary vectors the server multiplies proxy.maxDimension by 8: the limit is on bytes.
MAX_BINARY_DIM = 8 * MAX_DIM
MAX_LENGTH_BYTES = 65_535
MAX_CAPACITY = 4096

_USER_FLAGS = ("is_primary", "auto_id", "is_partition_key", "is_clustering_key", "nullable")
FLAGS = (*_USER_FLAGS, "is_dynamic", "is_function_output")
"""Every flag of a field; the last two are the server's to set."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Columns that the server adds to every collection.
_SYSTEM_NAMES = frozenset({"RowID", "Timestamp"})
_INT_PARAMS = ("dim", "max_length", "max_capacity")
_NOT_PARAMS = ("name", "dtype", "description", "default_value", "element_type", "struct_schema")
_JSON_PARAMS = ("analyzer_params", "multi_analyzer_params")


def as_integer(name: str, value: object, field_name: str | None) -> int:
    """Return an integer, also where it is written as text. Raises SchemaError that calls it ``name``."""
    # describe_collection and the REST API give some numbers as text.
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?[0-9]{1,18}\s*", value):
        return int(value)
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise SchemaError(f"{name} must be an integer, got {value!r}", field=field_name) from None


def as_flag(value: object) -> object:
    """Return True or False for the text "true" or "false" in any case, and everything else as it is."""
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return value


def _param(name: str, value: object, field_name: str) -> object:
    if name in _INT_PARAMS:
        return as_integer(name, value, field_name)
    if name in _JSON_PARAMS and isinstance(value, dict):
        # As pymilvus keeps it, so that a schema equals itself after a trip through the server.
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return as_flag(value)


class FieldSchema:
    """One field of a collection.

    Arguments are pymilvus'. ``dim`` counts dimensions (bits for binary vectors), ``max_length`` bytes of UTF-8,
    ``max_capacity`` array elements; integers written as text are taken. Other keyword arguments (mmap_enabled,
    enable_analyzer, ...) are kept in ``params``. A struct array is ``ARRAY`` of ``STRUCT`` with ``struct_schema``
    (anything with ``fields``, or a list of fields); its sub-fields are in ``struct_fields``.

    Raises SchemaError for a type, number or flag that cannot be understood.
    """

    def __init__(
        self,
        name: str,
        dtype: object,
        description: str = "",
        *,
        is_primary: bool = False,
        auto_id: bool = False,
        is_partition_key: bool = False,
        is_clustering_key: bool = False,
        nullable: bool = False,
        default_value: object = None,
        element_type: object = None,
        max_length: int | str | None = None,
        max_capacity: int | str | None = None,
        dim: int | str | None = None,
        is_dynamic: bool = False,
        is_function_output: bool = False,
        struct_schema: object = None,
        **type_params: Any,
    ) -> None:
        if not isinstance(name, str):
            raise SchemaError(f"a field name must be a string, got {name!r}")
        self.name = name
        self.description = description or ""
        self.dtype, self.element_type = self._types(dtype, element_type)
        self.is_primary, self.auto_id, self.nullable = is_primary, auto_id, nullable
        self.is_partition_key, self.is_clustering_key = is_partition_key, is_clustering_key
        for flag in _USER_FLAGS:
            if not isinstance(getattr(self, flag), bool):
                raise SchemaError(f"{flag} must be True or False, got {getattr(self, flag)!r}", field=name)
        self.is_dynamic, self.is_function_output = bool(is_dynamic), bool(is_function_output)
        self.default_value = plain_value(default_value)
        given = {"dim": dim, "max_length": max_length, "max_capacity": max_capacity, **type_params}
        self.params: dict[str, Any] = {k: _param(k, v, name) for k, v in given.items() if v is not None}
        self.struct_fields: tuple[FieldSchema, ...] = _struct_fields(struct_schema, name)

    def _types(self, dtype: object, element_type: object) -> tuple[DataType, DataType | None]:
        try:
            kind = parse_datatype(dtype)
            # Servers say NONE for "no element type".
            element = parse_datatype(element_type) if element_type not in (None, 0, "", "None") else None
        except SchemaError as exc:
            raise SchemaError(exc.reason, field=self.name) from None
        if kind in (DataType.STRUCT, DataType._ARRAY_OF_STRUCT):
            return DataType.ARRAY, DataType.STRUCT
        if kind not in TYPES:
            raise SchemaError(f"data type {kind.name} is internal to the server", field=self.name)
        return kind, element

    @property
    def kind(self) -> Kind:
        """Return the row of the type table; for a struct array (ARRAY of STRUCT) the row of STRUCT."""
        return TYPES[DataType.STRUCT if self.is_struct else self.dtype]

    @property
    def is_struct(self) -> bool:
        """Return whether this is a struct array."""
        return self.dtype is DataType.ARRAY and self.element_type is DataType.STRUCT

    @property
    def dim(self) -> int | None:
        """Return the dimensions of a vector, or None."""
        return self.params.get("dim")

    @property
    def max_length(self) -> int | None:
        """Return the longest text in bytes of UTF-8, or None; for an ARRAY of VARCHAR, of one element."""
        return self.params.get("max_length")

    @property
    def max_capacity(self) -> int | None:
        """Return the most elements that an array may have, or None."""
        return self.params.get("max_capacity")

    @property
    def row_nbytes(self) -> int | None:
        """Return the bytes of one value in a column buffer, or None for variable width (or a vector without dim)."""
        if self.kind.group == "dense":
            return self.kind.vector_nbytes(self.dim) if self.dim is not None else None
        return self.kind.itemsize or None

    def to_dict(self) -> dict[str, Any]:
        """Return the field as pymilvus' ``to_dict`` shapes it; the default is a plain value, fit for JSON."""
        out: dict[str, Any] = {"name": self.name, "description": self.description}
        params = copy.deepcopy(self.params)
        if self.is_struct:
            out["fields"] = [sub.to_dict() for sub in self.struct_fields]
            if "max_capacity" in params:
                out["max_capacity"] = params.pop("max_capacity")
        else:
            out["type"] = self.dtype
        if params:
            out["params"] = params
        if self.is_primary:
            out |= {"is_primary": True, "auto_id": self.auto_id}
        elif self.auto_id:
            out["auto_id"] = True
        if self.default_value is not None:
            out["default_value"] = self.default_value
        if self.element_type is not None and not self.is_struct:
            out["element_type"] = self.element_type
        shown = (flag for flag in FLAGS if flag not in ("is_primary", "auto_id"))
        return out | {flag: True for flag in shown if getattr(self, flag)}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> FieldSchema:
        """Build a field from the shape of :meth:`to_dict`; a struct array is known by its ``fields``.

        Raises SchemaError when name or type is missing or cannot be understood.
        """
        if not isinstance(raw, Mapping) or "name" not in raw:
            raise SchemaError(f"a field must be a mapping with a 'name', got {raw!r}")
        subs = raw.get("struct_fields", raw.get("fields"))
        if subs is None and raw.get("type") is None:
            raise SchemaError("has no data type", field=raw["name"])
        flags = {flag: raw[flag] for flag in FLAGS if raw.get(flag) is not None}
        # "name" and its like are arguments already; a server that grows such a type parameter must not break us.
        params = {k: v for k, v in (raw.get("params") or {}).items() if k not in _NOT_PARAMS}
        if raw.get("max_capacity") is not None:
            params["max_capacity"] = raw["max_capacity"]
        return cls(
            raw["name"],
            raw["type"] if subs is None else DataType.STRUCT,
            raw.get("description") or "",
            default_value=raw.get("default_value"),
            element_type=raw.get("element_type"),
            struct_schema=subs,
            **{**params, **flags},
        )

    construct_from_dict = from_dict

    def __eq__(self, other: object) -> bool:
        return self.to_dict() == other.to_dict() if isinstance(other, FieldSchema) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __copy__(self) -> FieldSchema:
        return copy.deepcopy(self)

    def __repr__(self) -> str:
        shown = self.to_dict() | ({"type": f"ARRAY<{DataType.STRUCT.name}>"} if self.is_struct else {})
        name, kind = shown.pop("name"), self.dtype.name
        if self.element_type is not None:
            kind += f"<{self.element_type.name}>"
        facts = {
            k: v for k, v in {**shown.pop("params", {}), **shown}.items() if k not in ("type", "element_type") and v
        }
        return f"FieldSchema({', '.join([repr(name), kind, *(f'{k}={v!r}' for k, v in facts.items())])})"

    # -- the server's rules ------------------------------------------------------------------------------------------

    def verify(self) -> None:
        """Check what one field can break by itself; raises SchemaError with the field's name."""
        _verify_name(self)
        if self.dtype is DataType.STRING:
            _refuse(self, "STRING is not supported by any server, use VARCHAR")
        if self.kind.is_vector:
            _verify_dim(self)
        elif self.dtype is DataType.ARRAY:
            _verify_array(self)
        elif self.dtype is DataType.VARCHAR:
            _verify_max_length(self)
        _verify_keys(self)
        if self.default_value is not None:
            _verify_default(self)


def _refuse(field: FieldSchema, reason: str) -> NoReturn:
    raise SchemaError(reason, field=field.name)


def _verify_name(field: FieldSchema) -> None:
    if not field.name:
        _refuse(field, "a field name must not be empty")
    if field.name == DYNAMIC_FIELD:
        _refuse(field, "this name is reserved for the dynamic field, set enable_dynamic_field instead")
    if field.name in _SYSTEM_NAMES:
        _refuse(field, "this name is reserved for a system field of the server")
    if len(field.name) > MAX_NAME_CHARS:
        _refuse(field, f"a field name has at most {MAX_NAME_CHARS} characters, this one has {len(field.name)}")
    if not _NAME.fullmatch(field.name):
        _refuse(
            field, "a field name starts with a letter or an underscore and goes on with letters, digits, underscores"
        )


def _verify_dim(field: FieldSchema) -> None:
    if field.kind.group == "sparse":
        if field.dim is not None:
            _refuse(field, "a sparse vector has no dim")
        return
    is_bits = field.kind.is_bits
    low, top = (8, MAX_BINARY_DIM) if is_bits else (MIN_DIM, MAX_DIM)
    if field.dim is None:
        _refuse(field, f"{field.dtype.name} needs a dim")
    if not low <= field.dim <= top:
        _refuse(field, f"dim must be from {low} to {top}, got {field.dim}")
    if is_bits and field.dim % 8:
        _refuse(field, f"dim of a binary vector must be a multiple of 8, got {field.dim}")


def _verify_max_length(field: FieldSchema) -> None:
    if field.max_length is None:
        _refuse(field, "VARCHAR needs a max_length")
    if not 1 <= field.max_length <= MAX_LENGTH_BYTES:
        _refuse(field, f"max_length must be from 1 to {MAX_LENGTH_BYTES} bytes, got {field.max_length}")


def _verify_array(field: FieldSchema) -> None:
    if field.max_capacity is None:
        _refuse(field, "ARRAY needs a max_capacity")
    if not 1 <= field.max_capacity <= MAX_CAPACITY:
        _refuse(field, f"max_capacity must be from 1 to {MAX_CAPACITY}, got {field.max_capacity}")
    if field.is_struct:
        _verify_struct(field)
    elif field.element_type is None:
        _refuse(field, "ARRAY needs an element_type")
    elif not TYPES[field.element_type].in_array:
        _refuse(field, f"element_type must be a number, BOOL or VARCHAR, got {field.element_type.name}")
    elif field.element_type is DataType.VARCHAR:
        _verify_max_length(field)


def _verify_struct(field: FieldSchema) -> None:
    if not field.struct_fields:
        _refuse(field, "a struct array needs at least one sub-field")
    seen = set()
    for sub in field.struct_fields:
        where = f"{field.name}[{sub.name}]"
        if sub.name in seen:
            raise SchemaError("two sub-fields have this name", field=where)
        seen.add(sub.name)
        banned = [flag for flag in (*_USER_FLAGS, "is_dynamic") if getattr(sub, flag)]
        if banned or sub.default_value is not None:
            raise SchemaError(f"a sub-field cannot have {(banned or ['default_value'])[0]}", field=where)
        if not sub.kind.in_array and sub.kind.in_struct is None:
            raise SchemaError(f"a sub-field cannot be of type {sub.dtype.name}", field=where)
        try:
            sub.verify()
        except SchemaError as exc:
            raise SchemaError(exc.reason, field=where) from None


def _verify_keys(field: FieldSchema) -> None:
    if field.is_primary:
        if not field.kind.can_be_key:
            _refuse(field, f"a primary key must be INT64 or VARCHAR, got {field.dtype.name}")
        if field.nullable:
            _refuse(field, "a primary key cannot be nullable")
        if field.default_value is not None:
            _refuse(field, "a primary key cannot have a default value")
    elif field.auto_id:
        _refuse(field, "auto_id is for the primary key only")
    if field.is_partition_key:
        if field.is_primary:
            _refuse(field, "the primary key cannot be the partition key")
        if not field.kind.can_be_key:
            _refuse(field, f"a partition key must be INT64 or VARCHAR, got {field.dtype.name}")
        if field.nullable:
            _refuse(field, "a partition key cannot be nullable")
    if field.is_clustering_key and not field.kind.can_cluster:
        _refuse(field, f"a clustering key must be a number, VARCHAR or FLOAT_VECTOR, got {field.dtype.name}")


def _verify_default(field: FieldSchema) -> None:
    if not field.kind.can_default:
        _refuse(field, f"{field.dtype.name} cannot have a default value")
    problem = default_problem(field.kind, field.default_value, max_length=field.max_length)
    if problem is not None:
        _refuse(field, f"default value: {problem}")


def _struct_fields(struct_schema: object, name: str) -> tuple[FieldSchema, ...]:
    raw = getattr(struct_schema, "fields", struct_schema)
    if isinstance(raw, Mapping):
        raw = raw.get("fields", raw.get("struct_fields"))
    if raw is None:
        return ()
    if not isinstance(raw, Iterable):
        raise SchemaError(f"struct_schema must hold fields, got {struct_schema!r}", field=name)
    return tuple(as_field(sub) for sub in raw)


def as_field(obj: object) -> FieldSchema:
    """Return a field of our own: a copy of ours, or one built from a dict or from what has ``to_dict``."""
    if isinstance(obj, FieldSchema):
        return copy.deepcopy(obj)
    to_dict = getattr(obj, "to_dict", None)
    raw: Any = to_dict() if callable(to_dict) else obj
    return FieldSchema.from_dict(raw)
