"""CollectionSchema and create_schema: what a collection holds, under pymilvus' names and arguments.

Building a schema only refuses what cannot be understood (an unknown type, a dim that is no integer);
:meth:`CollectionSchema.verify` applies the server's rules. One field is in :mod:`vecmill.schema.fields`; schemas of
other origins are read by :mod:`vecmill.schema.reading`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vecmill.errors import SchemaError
from vecmill.schema.fields import DYNAMIC_FIELD, MAX_LENGTH_BYTES, FieldSchema, as_field, as_integer
from vecmill.types.kind import DataType
from vecmill.types.lookup import fold_name

__all__ = ["DYNAMIC_FIELD", "MAX_LENGTH_BYTES", "CollectionSchema", "FieldSchema", "Function", "create_schema"]

MAX_FIELDS = 64
MAX_VECTOR_FIELDS = 10

_OPTIONS = ("enable_namespace", "external_source", "external_spec", "allow_insert_auto_id")
_FUNCTION_TYPES = {"unknown": 0, "bm25": 1, "textembedding": 2, "rerank": 3, "minhash": 4}
_ROLE = {
    "is_primary": "the primary key",
    "is_partition_key": "the partition key",
    "is_clustering_key": "the clustering key",
}


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
            kind = _FUNCTION_TYPES.get(fold_name(kind), kind)
        elif kind is not None:
            kind = as_integer(f"type of function {name!r}", kind, None)
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
    ``auto_id`` goes to the primary key whenever it is added; with ``allow_insert_auto_id``, the collection's property
    of that name (server 2.6 and later), files hold keys for it nevertheless. Fields given are copied. Nothing is
    checked against the server's rules before :meth:`verify`.
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
            self._take(as_field(one))
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

        Left out are an auto-id primary key (but see ``allow_insert_auto_id``) and the outputs of functions; a dynamic
        schema ends with ``$meta`` (JSON, ``is_dynamic``).
        """
        keeps_key = bool(self.options.get("allow_insert_auto_id"))
        kept = [
            one
            for one in self.fields
            if not one.is_function_output and (keeps_key or not (one.is_primary and one.auto_id))
        ]
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
        _verify_roles(self)
        _verify_counts(self)
        for function in self.functions:
            _verify_function(self, function)

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


def _verify_roles(schema: CollectionSchema) -> None:
    for flag, words in _ROLE.items():
        holders = [one.name for one in schema.fields if getattr(one, flag)]
        if len(holders) > 1:
            raise SchemaError(f"only one field can be {words}, {holders[0]!r} is one already", field=holders[1])
    if schema.primary_field is None:
        raise SchemaError("the schema has no primary key, give one INT64 or VARCHAR field is_primary=True")


def _verify_counts(schema: CollectionSchema) -> None:
    # The server counts the sub-fields of struct arrays too.
    leaves = [leaf for one in schema.fields for leaf in (one.struct_fields or (one,))]
    if len(leaves) > MAX_FIELDS:
        raise SchemaError(f"a schema has at most {MAX_FIELDS} fields, this one has {len(leaves)}")
    vectors = [leaf for leaf in leaves if leaf.kind.is_vector]
    if not vectors:
        raise SchemaError("the schema has no vector field, the server asks for at least one")
    if len(vectors) > MAX_VECTOR_FIELDS:
        raise SchemaError(f"a schema has at most {MAX_VECTOR_FIELDS} vector fields, this one has {len(vectors)}")


def _verify_function(schema: CollectionSchema, function: Function) -> None:
    by_name = {one.name: one for one in schema.fields}
    for name in (*function.input_field_names, *function.output_field_names):
        if name not in by_name:
            raise SchemaError(f"function {function.name!r} names this field, but there is none", field=name)
    for name in function.output_field_names:
        if any(getattr(by_name[name], flag) for flag in _ROLE):
            raise SchemaError(f"the output of function {function.name!r} cannot be a key", field=name)


def create_schema(**kwargs: Any) -> CollectionSchema:
    """Return an empty schema; arguments (``auto_id``, ``enable_dynamic_field``) are those of :class:`CollectionSchema`.

    >>> schema = create_schema(auto_id=True)
    >>> _ = schema.add_field("id", DataType.INT64, is_primary=True).add_field("v", DataType.FLOAT_VECTOR, dim=4)
    >>> [field.name for field in schema.written_fields()]
    ['v']
    """
    kwargs.pop("check_fields", None)
    return CollectionSchema(**kwargs)
