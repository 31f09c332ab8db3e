"""Azure and Google Cloud Storage: every kind of credentials, on servers that speak as they do."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential
from azure.storage.blob import AccountSasPermissions, ResourceTypes, generate_account_sas

from buckets import MIB, param, wide, wide_schema
from failing_calls import check_folder, columns_of, small_schema
from format_names import FORMATS
from outputs import notes_key
from servers.azure import ACCOUNT, AzureServer, running_azurite
from servers.azure import KEY as AZURE_KEY
from servers.gcs import running_gcs
from servers.s3 import KEY, SECRET, S3Server
from vecmill import RemoteBulkWriter, StoreError, commit, finished_tasks, write_task

AzureConnectParam, GCSConnectParam = RemoteBulkWriter.AzureConnectParam, RemoteBulkWriter.GCSConnectParam


@pytest.fixture(scope="module")
def azure() -> Iterator[AzureServer]:
    with running_azurite() as server:
        server.new_container("box")
        yield server


@pytest.fixture(scope="module")
def gcs() -> Iterator[tuple[str, S3Server]]:
    with running_gcs() as running:
        running[1].new_bucket("box")
        yield running


def ids_of(server: Any, container: str, folder: str, tmp_path: Path) -> list[int]:
    """Return the published ids of a folder, which is checked as on disk."""
    root = tmp_path / folder
    for key in server.keys(container):
        if key.startswith((f"{folder}/", f"{notes_key(folder)}/")):
            path = tmp_path / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(server.read(container, key))
    return check_folder(root)


def sas() -> str:
    return generate_account_sas(
        ACCOUNT, AZURE_KEY, ResourceTypes(container=True, object=True),
        AccountSasPermissions(read=True, write=True, delete=True, list=True, create=True),
        dt.datetime.now(dt.UTC) + dt.timedelta(hours=1),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("way", "file_type"),
    [
        *(("conn_str", file_type) for file_type in FORMATS),
        *((way, "npy") for way in ("key", "dict", "named key", "sas", "sas object", "sas conn_str")),
    ],
)
def test_azure(azure: AzureServer, tmp_path: Path, way: str, file_type: str) -> None:
    connect = {
        "conn_str": lambda: AzureConnectParam("box", azure.conn_str),
        "key": lambda: AzureConnectParam("box", "", azure.url, AZURE_KEY),
        "dict": lambda: AzureConnectParam("box", None, azure.url, {"account_name": ACCOUNT, "account_key": AZURE_KEY}),
        "named key": lambda: AzureConnectParam("box", None, azure.url, AzureNamedKeyCredential(ACCOUNT, AZURE_KEY)),
        "sas": lambda: AzureConnectParam("box", None, azure.url, sas()),
        "sas object": lambda: AzureConnectParam("box", None, azure.url, AzureSasCredential(sas())),
        "sas conn_str": lambda: AzureConnectParam("box", f"BlobEndpoint={azure.url};SharedAccessSignature={sas()}"),
    }[way]()
    with RemoteBulkWriter(small_schema(), "data/x", connect, chunk_size=20_000, file_type=file_type) as writer:
        writer.append_batch(columns_of(range(900)))
    folder = str(writer.data_path).strip("/")
    assert ids_of(azure, "box", folder, tmp_path) == list(range(900))
    with RemoteBulkWriter(small_schema(), folder, connect, file_type=file_type, resume=True) as again:
        again.append_batch(columns_of(range(900, 1_000)))
    assert ids_of(azure, "box", folder, tmp_path) == list(range(1_000))


def test_azure_in_parts(azure: AzureServer) -> None:
    transfer = RemoteBulkWriter.Transfer(part_bytes=5 * MIB)
    connect = AzureConnectParam("box", azure.conn_str)
    with RemoteBulkWriter(wide_schema(), "parts", connect, transfer=transfer) as writer:
        writer.append_batch(wide(0, 25_000))
    (files,) = writer.batch_files
    assert len(azure.read("box", files[0])) == writer.manifest.n_bytes > 20 * MIB
    with (
        pytest.raises(RuntimeError, match="enough"),
        RemoteBulkWriter(wide_schema(), "broken", connect, transfer=transfer) as writer,
    ):
        writer.append_batch(wide(0, 30_000))
        raise RuntimeError("enough")
    assert [key for key in azure.keys("box") if key.startswith("broken")] == []


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"credential": "bm90IHRoZSBrZXk="}, "refuses the credentials"),
        ({"container_name": "missing"}, "no such container"),
        ({"account_url": "http://127.0.0.1:9/devstoreaccount1"}, "Connection refused"),
    ],
)
def test_azure_says_no(azure: AzureServer, changed: dict[str, Any], reason: str) -> None:
    began = time.monotonic()
    facts = {"container_name": "box", "conn_str": None, "account_url": azure.url, "credential": AZURE_KEY, **changed}
    with pytest.raises(StoreError, match=reason) as error:
        RemoteBulkWriter(small_schema(), "x", AzureConnectParam(**facts))
    assert time.monotonic() - began < 10
    assert "\n" not in str(error.value)
    assert AZURE_KEY not in str(error.value)


def test_azure_needs_an_address() -> None:
    with pytest.raises(ValueError, match="conn_str or account_url"):
        RemoteBulkWriter(small_schema(), "x", AzureConnectParam("box", ""))


@pytest.mark.parametrize("file_type", FORMATS)
def test_gcs(gcs: tuple[str, S3Server], tmp_path: Path, file_type: str) -> None:
    endpoint, server = gcs
    connect = GCSConnectParam("box", endpoint=endpoint)
    with RemoteBulkWriter(small_schema(), "data/x", connect, chunk_size=20_000, file_type=file_type) as writer:
        writer.append_batch(columns_of(range(900)))
    assert ids_of(server, "box", str(writer.data_path).strip("/"), tmp_path) == list(range(900))
    assert server.uploads("box") == []


def test_gcs_in_parts(gcs: tuple[str, S3Server]) -> None:
    endpoint, server = gcs
    transfer = RemoteBulkWriter.Transfer(part_bytes=5 * MIB)
    connect = GCSConnectParam("box", endpoint=endpoint)
    with RemoteBulkWriter(wide_schema(), "parts", connect, transfer=transfer) as writer:
        writer.append_batch(wide(0, 25_000))
    assert len(server.read("box", writer.batch_files[0][0])) == writer.manifest.n_bytes > 20 * MIB
    with (
        pytest.raises(RuntimeError, match="enough"),
        RemoteBulkWriter(wide_schema(), "broken", connect, transfer=transfer) as writer,
    ):
        writer.append_batch(wide(0, 30_000))
        raise RuntimeError("enough")
    assert server.keys("box", "broken/") == server.uploads("box") == []


@pytest.mark.parametrize("file_type", FORMATS)
def test_gcs_by_hmac(seaweed: S3Server, tmp_path: Path, file_type: str) -> None:
    bucket = seaweed.new_bucket(f"hmac-{file_type}")
    connect = GCSConnectParam(bucket, KEY, SECRET, endpoint=seaweed.url)
    with RemoteBulkWriter(small_schema(), "x", connect, chunk_size=20_000, file_type=file_type) as writer:
        writer.append_batch(columns_of(range(900)))
    assert ids_of(seaweed, bucket, str(writer.data_path).strip("/"), tmp_path) == list(range(900))
    with pytest.raises(StoreError, match="the secret key is wrong"):
        RemoteBulkWriter(small_schema(), "x", GCSConnectParam(bucket, KEY, "wrong-secret", endpoint=seaweed.url))


def test_credentials_are_asked_for_again(seaweed: S3Server, tmp_path: Path) -> None:
    """A provider of the MinIO client, and one of obstore."""
    from minio.credentials import StaticProvider

    bucket = seaweed.new_bucket("provided")
    asked = []

    class Counting(StaticProvider):
        def retrieve(self) -> Any:
            asked.append(1)
            return super().retrieve()

    def provide() -> dict[str, Any]:
        asked.append(2)
        return {"access_key_id": KEY, "secret_access_key": SECRET, "expires_at": dt.datetime.now(dt.UTC)}

    for credentials in (Counting(KEY, SECRET), provide):
        connect = param(seaweed, bucket, access_key=None, secret_key=None, credentials=credentials)
        with RemoteBulkWriter(small_schema(), "x", connect) as writer:
            writer.append_batch(columns_of(range(10)))
        assert ids_of(seaweed, bucket, f"x/{writer.uuid}", tmp_path) == list(range(10))
    assert asked.count(1) >= 1
    assert asked.count(2) > 2


def check_tasks(server: Any, bucket: str, connect: Any, tmp_path: Path) -> None:
    """Write an export by tasks, one of them twice, and one that fails; commit it, and commit it again."""
    options = {"schema": small_schema(), "file_type": "npy", "segment_size": 40_000, "connect_param": connect}
    parts = [write_task([columns_of(range(i * 900, (i + 1) * 900))], "tasks", i, **options) for i in (0, 1, 1)]

    def broken() -> Iterator[Any]:
        yield columns_of(range(2000))
        raise ValueError

    with pytest.raises(ValueError):
        write_task(broken(), "tasks", 2, **options)
    assert set(finished_tasks("tasks", connect_param=connect)) == {"0", "1"}
    del options["segment_size"]
    manifests = [commit("tasks", [*parts[0], *parts[2]], **options) for _ in range(2)]
    assert manifests[0] == manifests[1]
    listed = {f"tasks/{entry.path}" for entry in manifests[0].files}
    assert {key for key in server.keys(bucket) if key.startswith("tasks")} == {*listed}
    assert ids_of(server, bucket, "tasks", tmp_path) == list(range(1800))
    with pytest.raises(StoreError, match="another export is there"):
        commit("tasks", parts[0], **options)


def test_tasks_on_azure(azure: AzureServer, tmp_path: Path) -> None:
    check_tasks(azure, "box", AzureConnectParam("box", azure.conn_str), tmp_path)


def test_tasks_on_google(gcs: tuple[str, S3Server], tmp_path: Path) -> None:
    check_tasks(gcs[1], "box", GCSConnectParam("box", endpoint=gcs[0]), tmp_path)


def test_tasks_where_puts_have_no_conditions(juicefs: S3Server, tmp_path: Path) -> None:
    juicefs.new_bucket("tasks-box")
    check_tasks(juicefs, "tasks-box", param(juicefs, "tasks-box"), tmp_path)
