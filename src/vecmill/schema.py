"""FieldSchema, CollectionSchema and create_schema: what a collection holds, under pymilvus' names and arguments.

Building a schema only refuses what cannot be understood (an unknown type, a dim that is no integer);
:meth:`CollectionSchema.verify` applies the server's rules. See :mod:`vecmill.schema_io` for schemas of other origins.
"""

from __future__ import annotations

import copy
import json
import operator
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vecmill.datatypes import ELEMENT_TYPES, TYPES, DataType, TypeSpec, parse_datatype, plain_value, value_problem
from vecmill.errors import SchemaError

DYNAMIC_FIELD = "$meta"
MAX_FIELDS = 64
MAX_VECTOR_FIELDS = 10
MAX_NAME_CHARS = 255
# Servers say 2, Milvus Lite says 1. The looser bound: no server can hold a collection that it wrongly lets through.
MIN_DIM = 1
MAX_DIM = 32_768
# For binary vectors the server multiplies proxy.maxDimension by 8: the limit is on bytes.
MAX_BINARY_DIM = 8 * MAX_DIM
MAX_LENGTH_BYTES = 65_535
MAX_CAPACITY = 4096

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Columns that the server adds to every collection.
_SYSTEM_NAMES = frozenset({"RowID", "Timestamp"})
_KEY_TYPES = frozenset({DataType.INT64, DataType.VARCHAR})
_CLUSTERING_TYPES = frozenset(
    t for t, s in TYPES.items() if s.group in ("int", "float") or t in (DataType.VARCHAR, DataType.FLOAT_VECTOR)
)
_FLAGS = ("is_primary", "auto_id", "is_partition_key", "is_clustering_key", "nullable")
_INT_PARAMS = ("dim", "max_length", "max_capacity")
_NOT_PARAMS = ("name", "dtype", "description", "default_value", "element_type", "struct_schema")
_JSON_PARAMS = ("analyzer_params", "multi_analyzer_params")
_OPTIONS = ("enable_namespace", "external_source", "external_spec")
_FUNCTION_TYPES = {"unknown": 0, "bm25": 1, "textembedding": 2, "rerank": 3, "minhash": 4}


def _integer(name: str, value: object, field_name: str | None) -> int:
    # describe_collection and the REST API give some numbers as text.
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?[0-9]{1,18}\s*", value):
        return int(value)
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise SchemaError(f"{name} must be an integer, got {value!r}", field=field_name) from None


def _param(name: str, value: object, field_name: str) -> object:
    if name in _INT_PARAMS:
        return _integer(name, value, field_name)
    if name in _JSON_PARAMS and isinstance(value, dict):
        # As pymilvus keeps it, so that a schema equals itself after a trip through the server.
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return value


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
        for flag in _FLAGS:
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
    def spec(self) -> TypeSpec:
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
        if self.spec.group == "dense":
            return self.spec.vector_nbytes(self.dim) if self.dim is not None else None
        return self.spec.itemsize or None

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
        flags = ("is_partition_key", "is_clustering_key", "nullable", "is_dynamic", "is_function_output")
        return out | {flag: True for flag in flags if getattr(self, flag)}

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
        flags = {flag: raw[flag] for flag in (*_FLAGS, "is_dynamic", "is_function_output") if raw.get(flag) is not None}
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
        self._verify_name()
        if self.dtype is DataType.STRING:
            self._refuse("STRING is not supported by any server, use VARCHAR")
        if self.spec.is_vector:
            self._verify_dim()
        elif self.dtype is DataType.ARRAY:
            self._verify_array()
        elif self.dtype is DataType.VARCHAR:
            self._verify_max_length()
        self._verify_keys()
        if self.default_value is not None:
            self._verify_default()

    def _refuse(self, reason: str) -> None:
        raise SchemaError(reason, field=self.name)

    def _verify_name(self) -> None:
        if not self.name:
            self._refuse("a field name must not be empty")
        if self.name == DYNAMIC_FIELD:
            self._refuse("this name is reserved for the dynamic field, set enable_dynamic_field instead")
        if self.name in _SYSTEM_NAMES:
            self._refuse("this name is reserved for a system field of the server")
        if len(self.name) > MAX_NAME_CHARS:
            self._refuse(f"a field name has at most {MAX_NAME_CHARS} characters, this one has {len(self.name)}")
        if not _NAME.fullmatch(self.name):
            self._refuse(
                "a field name starts with a letter or an underscore and goes on with letters, digits, underscores"
            )

    def _verify_dim(self) -> None:
        if self.spec.group == "sparse":
            if self.dim is not None:
                self._refuse("a sparse vector has no dim")
            return
        binary = self.dtype is DataType.BINARY_VECTOR
        low, top = (8, MAX_BINARY_DIM) if binary else (MIN_DIM, MAX_DIM)
        if self.dim is None:
            self._refuse(f"{self.dtype.name} needs a dim")
        elif not low <= self.dim <= top:
            self._refuse(f"dim must be from {low} to {top}, got {self.dim}")
        elif binary and self.dim % 8:
            self._refuse(f"dim of a binary vector must be a multiple of 8, got {self.dim}")

    def _verify_max_length(self) -> None:
        if self.max_length is None:
            self._refuse("VARCHAR needs a max_length")
        elif not 1 <= self.max_length <= MAX_LENGTH_BYTES:
            self._refuse(f"max_length must be from 1 to {MAX_LENGTH_BYTES} bytes, got {self.max_length}")

    def _verify_array(self) -> None:
        if self.max_capacity is None:
            self._refuse("ARRAY needs a max_capacity")
        elif not 1 <= self.max_capacity <= MAX_CAPACITY:
            self._refuse(f"max_capacity must be from 1 to {MAX_CAPACITY}, got {self.max_capacity}")
        if self.is_struct:
            self._verify_struct()
        elif self.element_type is None:
            self._refuse("ARRAY needs an element_type")
        elif self.element_type not in ELEMENT_TYPES:
            self._refuse(f"element_type must be a number, BOOL or VARCHAR, got {self.element_type.name}")
        elif self.element_type is DataType.VARCHAR:
            self._verify_max_length()

    def _verify_struct(self) -> None:
        if not self.struct_fields:
            self._refuse("a struct array needs at least one sub-field")
        seen = set()
        for sub in self.struct_fields:
            where = f"{self.name}[{sub.name}]"
            if sub.name in seen:
                raise SchemaError("two sub-fields have this name", field=where)
            seen.add(sub.name)
            banned = [flag for flag in (*_FLAGS, "is_dynamic") if getattr(sub, flag)]
            if banned or sub.default_value is not None:
                raise SchemaError(f"a sub-field cannot have {(banned or ['default_value'])[0]}", field=where)
            if sub.dtype not in ELEMENT_TYPES and sub.spec.group != "dense":
                raise SchemaError(f"a sub-field cannot be of type {sub.dtype.name}", field=where)
            try:
                sub.verify()
            except SchemaError as exc:
                raise SchemaError(exc.reason, field=where) from None

    def _verify_keys(self) -> None:
        if self.is_primary:
            if self.dtype not in _KEY_TYPES:
                self._refuse(f"a primary key must be INT64 or VARCHAR, got {self.dtype.name}")
            if self.nullable:
                self._refuse("a primary key cannot be nullable")
            if self.default_value is not None:
                self._refuse("a primary key cannot have a default value")
        elif self.auto_id:
            self._refuse("auto_id is for the primary key only")
        if self.is_partition_key:
            if self.is_primary:
                self._refuse("the primary key cannot be the partition key")
            if self.dtype not in _KEY_TYPES:
                self._refuse(f"a partition key must be INT64 or VARCHAR, got {self.dtype.name}")
            if self.nullable:
                self._refuse("a partition key cannot be nullable")
        if self.is_clustering_key and self.dtype not in _CLUSTERING_TYPES:
            self._refuse(f"a clustering key must be a number, VARCHAR or FLOAT_VECTOR, got {self.dtype.name}")

    def _verify_default(self) -> None:
        if self.spec.group in ("dense", "sparse", "json", "array", "struct") or self.dtype is DataType.TEXT:
            self._refuse(f"{self.dtype.name} cannot have a default value")
        problem = value_problem(self.dtype, self.default_value, max_length=self.max_length)
        if problem is not None:
            self._refuse(f"default value: {problem}")


def _struct_fields(struct_schema: object, name: str) -> tuple[FieldSchema, ...]:
    raw = getattr(struct_schema, "fields", struct_schema)
    if isinstance(raw, Mapping):
        raw = raw.get("fields", raw.get("struct_fields"))
    if raw is None:
        return ()
    if not isinstance(raw, Iterable):
        raise SchemaError(f"struct_schema must hold fields, got {struct_schema!r}", field=name)
    return tuple(_as_field(sub) for sub in raw)


def _as_field(obj: object) -> FieldSchema:
    if isinstance(obj, FieldSchema):
        return copy.deepcopy(obj)
    to_dict = getattr(obj, "to_dict", None)
    raw: Any = to_dict() if callable(to_dict) else obj
    return FieldSchema.from_dict(raw)


@dataclass(frozen=True, slots=True)
class Function:
    """A function that the server runs on insert; its output fields are not part of a bulk file."""

    name: str
    type: int | str
    input_field_names: tuple[str, ...]
    output_field_names: tuple[str, ...]
    description: str = ""
    params: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, obj: object) -> Function:
        """Read a function from another Function, a pymilvus Function (by attributes) or a dict of these names.

        Raises SchemaError when it has no name or no field names.
        """
        get = obj.get if isinstance(obj, Mapping) else lambda name, default=None: getattr(obj, name, default)
        name, kind = get("name"), get("type", get("function_type"))
        if not isinstance(name, str) or not name:
            raise SchemaError(f"a function must have a name, got {obj!r}")
        inputs, outputs = (
            (names,) if isinstance(names, str) else tuple(names if isinstance(names, Iterable) else ())
            for names in (get("input_field_names"), get("output_field_names"))
        )
        if not all(isinstance(one, str) for one in (*inputs, *outputs)):
            raise SchemaError(f"function {name!r}: field names must be strings")
        if isinstance(kind, str):
            kind = _FUNCTION_TYPES.get(kind.lower().replace("_", ""), kind)
        elif kind is not None:
            kind = _integer(f"type of function {name!r}", kind, None)
        return cls(name, kind or 0, inputs, outputs, get("description") or "", dict(get("params") or {}))

    def to_dict(self) -> dict[str, Any]:
        """Return the function as pymilvus' ``to_dict`` shapes it."""
        return {
            "name": self.name,
            "description": self.description,
            "type": self.type,
            "input_field_names": list(self.input_field_names),
            "output_field_names": list(self.output_field_names),
            "params": dict(self.params),
        }


class CollectionSchema:
    """The fields of a collection, in the user's order. Arguments are pymilvus'.

    ``primary_field``, ``partition_key_field`` and ``clustering_key_field`` name a field that gets that role;
    ``auto_id`` goes to the primary key whenever it is added. Fields given are copied. Nothing is checked against the
    server's rules before :meth:`verify`.
    """

    def __init__(
        self,
        fields: Iterable[FieldSchema] = (),
        description: str = "",
        struct_fields: Iterable[object] | None = None,
        functions: Iterable[object] | None = (),
        *,
        auto_id: bool | None = False,
        enable_dynamic_field: bool | None = False,
        primary_field: str | None = None,
        partition_key_field: str | None = None,
        clustering_key_field: str | None = None,
        **kwargs: Any,
    ) -> None:
        for flag, value in (("auto_id", auto_id), ("enable_dynamic_field", enable_dynamic_field)):
            if not isinstance(value, bool | None):
                raise SchemaError(f"{flag} must be True or False, got {value!r}")
        self.description = description or ""
        self.enable_dynamic_field = bool(enable_dynamic_field)
        self.fields: list[FieldSchema] = []
        self.functions: list[Function] = []
        # pymilvus swallows unknown arguments here, and so must its successor.
        self.options: dict[str, Any] = {name: kwargs[name] for name in _OPTIONS if kwargs.get(name)}
        self._auto_id = bool(auto_id)
        self._roles = {
            "is_primary": primary_field,
            "is_partition_key": partition_key_field,
            "is_clustering_key": clustering_key_field,
        }
        for one in (*fields, *(struct_fields or ())):
            self._take(_as_field(one))
        for function in functions or ():
            self.add_function(function)

    def _take(self, one: FieldSchema) -> None:
        for flag, name in self._roles.items():
            if name == one.name:
                setattr(one, flag, True)
        if one.is_primary and self._auto_id:
            one.auto_id = True
        one.is_function_output = one.is_function_output or one.name in self._output_names()
        self.fields.append(one)

    def _output_names(self) -> set[str]:
        return {name for function in self.functions for name in function.output_field_names}

    def add_field(self, field_name: str | FieldSchema, datatype: object = None, **kwargs: Any) -> CollectionSchema:
        """Append a field, given by name and type or ready-built (then copied), and return the schema itself."""
        if isinstance(field_name, FieldSchema):
            self._take(copy.deepcopy(field_name))
        else:
            self._take(FieldSchema(field_name, datatype, **kwargs))
        return self

    def add_function(self, function: object) -> CollectionSchema:
        """Append a function (ours, pymilvus' or a dict), mark its output fields, and return the schema itself."""
        self.functions.append(Function.of(function))
        for one in self.fields:
            one.is_function_output = one.is_function_output or one.name in self._output_names()
        return self

    def _with(self, flag: str) -> FieldSchema | None:
        return next((one for one in self.fields if getattr(one, flag)), None)

    @property
    def primary_field(self) -> FieldSchema | None:
        """Return the primary key, or None while there is none."""
        return self._with("is_primary")

    @property
    def partition_key_field(self) -> FieldSchema | None:
        """Return the partition key, or None."""
        return self._with("is_partition_key")

    @property
    def clustering_key_field(self) -> FieldSchema | None:
        """Return the clustering key, or None."""
        return self._with("is_clustering_key")

    @property
    def auto_id(self) -> bool:
        """Return whether the server assigns the primary keys."""
        return self.primary_field.auto_id if self.primary_field is not None else self._auto_id

    @auto_id.setter
    def auto_id(self, value: bool) -> None:
        self._auto_id = bool(value)
        if self.primary_field is not None:
            self.primary_field.auto_id = self._auto_id

    def written_fields(self) -> tuple[FieldSchema, ...]:
        """Return the fields that a bulk file holds, in order.

        Left out are an auto-id primary key and the outputs of functions; a dynamic schema ends with ``$meta`` (JSON,
        ``is_dynamic``).
        """
        kept = [one for one in self.fields if not (one.is_primary and one.auto_id) and not one.is_function_output]
        if self.enable_dynamic_field:
            kept.append(FieldSchema(DYNAMIC_FIELD, DataType.JSON, is_dynamic=True))
        return tuple(kept)

    def to_dict(self) -> dict[str, Any]:
        """Return the schema as pymilvus' ``to_dict`` shapes it: struct arrays apart, defaults as plain values."""
        out: dict[str, Any] = {
            "auto_id": self.auto_id,
            "description": self.description,
            "fields": [one.to_dict() for one in self.fields if not one.is_struct],
            "enable_dynamic_field": self.enable_dynamic_field,
            "enable_namespace": False,
            **self.options,
        }
        if self.functions:
            out["functions"] = [function.to_dict() for function in self.functions]
        structs = [one.to_dict() for one in self.fields if one.is_struct]
        return out | ({"struct_fields": structs} if structs else {})

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> CollectionSchema:
        """Build a schema from the shape of :meth:`to_dict`, without verifying it.

        Raises SchemaError when there are no ``fields`` or one cannot be understood. Other shapes: ``as_schema``.
        """
        if not isinstance(raw.get("fields"), list | tuple):
            raise SchemaError("the schema has no list of 'fields'")
        listed = [FieldSchema.from_dict(one) for one in (*raw["fields"], *(raw.get("struct_fields") or ()))]
        # Some servers list the dynamic field, but it is the flag that makes it.
        dynamic = [one for one in listed if one.is_dynamic]
        return cls(
            [one for one in listed if not one.is_dynamic],
            raw.get("description") or "",
            functions=raw.get("functions"),
            auto_id=raw.get("auto_id"),
            enable_dynamic_field=True if dynamic else raw.get("enable_dynamic_field"),
            **{name: raw[name] for name in _OPTIONS if raw.get(name)},
        )

    construct_from_dict = from_dict

    def verify(self) -> None:
        """Check the schema against every rule of the server that a schema alone can break.

        Raises SchemaError with the name of the field to blame (None when the schema as a whole is wrong).
        """
        if self.options.get("external_source"):
            raise SchemaError("rows cannot be imported into an external collection")
        seen = set()
        for one in self.fields:
            if one.name in seen:
                raise SchemaError("two fields have this name", field=one.name)
            seen.add(one.name)
            one.verify()
        for flag, name in self._roles.items():
            if name is not None and name not in seen:
                raise SchemaError(f"there is no field of this name to be {_ROLE[flag]}", field=name)
        self._verify_roles()
        self._verify_counts()
        for function in self.functions:
            self._verify_function(function)

    def _verify_roles(self) -> None:
        for flag, words in _ROLE.items():
            holders = [one.name for one in self.fields if getattr(one, flag)]
            if len(holders) > 1:
                raise SchemaError(f"only one field can be {words}, {holders[0]!r} is one already", field=holders[1])
        if self.primary_field is None:
            raise SchemaError("the schema has no primary key, give one INT64 or VARCHAR field is_primary=True")

    def _verify_counts(self) -> None:
        # The server counts the sub-fields of struct arrays too.
        leaves = [leaf for one in self.fields for leaf in (one.struct_fields or (one,))]
        if len(leaves) > MAX_FIELDS:
            raise SchemaError(f"a schema has at most {MAX_FIELDS} fields, this one has {len(leaves)}")
        vectors = [leaf for leaf in leaves if leaf.spec.is_vector]
        if not vectors:
            raise SchemaError("the schema has no vector field, the server asks for at least one")
        if len(vectors) > MAX_VECTOR_FIELDS:
            raise SchemaError(f"a schema has at most {MAX_VECTOR_FIELDS} vector fields, this one has {len(vectors)}")

    def _verify_function(self, function: Function) -> None:
        by_name = {one.name: one for one in self.fields}
        for name in (*function.input_field_names, *function.output_field_names):
            if name not in by_name:
                raise SchemaError(f"function {function.name!r} names this field, but there is none", field=name)
        for name in function.output_field_names:
            if any(getattr(by_name[name], flag) for flag in _ROLE):
                raise SchemaError(f"the output of function {function.name!r} cannot be a key", field=name)

    def __len__(self) -> int:
        return len(self.fields)

    # A schema without fields yet is still a schema: ``schema or default`` must not drop it.
    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        return self.to_dict() == other.to_dict() if isinstance(other, CollectionSchema) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __copy__(self) -> CollectionSchema:
        return copy.deepcopy(self)

    def __repr__(self) -> str:
        return f"CollectionSchema({self.fields!r}, enable_dynamic_field={self.enable_dynamic_field})"


_ROLE = {
    "is_primary": "the primary key",
    "is_partition_key": "the partition key",
    "is_clustering_key": "the clustering key",
}


def create_schema(**kwargs: Any) -> CollectionSchema:
    """Return an empty schema; arguments (``auto_id``, ``enable_dynamic_field``) are those of :class:`CollectionSchema`.

    >>> schema = create_schema(auto_id=True)
    >>> _ = schema.add_field("id", DataType.INT64, is_primary=True).add_field("v", DataType.FLOAT_VECTOR, dim=4)
    >>> [field.name for field in schema.written_fields()]
    ['v']
    """
    kwargs.pop("check_fields", None)
    return CollectionSchema(**kwargs)
