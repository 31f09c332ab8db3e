"""The schema of a collection that is there already, over pymilvus: extra ``vecmill[milvus]``."""

from __future__ import annotations

from vecmill.errors import StoreError
from vecmill.schema.collection import CollectionSchema
from vecmill.schema.reading import as_schema

TIMEOUT_S = 30.0


def fetch_schema(
    uri: str, collection: str, *, token: str = "", db_name: str = "", timeout_s: float = TIMEOUT_S
) -> CollectionSchema:
    """Return the schema of a live collection.

    Raises StoreError when the server cannot be reached or has no such collection, or when pymilvus is not installed;
    SchemaError for a schema that this release does not know.
    """
    try:
        from pymilvus import MilvusClient
        from pymilvus.exceptions import MilvusException
    except ImportError as err:
        reason = "pymilvus is not installed, which asks the server: pip install 'vecmill[milvus]'"
        raise StoreError(reason, path=uri) from err
    try:
        client = MilvusClient(uri=uri, token=token, db_name=db_name, timeout=timeout_s)
        try:
            described = client.describe_collection(collection, timeout=timeout_s)
        finally:
            client.close()
    except MilvusException as err:
        raise StoreError(" ".join(str(err.message or err).split()), path=f"{uri} collection {collection!r}") from err
    return as_schema(described)
