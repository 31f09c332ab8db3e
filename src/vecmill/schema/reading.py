"""Read a schema from whatever describes a collection: our own, pymilvus, a dict, the REST API, a JSON file.

Every form is translated to the shape of :meth:`CollectionSchema.to_dict`, and from there there is one way to a schema.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from vecmill.errors import SchemaError
from vecmill.schema.collection import CollectionSchema
from vecmill.schema.fields import FLAGS, FieldSchema, as_flag
from vecmill.types.kind import DataType
from vecmill.types.lookup import fold_name, parse_datatype


def as_schema(obj: object) -> CollectionSchema:
    """Return ``obj`` as a verified :class:`CollectionSchema`.

    Taken are a CollectionSchema (returned itself, not copied), a pymilvus CollectionSchema (by its attributes), a dict
    as ``to_dict()``, ``MilvusClient.describe_collection()`` or the REST API (request of create, reply of describe)
    give it, and the path of a JSON file with such a dict.

    Raises SchemaError when it cannot be read, names an unknown type, or breaks a rule of the server.
    """
    schema = obj if isinstance(obj, CollectionSchema) else _read(obj)
    schema.verify()
    return schema


def _read(obj: object) -> CollectionSchema:
    if isinstance(obj, str | os.PathLike):
        return _read_file(obj)
    if isinstance(obj, Mapping):
        return _from_mapping(obj)
    for name in ("to_dict", "dict"):
        method = getattr(obj, name, None)
        if callable(method):
            raw = method()
            if isinstance(raw, Mapping):
                return _from_mapping(raw)
    if isinstance(getattr(obj, "fields", None), Iterable):
        return _from_mapping(_attributes(obj))
    raise SchemaError(f"expected a schema, a dict or the path of a JSON file, got {type(obj).__name__}")


def _read_file(path: str | os.PathLike[str]) -> CollectionSchema:
    text = os.fsdecode(path)
    if _is_json_text(text):
        raise SchemaError("expected the path of a JSON file, got JSON text; pass json.loads(text) instead")
    try:
        # -sig: editors on Windows put a byte order mark before JSON.
        raw = json.loads(Path(text).read_text(encoding="utf-8-sig"))
    except OSError as exc:
        raise SchemaError(f"schema file {text!r} cannot be read: {exc.strerror or exc}") from exc
    except (ValueError, RecursionError) as exc:
        raise SchemaError(f"schema file {text!r} is not JSON: {exc}") from exc
    try:
        if not isinstance(raw, Mapping):
            raise SchemaError(f"expected a JSON object, got {type(raw).__name__}")
        return _from_mapping(raw)
    except SchemaError as exc:
        raise SchemaError(f"{exc.reason} (schema file {text!r})", field=exc.field) from exc


def _is_json_text(text: str) -> bool:
    # A path may begin with a brace too ("{run}/schema.json"), so parsing decides.
    try:
        return text.lstrip()[:1] in ("{", "[") and isinstance(json.loads(text), Mapping | list)
    except (ValueError, RecursionError):
        return False


# -- one spelling for all names ---------------------------------------------------------------------------------------
#
# pymilvus says is_primary, REST isPrimary or primaryKey, Go's JSON autoID, protobuf is_primary_key.
# Folded (fold_name) few spellings are left, and each is listed once.

_FIELD_KEYS = {
    "name": ("name", "fieldname"),
    "description": ("description",),
    "type": ("type", "datatype", "dtype"),
    "element_type": ("elementtype", "elementdatatype"),
    "is_primary": ("isprimary", "primarykey", "isprimarykey"),
    "auto_id": ("autoid",),
    "is_partition_key": ("ispartitionkey", "partitionkey"),
    "is_clustering_key": ("isclusteringkey", "clusteringkey"),
    "nullable": ("nullable",),
    "is_dynamic": ("isdynamic",),
    "is_function_output": ("isfunctionoutput",),
    "default_value": ("defaultvalue",),
    "params": ("params", "elementtypeparams", "typeparams"),
    "max_capacity": ("maxcapacity",),
    "fields": ("fields", "structfields"),
}
_SCHEMA_KEYS = {
    "fields": ("fields",),
    "struct_fields": ("structfields", "structarrayfields"),
    "functions": ("functions",),
    "auto_id": ("autoid",),
    "description": ("description",),
    "enable_dynamic_field": ("enabledynamicfield", "enableddynamicfield"),
    "enable_namespace": ("enablenamespace",),
    "external_source": ("externalsource",),
    "external_spec": ("externalspec",),
    "allow_insert_auto_id": ("allowinsertautoid",),
}
_FUNCTION_KEYS = {
    "name": ("name", "functionname"),
    "type": ("type", "functiontype"),
    "description": ("description",),
    "input_field_names": ("inputfieldnames",),
    "output_field_names": ("outputfieldnames",),
    "params": ("params",),
}
_PARAM_NAMES = {
    "maxlength": "max_length",
    "maxcapacity": "max_capacity",
    "dimension": "dim",
    "mmapenabled": "mmap_enabled",
}
_BOOLS = (*FLAGS, "enable_dynamic_field", "enable_namespace", "allow_insert_auto_id")


def _pick(raw: Mapping[Any, Any], keys: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """Return the entries of ``raw`` that ``keys`` knows, under our names; nulls and the rest are left out."""
    folded = {fold_name(name): value for name, value in raw.items() if value is not None}
    picked = {}
    for ours, spellings in keys.items():
        found = next((folded[name] for name in spellings if name in folded), None)
        if found is not None:
            picked[ours] = as_flag(found) if ours in _BOOLS else found
    return picked


def _attributes(obj: object) -> dict[str, Any]:
    """Return what a schema object without ``to_dict`` says by its attributes."""
    names = ("description", "auto_id", "enable_dynamic_field", "functions", "struct_fields", "external_source")
    raw = {name: getattr(obj, name, None) for name in names}
    return raw | {"fields": list(getattr(obj, "fields", ()))}


def _object_dict(obj: object, keys: Mapping[str, tuple[str, ...]], what: str) -> Mapping[Any, Any]:
    if isinstance(obj, Mapping):
        return obj
    to_dict = getattr(obj, "to_dict", None)
    raw = to_dict() if callable(to_dict) else {}
    if isinstance(raw, Mapping) and raw:
        return raw
    if not hasattr(obj, "name"):
        raise SchemaError(f"expected {what} as a mapping, got {obj!r}")
    return {name: getattr(obj, name, None) for name in (*keys, "dtype") if name not in ("fields", "max_capacity")}


# -- the forms --------------------------------------------------------------------------------------------------------


def _from_mapping(raw: Mapping[Any, Any]) -> CollectionSchema:
    for wrapper in ("data", "schema"):
        inner = raw.get(wrapper)
        if isinstance(inner, Mapping) and "fields" not in raw:
            return _from_mapping(inner)
    picked = _pick(raw, _SCHEMA_KEYS)
    if not _is_list(picked.get("fields")):
        if raw.get("code") and raw.get("message"):
            raise SchemaError(f"this is an error reply of the server, not a schema: {raw['message']}")
        raise SchemaError("the schema has no list of 'fields'")
    picked["fields"] = [_field(one) for one in picked["fields"]]
    picked["struct_fields"] = [_field(one, struct=True) for one in _list(picked, "struct_fields")]
    picked["functions"] = [_function(one) for one in _list(picked, "functions")]
    # describe_collection gives it among the collection's properties, as text.
    given = _pick(_params(raw.get("properties"), None), _SCHEMA_KEYS).get("allow_insert_auto_id")
    picked["allow_insert_auto_id"] = picked.get("allow_insert_auto_id") or given
    return CollectionSchema.from_dict(picked)


def _is_list(value: object) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping)


def _list(picked: Mapping[str, Any], name: str) -> list[Any]:
    value = picked.get(name, [])
    if not _is_list(value):
        raise SchemaError(f"{name} must be a list, got {value!r}")
    return list(value)


def _field(obj: object, *, struct: bool = False) -> dict[str, Any]:
    if isinstance(obj, FieldSchema):
        return obj.to_dict()
    out = _pick(_object_dict(obj, _FIELD_KEYS, "a field"), _FIELD_KEYS)
    name = out.get("name")
    if not isinstance(name, str):
        raise SchemaError(f"a field has no name: {obj!r}")
    out["params"] = _params(out.get("params"), name)
    if struct or "fields" in out:
        out["fields"] = [_sub_field(one, name, out["params"]) for one in _list(out, "fields")]
        return out
    out["type"] = _type(out, "type", name)
    if "element_type" in out:
        out["element_type"] = _type(out, "element_type", name)
    if "default_value" in out:
        out["default_value"] = _default(out["default_value"], name)
    return out


def _sub_field(obj: object, struct_name: str, struct_params: dict[str, Any]) -> dict[str, Any]:
    """Return a sub-field as the user wrote it.

    A server stores it as an array (of vectors), names it ``struct[sub]``, and keeps the struct's max_capacity there.
    """
    out = _field(obj)
    if out["type"] in (DataType.ARRAY, DataType._ARRAY_OF_VECTOR) and out.get("element_type") is not None:
        out["type"] = out.pop("element_type")
        capacity = out["params"].pop("max_capacity", None)
        if capacity is not None:
            struct_params.setdefault("max_capacity", capacity)
    prefix = f"{struct_name}["
    if out["name"].startswith(prefix) and out["name"].endswith("]"):
        out["name"] = out["name"][len(prefix) : -1]
    return out


def _function(obj: object) -> dict[str, Any]:
    out = _pick(_object_dict(obj, _FUNCTION_KEYS, "a function"), _FUNCTION_KEYS)
    return out | {"params": _params(out.get("params"), None)}


def _params(raw: Any, field_name: str | None) -> dict[str, Any]:
    """Return type parameters as a dict; the describe reply lists them as ``{"key": ..., "value": ...}``."""
    if raw is None:
        return {}
    if not isinstance(raw, Mapping):
        pairs = list(raw) if isinstance(raw, Iterable) else [raw]
        if not all(isinstance(pair, Mapping) and isinstance(pair.get("key"), str) for pair in pairs):
            raise SchemaError(f"type parameters must be a mapping or key/value pairs, got {raw!r}", field=field_name)
        raw = {pair["key"]: pair.get("value") for pair in pairs}
    return {_PARAM_NAMES.get(fold_name(key), str(key)): value for key, value in raw.items()}


def _type(out: dict[str, Any], key: str, field_name: str) -> DataType | None:
    value = out.get(key)
    if isinstance(value, str):
        # Version 1 of the REST API writes the parameter into the type: "FloatVector(128)", "VarChar(256)".
        found = re.fullmatch(r"(\w+)\((\d+)\)", value)
        if found is not None:
            value = found[1]
            out["params"].setdefault("max_length" if value.lower() == "varchar" else "dim", found[2])
    if key == "element_type" and value in (0, "", "None"):
        return None
    if value is None:
        raise SchemaError("has no data type", field=field_name)
    try:
        return parse_datatype(value)
    except SchemaError as exc:
        raise SchemaError(exc.reason, field=field_name) from None


_VALUE_KEYS = {"data"} | {
    f"{kind}data" for kind in ("bool", "int", "long", "float", "double", "string", "timestamptz", "geometry", "bytes")
}


def _default(value: object, field_name: str) -> object:
    """Return a default as a plain value.

    A ``ValueField`` as JSON is ``{"long_data": 5}``, from Go ``{"Data": {"LongData": 5}}``, and empty when there is no
    default. Objects (protobuf, NumPy) are left to FieldSchema.
    """
    while isinstance(value, Mapping):
        if not value:
            return None
        key, inner = next(iter(value.items()))
        if len(value) != 1 or fold_name(key) not in _VALUE_KEYS:
            raise SchemaError(f"default value {dict(value)!r} cannot be understood", field=field_name)
        if fold_name(key) == "longdata" and isinstance(inner, str) and re.fullmatch(r"-?\d{1,19}", inner):
            # The JSON form of protobuf writes 64-bit integers as text.
            return int(inner)
        value = inner
    return value
