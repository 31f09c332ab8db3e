"""Credentials of the clouds' own packages: found where those look for them, renewed while an upload goes on."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import google.auth.credentials
import numpy as np
import pytest
from azure.core.credentials import AccessToken
from botocore.credentials import Credentials, RefreshableCredentials
from minio.credentials import StaticProvider
from minio.credentials.providers import Provider as MinioProvider

from buckets import MIB, check_bucket, new_bucket, param, wide, wide_ids, wide_schema
from failing_calls import columns_of, small_schema
from servers.azure import running_azurite
from servers.fault_proxy import FaultProxy, running_proxy
from servers.gcs import running_gcs
from servers.s3 import KEY, SECOND_KEY, SECOND_SECRET, SECRET, S3Server
from vecmill import RemoteBulkWriter, StoreError, convert, validate
from vecmill.output.opening import open_output
from vecmill.store import connect, credentials
from vecmill.store.connect import open_bucket

LIFE = 1.5  # seconds that the first credentials are good for


@pytest.fixture
def no_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """As on a machine without any credentials, and without a cloud around it."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    return monkeypatch


def write_and_check(target: Any, server: S3Server, bucket: str, tmp_path: Path) -> None:
    with RemoteBulkWriter(small_schema(), "x", target) as writer:
        writer.append_batch(columns_of(range(100)))
    folder = f"{open_bucket(target).prefix}/{str(writer.data_path).strip('/')}"
    assert check_bucket(server, bucket, folder, tmp_path) == list(range(100))


@pytest.mark.parametrize("way", ["url", "param", "session", "botocore", "credentials"])
def test_profile_file(seaweed: S3Server, tmp_path: Path, no_keys: pytest.MonkeyPatch, way: str) -> None:
    """The profile that ``AWS_PROFILE`` names, as the AWS command line has written it."""
    (tmp_path / "credentials").write_text(
        f"[default]\naws_access_key_id = x\naws_secret_access_key = y\n"
        f"[export]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n"
    )
    (tmp_path / "config").write_text("[profile export]\nregion = eu-west-1\n")
    bucket = new_bucket(seaweed)
    if way == "url":
        no_keys.setenv("AWS_PROFILE", "export")
        no_keys.setenv("AWS_ENDPOINT_URL", seaweed.url)
        target: Any = f"s3://{bucket}/some/where"
    elif way == "param":
        no_keys.setenv("AWS_PROFILE", "export")
        target = param(seaweed, bucket, access_key=None, secret_key=None)
    else:
        session = boto3.Session(profile_name="export")
        held = {
            "session": session,
            "botocore": botocore.session.Session(profile="export"),
            "credentials": session.get_credentials(),
        }[way]
        target = param(seaweed, bucket, access_key=None, secret_key=None, credentials=held)
    write_and_check(target, seaweed, bucket, tmp_path)
    config = open_bucket(target).store(RemoteBulkWriter.Transfer()).config
    assert config["region"] == ("us-east-1" if way == "credentials" else "eu-west-1")


def test_environment(seaweed: S3Server, tmp_path: Path, no_keys: pytest.MonkeyPatch) -> None:
    no_keys.setenv("AWS_ACCESS_KEY_ID", KEY)
    no_keys.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    bucket = new_bucket(seaweed)
    for held in (None, boto3.Session()):
        target = param(seaweed, bucket, access_key=None, secret_key=None, credentials=held)
        write_and_check(target, seaweed, bucket, tmp_path)


def test_none_at_all(seaweed: S3Server, no_keys: pytest.MonkeyPatch) -> None:
    bucket = new_bucket(seaweed)
    with pytest.raises(ValueError, match="the session has no credentials: no profile"):
        RemoteBulkWriter(
            small_schema(),
            "x",
            param(seaweed, bucket, access_key=None, secret_key=None, credentials=boto3.Session()),
        )
    for held in ("text", object()):
        with pytest.raises(ValueError, match=r"a boto3 session, a provider of the MinIO client or a cred.* of obstore"):
            param_of = param(seaweed, bucket, access_key=None, secret_key=None, credentials=held)
            RemoteBulkWriter(small_schema(), "x", param_of)
    began = time.monotonic()
    with pytest.raises(StoreError, match="credentials"):
        RemoteBulkWriter(small_schema(), "x", param(seaweed, bucket, access_key=None, secret_key=None))
    assert time.monotonic() - began < 10


@pytest.fixture
def proxy(seaweed: S3Server) -> Iterator[FaultProxy]:
    with running_proxy(seaweed.port) as running:
        yield running


@dataclass
class Life:
    """Whether the first credentials have ended."""

    over: bool = False

    def now(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC) + dt.timedelta(hours=2 * self.over)


def by_botocore(life: Life) -> Any:
    """Return credentials as those of a role, which botocore renews when they have ended."""
    end = life.now() + dt.timedelta(hours=1)
    new = {"access_key": SECOND_KEY, "secret_key": SECOND_SECRET, "token": ""}
    return RefreshableCredentials(
        KEY, SECRET, "", end, lambda: new | {"expiry_time": (end + dt.timedelta(days=1)).isoformat()}, "test", life.now
    )


def by_minio(life: Life) -> Any:
    class Changing(MinioProvider):
        def retrieve(self) -> Any:
            return StaticProvider(*((SECOND_KEY, SECOND_SECRET) if life.over else (KEY, SECRET))).retrieve()

    return Changing()


def by_callable(life: Life) -> Any:
    def provide() -> dict[str, Any]:
        key, secret = (SECOND_KEY, SECOND_SECRET) if life.over else (KEY, SECRET)
        soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=0.2)
        return {"access_key_id": key, "secret_access_key": secret, "expires_at": soon}

    return provide


def by_coroutine(life: Life) -> Any:
    provide = by_callable(life)

    async def later() -> dict[str, Any]:
        await asyncio.sleep(0)
        found: dict[str, Any] = provide()
        return found

    return later


@pytest.mark.parametrize("make", [by_botocore, by_minio, by_callable, by_coroutine])
@pytest.mark.parametrize("file_type", ["parquet", "npy"])
def test_they_end_within_an_upload(
    seaweed: S3Server,
    proxy: FaultProxy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[Life], Any],
    file_type: str,
) -> None:
    """Requests after that are signed with the new ones, those for parts of an object that was begun before too."""
    monkeypatch.setattr(credentials, "ASK_SECONDS", 0.2)
    bucket, life = new_bucket(seaweed), Life()
    connect = param(seaweed, bucket, proxy.endpoint, access_key=None, secret_key=None, credentials=make(life))
    transfer = RemoteBulkWriter.Transfer(part_bytes=5 * MIB)
    with RemoteBulkWriter(wide_schema(), "x", connect, file_type=file_type, transfer=transfer) as writer:
        writer.append_batch(wide(0, 27_000))  # a row group, and so parts
        while file_type == "parquet" and not any("uploadId" in request for request in proxy.plan.seen):
            time.sleep(0.05)  # until a part has been sent
        life.over = True
        time.sleep(0.3)
        writer.append_batch(wide(27_000, 36_000))
    assert wide_ids(seaweed, bucket, writer, tmp_path) == list(range(36_000))
    keys = [signed.partition("Credential=")[2].partition("/")[0] for signed in proxy.plan.signed]
    assert keys == sorted(keys, key=[KEY, SECOND_KEY].index)
    assert 1 <= keys.count(KEY) < len(keys)
    if file_type == "parquet":  # one upload, begun with the first
        at = next(i for i, request in enumerate(proxy.plan.seen) if "?uploads" in request)
        assert keys[at] == KEY
    assert seaweed.uploads(bucket) == []


def test_secrets_of_a_provider_are_not_told(seaweed: S3Server, caplog: pytest.LogCaptureFixture) -> None:
    bucket = new_bucket(seaweed)
    caplog.set_level("DEBUG", "vecmill")
    wrong = Credentials(KEY, "wrong-secret-key", "session-token-of-mine")
    connect = param(seaweed, bucket, access_key=None, secret_key=None, credentials=wrong)
    with pytest.raises(StoreError) as error:
        RemoteBulkWriter(small_schema(), "x", connect)
    bucket_of = open_bucket(connect)
    told = repr(connect) + str(error.value) + repr(error.value) + caplog.text + repr(bucket_of)
    told += "".join(getattr(error.value, "__notes__", ())) + repr(credentials.s3_provider(wrong))
    assert "wrong-secret-key" not in told
    assert "session-token-of-mine" not in told

    provider = credentials.s3_provider(lambda: {"access_key_id": "x", "secret_access_key": "wrong-secret-key"})
    provider()
    assert list(provider.secrets) == ["wrong-secret-key"]


class Token(google.auth.credentials.Credentials):  # type: ignore[misc]
    """Credentials of google-auth whose tokens have numbers, each good for a short time."""

    n = 0

    def refresh(self, request: object) -> None:
        self.n += 1
        self.token = f"token-{self.n}"
        # google-auth takes a token for expired 3 min 45 s before it is.
        self.expiry = dt.datetime.now(dt.UTC).replace(tzinfo=None) + dt.timedelta(seconds=225 + LIFE)


class AzureToken:
    """A credential of azure-core, likewise."""

    def __init__(self) -> None:
        self.end, self.n = 0.0, 0

    def get_token(self, *scopes: str, **_options: Any) -> AccessToken:
        assert scopes == ("https://storage.azure.com/.default",)
        if time.time() > self.end:
            self.n, self.end = self.n + 1, time.time() + LIFE
        return AccessToken(f"token-{self.n}", int(self.end))


def test_google(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "ASK_SECONDS", 0.2)
    with running_gcs() as (endpoint, server), running_proxy(int(endpoint.rpartition(":")[2])) as proxy:
        bucket = new_bucket(server)
        connect = RemoteBulkWriter.GCSConnectParam(bucket, endpoint=f"http://{proxy.endpoint}", credentials=Token())
        transfer = RemoteBulkWriter.Transfer(part_bytes=5 * MIB)
        with RemoteBulkWriter(wide_schema(), "x", connect, transfer=transfer) as writer:
            for start in (0, 15_000):
                writer.append_batch(wide(start, start + 15_000))
                time.sleep(LIFE + 0.3)
        assert wide_ids(server, bucket, writer, tmp_path) == list(range(30_000))
        assert {"Bearer token-1", "Bearer token-2"} <= set(proxy.plan.signed)


def test_google_finds_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is asked for when the bucket is, and what it says is one line."""
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_SERVICE_ACCOUNT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    began = time.monotonic()
    for target in ("gs://no-such-bucket/x", RemoteBulkWriter.GCSConnectParam("no-such-bucket")):
        with pytest.raises(StoreError, match=r"^gs://no-such-bucket: no credentials were found; set GOOGLE_") as error:
            RemoteBulkWriter(small_schema(), "x", target)
        assert "\n" not in str(error.value)
        assert not hasattr(error.value, "__notes__")
    assert time.monotonic() - began < 10


@pytest.fixture
def silence() -> Iterator[str]:
    """The address of a server that takes connections and never answers, as the metadata service of no cloud."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize(
    ("url", "wanted", "packages"),
    [
        ("s3://nobody-has-this", "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", True),
        ("gs://nobody-has-this", "GOOGLE_APPLICATION_CREDENTIALS", True),
        ("gs://nobody-has-this", "GOOGLE_APPLICATION_CREDENTIALS", False),
        ("az://nobody-has-this", "AZURE_STORAGE_ACCOUNT_NAME, and AZURE_STORAGE_ACCOUNT_KEY", False),
    ],
)
def test_none_at_all_is_one_line_within_seconds(
    no_keys: pytest.MonkeyPatch, tmp_path: Path, silence: str, url: str, wanted: str, packages: bool
) -> None:
    """With the packages of the clouds and without them, for whoever reads, writes, validates or imports."""
    for name in list(os.environ):
        if name.startswith(("AWS_ENDPOINT", "AZURE_", "GOOGLE_")):
            no_keys.delenv(name)
    no_keys.setenv("NO_GCE_CHECK", "true")
    no_keys.setenv("HOME", str(tmp_path))
    no_keys.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    no_keys.setenv("AWS_METADATA_ENDPOINT", f"http://{silence}")
    no_keys.setenv("GCE_METADATA_HOST", silence)
    if not packages:
        for chain in ("s3_chain", "google_chain", "azure_chain"):
            no_keys.setattr(connect, chain, lambda: None)
    np.save(tmp_path / "vector.npy", np.ones((3, 4), np.float32))
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps(small_schema().to_dict()))
    for call in (
        lambda: convert(f"{url}/in.parquet", tmp_path / "out"),
        lambda: convert(tmp_path / "vector.npy", f"{url}/out"),
        lambda: validate(f"{url}/out", schema),
        lambda: open_output(f"{url}/out"),
    ):
        began = time.monotonic()
        with pytest.raises(StoreError, match=f"^{url}: no credentials were found; set {wanted}[^\n]*$") as error:
            call()
        assert time.monotonic() - began < 15
        assert getattr(error.value, "__notes__", ["nothing was published"]) == ["nothing was published"]


def test_azure(monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulator takes tokens over https only: what it is sent can be seen, and that its refusal is one line."""
    monkeypatch.setattr(credentials, "ASK_SECONDS", 0.2)
    with running_azurite() as server, running_proxy(server.port) as proxy:
        server.new_container("box")
        url = f"http://{proxy.endpoint}/devstoreaccount1"
        token = AzureToken()
        for n in (1, 2):
            connect = RemoteBulkWriter.AzureConnectParam("box", account_url=url, credential=token)
            with pytest.raises(StoreError, match="credentials") as error:
                RemoteBulkWriter(small_schema(), "x", connect)
            assert proxy.plan.signed[-1] == f"Bearer token-{n}"
            assert f"token-{n}" not in str(error.value)
            time.sleep(LIFE + 0.1)
    with pytest.raises(ValueError, match="a credential of azure-identity or a credential provider"):
        open_bucket(RemoteBulkWriter.AzureConnectParam("box", account_url=url, credential=object()))
