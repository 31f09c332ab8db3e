"""Imports of what lies in a bucket: the manifest is read there, every object looked up, keys and URLs told."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from servers.rest import TOKEN, RestServer, running_rest_server
from servers.s3 import KEY, SECRET, S3Server
from vecmill import DataType, RemoteBulkWriter, create_schema
from vecmill.cli import app
from vecmill.importer.retry import Polling

N = 2_000
BUCKET = "imports"


@pytest.fixture(scope="module")
def written(juicefs: S3Server) -> dict[str, Any]:
    """An output of each format in the bucket, by its format."""
    juicefs.new_bucket(BUCKET)
    schema = create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=8)
    param = RemoteBulkWriter.S3ConnectParam(
        bucket_name=BUCKET, endpoint=juicefs.endpoint, access_key=KEY, secret_key=SECRET, secure=False
    )
    found = {}
    for kind in ("npy", "parquet"):
        with RemoteBulkWriter(schema, f"out/{kind}", param, chunk_size=30_000, file_type=kind) as writer:
            for start in range(0, N, 100):
                writer.append_batch({"id": np.arange(start, start + 100), "vector": np.ones((100, 8), "f4")})
        found[kind] = writer
    return found


@pytest.fixture
def server(written: dict[str, Any], juicefs: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[RestServer]:
    monkeypatch.setattr(Polling.__init__, "__defaults__", (0.001, 0.01, 1.4, 0.0))
    monkeypatch.setenv("VECMILL_TOKEN", TOKEN)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", juicefs.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    rows = {}
    for writer in written.values():
        for segment, group in zip(writer.manifest.segments, writer.batch_files, strict=True):
            names = {*group, f"s3://{BUCKET}/{group[0]}", f"s3://{BUCKET}/{group[0].rpartition('/')[0]}/"}
            rows |= dict.fromkeys(names, segment.rows)
    with running_rest_server(rows_of=lambda group: rows[group[0]]) as server:
        yield server


def url_of(writer: Any) -> str:
    return f"s3://{BUCKET}/{writer.data_path}".replace(f"{BUCKET}//", f"{BUCKET}/")


def run(*words: object, code: int = 0) -> Any:
    done = CliRunner().invoke(app, ["import", *map(str, words)])
    assert done.exit_code == code, (done.output, done.exception)
    return done


@pytest.mark.parametrize("kind", ["npy", "parquet"])
def test_milvus_is_told_keys_in_its_bucket(kind, written, server):
    done = run(url_of(written[kind]), "--url", server.url, "-C", "books")
    assert "2,000 rows in 'books', counted by the server" in done.stdout
    (job,) = server.jobs.values()
    assert job.body["files"] == written[kind].batch_files
    assert len(job.rows) > 2


@pytest.mark.parametrize("kind", ["npy", "parquet"])
def test_the_cloud_is_told_urls_and_folders(kind, written, server):
    secrets = ["--access-key", "AK", "--secret-key", "SK", "--session-token", "ST"]
    done = run(url_of(written[kind]), "--url", server.url, "-C", "books", "--cluster-id", "in01", *secrets)
    (job,) = server.jobs.values()
    groups = [[f"s3://{BUCKET}/{path}" for path in group] for group in written[kind].batch_files]
    if kind == "npy":
        groups = [[f"{group[0].rpartition('/')[0]}/"] for group in groups]
    assert job.body["objectUrls"] == groups
    assert (job.body["clusterId"], job.body["accessKey"], job.body["secretKey"], job.body["token"]) == (
        "in01", "AK", "SK", "ST"
    )  # fmt: skip
    assert not any(secret in done.output for secret in ("AK", "SK", "ST"))


def test_a_missing_object_is_named_with_bucket_and_prefix(written, server, juicefs):
    key = written["npy"].batch_files[1][1]
    content = juicefs.read(BUCKET, key)
    juicefs.client.remove_object(BUCKET, key)
    try:
        done = run(url_of(written["npy"]), "--url", server.url, "-C", "books", code=1)
    finally:
        juicefs.client.put_object(BUCKET, key, io.BytesIO(content), len(content))
    path = "/".join(key.split("/")[-2:])
    assert f"file '{path}'" in done.stderr
    assert f"in {url_of(written['npy'])}, where the server will look, got no such file" in done.stderr
    assert not server.seen


def test_what_is_not_there(written, server, monkeypatch):
    done = run(f"s3://{BUCKET}/nowhere", "--url", server.url, "-C", "books", code=1)
    assert f"s3://{BUCKET}/nowhere/manifest.json" in done.stderr
    done = run("ftp://x/y", "--url", server.url, "-C", "books", code=2)
    assert "expected s3://bucket/prefix" in done.stderr
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret")
    done = run(url_of(written["npy"]), "--url", server.url, "-C", "books", "--json", code=1)
    assert "wrong-secret" not in done.output
    assert json.loads(done.stdout)["error"]["type"] == "StoreError"
