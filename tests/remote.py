"""What the tests of object storage share: a bucket as an import would find it, and parameters for a server."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from faults import check_folder
from servers.s3 import KEY, SECRET, S3Server
from vecmill import RemoteBulkWriter

_numbers = itertools.count(1)


def new_bucket(server: S3Server) -> str:
    return server.new_bucket(f"bucket-{next(_numbers)}")


def param(
    server: S3Server, bucket: str, endpoint: str | None = None, **changed: Any
) -> RemoteBulkWriter.S3ConnectParam:
    """Return the parameters of a bucket, ``endpoint`` being that of a proxy."""
    return RemoteBulkWriter.S3ConnectParam(
        **{
            "bucket_name": bucket, "endpoint": endpoint or server.endpoint,
            "access_key": KEY, "secret_key": SECRET, "secure": False, **changed,
        }
    )  # fmt: skip


def check_bucket(
    server: S3Server, bucket: str, folder: str, tmp_path: Path, *, exact: bool = True, checksums: bool = True
) -> list[int]:
    """Check what MinIO's client finds in a folder as ``check_folder`` does on disk. Return the published ids."""
    folder = folder.strip("/")
    root = tmp_path / f"download-{next(_numbers)}"
    for key in server.keys(bucket, f"{folder}/"):
        path = root / key.removeprefix(f"{folder}/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(server.read(bucket, key))
    assert server.uploads(bucket) == []
    return check_folder(root, exact=exact, checksums=checksums)
