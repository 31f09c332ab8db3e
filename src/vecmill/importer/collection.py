"""The collection that rows go to: requests that create it, with an index on every vector field, and that load it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vecmill.importer.options import CollectionOptions, Server
from vecmill.importer.request import Request
from vecmill.schema.collection import CollectionSchema
from vecmill.schema.fields import FieldSchema
from vecmill.types.lookup import TYPES

COLLECTIONS = "/v2/vectordb/collections/"


@dataclass(frozen=True, slots=True)
class Index:
    """An index on a vector field."""

    field: str
    type: str
    metric: str


def indexes_of(schema: CollectionSchema, collection: CollectionOptions) -> list[Index]:
    """Return an index for every vector field: as the options say, else what fits the type of the field."""
    found = []
    for field in schema.fields:
        if field.kind.is_vector:
            known_type, known_metric = field.kind.index
            found.append(Index(field.name, collection.index_type or known_type, collection.metric or known_metric))
    return found


def exists_request(server: Server, name: str) -> Request:
    """Return the REST request that asks whether there is a collection: ``data.has``."""
    return Request("POST", COLLECTIONS + "has", _in_db(server, {"collectionName": name}))


def create_collection_request(server: Server, name: str, schema: CollectionSchema, indexes: list[Index]) -> Request:
    """Return the REST request that creates a collection with its indexes; the server then loads it, empty."""
    body = {
        "collectionName": name,
        "schema": {
            "autoId": schema.auto_id,
            "enableDynamicField": schema.enable_dynamic_field,
            "fields": [_rest_field(field) for field in schema.fields],
            **({"functions": [_rest_function(one.to_dict()) for one in schema.functions]} if schema.functions else {}),
        },
        "indexParams": [
            {"fieldName": one.field, "indexName": one.field, "indexType": one.type, "metricType": one.metric}
            for one in indexes
        ],
    }
    return Request("POST", COLLECTIONS + "create", _in_db(server, body))


def load_request(server: Server, name: str, *, refresh: bool = False) -> Request:
    """Return the REST request that loads a collection; ``refresh``: one that is loaded takes in new rows."""
    verb = "refresh_load" if refresh else "load"
    return Request("POST", COLLECTIONS + verb, _in_db(server, {"collectionName": name}))


def load_state_request(server: Server, name: str) -> Request:
    """Return the REST request for ``data.loadState``."""
    return Request("POST", COLLECTIONS + "get_load_state", _in_db(server, {"collectionName": name}))


def _in_db(server: Server, body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "dbName": server.db_name} if server.db_name else body


def _rest_field(field: FieldSchema) -> dict[str, Any]:
    """Return a field as the REST API has it: type names, and parameters as strings."""
    out: dict[str, Any] = {"fieldName": field.name, "dataType": TYPES[field.dtype].rest_names[0]}
    for name, flag in (
        ("isPrimary", field.is_primary),
        ("isPartitionKey", field.is_partition_key),
        ("isClusteringKey", field.is_clustering_key),
        ("nullable", field.nullable),
    ):
        if flag:
            out[name] = True
    if field.element_type is not None:
        out["elementDataType"] = TYPES[field.element_type].rest_names[0]
    if field.default_value is not None:
        out["defaultValue"] = field.default_value
    if field.params:
        out["elementTypeParams"] = {name: _text(value) for name, value in field.params.items()}
    return out


def _rest_function(function: Mapping[str, Any]) -> dict[str, Any]:
    names = {1: "BM25", 2: "TextEmbedding", 3: "Rerank", 4: "MinHash"}
    return {
        "name": function["name"],
        "type": names.get(function["type"], str(function["type"])),
        "inputFieldNames": list(function["input_field_names"]),
        "outputFieldNames": list(function["output_field_names"]),
        "params": dict(function["params"]),
    }


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
