"""A script written for pymilvus, as its documentation teaches: it runs with one import line changed."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from buckets import new_bucket
from failing_calls import run_python
from servers.azure import running_azurite
from servers.s3 import KEY, SECRET, S3Server

SCRIPT = """
import json
import sys

{imports}

kind, bucket, address, key, secret = sys.argv[1:]

schema = CollectionSchema(fields=[
    FieldSchema(name="id", dtype=DataType.INT64, is_primary=True, auto_id=False),
    FieldSchema(name="vector", dtype=DataType.FLOAT_VECTOR, dim=4),
    FieldSchema(name="scalar_1", dtype=DataType.VARCHAR, max_length=512),
    FieldSchema(name="scalar_2", dtype=DataType.INT64),
], enable_dynamic_field=True)

if kind == "s3":
    conn = RemoteBulkWriter.S3ConnectParam(
        endpoint=address,
        access_key=key,
        secret_key=secret,
        bucket_name=bucket,
        secure=False,
    )
elif kind == "legacy":
    conn = RemoteBulkWriter.ConnectParam(
        bucket_name=bucket, endpoint=address, access_key=key, secret_key=secret, secure=False
    )
else:
    conn = RemoteBulkWriter.AzureConnectParam(conn_str=address, container_name=bucket)

writer = RemoteBulkWriter(
    schema=schema,
    remote_path="/",
    connect_param=conn,
    chunk_size=512 * 1024 * 1024,
    file_type=BulkFileType.PARQUET,
)
for i in range(1000):
    writer.append_row({{
        "id": i,
        "vector": [i / 8, 0.25, -1.0, 3.5],
        "scalar_1": f"text {{i}}",
        "scalar_2": i * 7,
        "dynamic_field_1": i % 3,
    }})
    if (i + 1) % 500 == 0:
        writer.commit()
writer.commit()
print(json.dumps([str(writer.data_path), writer.batch_files]))
"""
PYMILVUS = """
from pymilvus import CollectionSchema, DataType, FieldSchema
from pymilvus.bulk_writer import BulkFileType, RemoteBulkWriter
"""
VECMILL = "from vecmill import BulkFileType, CollectionSchema, DataType, FieldSchema, RemoteBulkWriter"


def run(imports: str, *args: object) -> tuple[str, list[list[str]]]:
    import json

    path, files = json.loads(run_python(SCRIPT.format(imports=imports), *args).splitlines()[-1])
    return path, files


def shape(path: str, files: list[list[str]]) -> list[list[str]]:
    """Return keys without the uuid: what must be the same for both."""
    name = Path(path).name
    assert path == f"/{name}"
    return [[key.replace(name, "<uuid>") for key in group] for group in files]


@pytest.mark.parametrize("kind", ["s3", "legacy"])
def test_s3(juicefs: S3Server, tmp_path: Path, kind: str) -> None:
    found = {}
    for imports in (PYMILVUS, VECMILL):
        bucket = new_bucket(juicefs)
        path, files = run(imports, kind, bucket, juicefs.endpoint, KEY, SECRET)
        keys = [key for group in files for key in group]
        # The check of the documentation: list what is there with MinIO's client.
        objects = [one.object_name for one in juicefs.client.list_objects(bucket, path.strip("/"), recursive=True)]
        assert set(keys) == set(objects)
        rows = []
        for key in keys:
            (tmp_path / "one.parquet").write_bytes(juicefs.read(bucket, key))
            rows += pq.read_table(tmp_path / "one.parquet").to_pylist()
        found[imports] = shape(path, files), [{**row, "$meta": row["$meta"].replace(" ", "")} for row in rows]
    assert found[PYMILVUS] == found[VECMILL]


def test_azure(tmp_path: Path) -> None:
    with running_azurite() as server:
        found = {}
        for i, imports in enumerate((PYMILVUS, VECMILL)):
            container = server.new_container(f"container-{i}")
            path, files = run(imports, "azure", container, server.conn_str, "", "")
            keys = [key for group in files for key in group]
            assert set(keys) == {key for key in server.keys(container) if key.startswith(path.strip("/"))}
            found[imports] = shape(path, files)
    assert found[PYMILVUS] == found[VECMILL]
