"""Imports of what lies in a bucket: the manifest is read there, every object looked up, keys and URLs told."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from servers.rest import TOKEN, RestServer, running_rest_server
from servers.s3 import KEY, SECRET, S3Server
from vecmill import DataType, LocalBulkWriter, RemoteBulkWriter, create_schema
from vecmill.cli import app
from vecmill.importer.waiting import Patience, Polling

N = 2_000
BUCKET = "imports"
PATIENCE = Patience(polling=Polling(first_s=0.001, most_s=0.01, factor=1.4))


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
    done = CliRunner().invoke(app, ["import", *map(str, words)], obj=PATIENCE)
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
    assert f"s3://{BUCKET}/_vecmill-nowhere/manifest.json" in done.stderr
    done = run("ftp://x/y", "--url", server.url, "-C", "books", code=2)
    assert "expected s3://bucket/prefix" in done.stderr
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret")
    done = run(url_of(written["npy"]), "--url", server.url, "-C", "books", "--json", code=1)
    assert "wrong-secret" not in done.output
    assert json.loads(done.stdout)["error"]["type"] == "StoreError"


@pytest.mark.parametrize("kind", ["npy", "parquet"])
def test_an_output_on_disk_is_uploaded_first(kind, server, juicefs, tmp_path):
    schema = create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=8)
    with LocalBulkWriter(schema, tmp_path, file_type=kind) as writer:
        writer.append_batch({"id": np.arange(N), "vector": np.ones((N, 8), "f4")})
    server.rows_of = lambda group: N
    folder = Path(writer.data_path).name
    words = [tmp_path, "--url", server.url, "-C", "books", "--upload-to", f"s3://{BUCKET}/first"]
    shown = json.loads(run(*words, "--dry-run").stdout)
    assert not server.seen
    assert juicefs.keys(BUCKET, "first/") == []
    names = [f"1/{name}.npy" for name in ("id", "vector")] if kind == "npy" else ["1.parquet"]
    assert shown["requests"][0]["body"]["files"] == [[f"first/{folder}/{name}" for name in names]]
    done = run(*words)
    assert "2,000 rows in 'books', counted by the server" in done.stdout
    assert [job.body["files"] for job in server.jobs.values()] == [shown["requests"][0]["body"]["files"]]
    for name in names:
        assert juicefs.read(BUCKET, f"first/{folder}/{name}") == Path(writer.data_path, name).read_bytes()
    assert "2,000 of them by an earlier run" in run(*words).stdout
    for key in juicefs.keys(BUCKET, "first/"):
        juicefs.client.remove_object(BUCKET, key)
    assert "an upload is for an output on this disk" in run(
        f"s3://{BUCKET}/x", "--url", server.url, "-C", "books", "--upload-to", "s3://y", code=2
    ).stderr  # fmt: skip
