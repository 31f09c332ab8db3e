"""Calls of pymilvus, where there is no REST API: collections, their schemas and rows over gRPC, and Milvus Lite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from vecmill.errors import ImportJobError, StoreError
from vecmill.importer.collection import Index
from vecmill.importer.grpc import missing_extra
from vecmill.importer.options import Server
from vecmill.schema.collection import CollectionSchema
from vecmill.schema.reading import as_schema

TIMEOUT_S = 60.0


@contextmanager
def connected(server: Server, *, extra: str = "milvus") -> Iterator[Any]:
    """Yield a MilvusClient; its errors leave the block as ImportJobError. ``extra`` is the extra that installs it."""
    try:
        from pymilvus import MilvusClient
    except ImportError as err:
        raise missing_extra(extra) from err
    with wording():
        try:
            client = MilvusClient(server.url, token=server.api_key, db_name=server.db_name, timeout=TIMEOUT_S)
        except ImportError as err:  # pymilvus loads Milvus Lite when it is first asked for
            raise missing_extra(extra) from err
    try:
        with wording():
            yield client
    finally:
        client.close()


@contextmanager
def wording() -> Iterator[None]:
    """Turn pymilvus' errors into one clear line."""
    from pymilvus.exceptions import MilvusException

    try:
        yield
    except MilvusException as err:
        code = err.code if isinstance(err.code, int) else None
        raise ImportJobError(" ".join(str(err.message).split()) or type(err).__name__, code=code) from err


def create_collection(client: Any, name: str, schema: CollectionSchema, indexes: list[Index]) -> None:
    """Create a collection with its indexes. If an index is refused, no collection is left behind."""
    from pymilvus import CollectionSchema as TheirSchema

    params = client.prepare_index_params()
    for one in indexes:
        params.add_index(one.field, index_name=one.field, index_type=one.type, metric_type=one.metric)
    client.create_collection(name, schema=TheirSchema.construct_from_dict(schema.to_dict()))
    try:
        client.create_index(name, params, sync=False)  # nothing to wait for: the collection is empty
    except BaseException:
        client.drop_collection(name)  # else it stays, without an index
        raise


def count(client: Any, name: str, *, consistency: str = "Strong") -> int:
    """Return the rows of a loaded collection."""
    found = client.query(name, filter="", output_fields=["count(*)"], consistency_level=consistency)
    return int(found[0]["count(*)"])


def fetch_schema(server: Server, collection_name: str) -> CollectionSchema:
    """Return the schema of a live collection.

    Raises StoreError when the server cannot be reached or has no such collection, or when pymilvus is not installed;
    SchemaError for a schema that this release does not know.
    """
    try:
        with connected(server) as client:
            described = client.describe_collection(collection_name)
    except ImportJobError as err:
        raise StoreError(err.reason, path=f"{server.url} collection {collection_name!r}") from err
    return as_schema(described)
