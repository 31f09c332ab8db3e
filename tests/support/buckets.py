"""For tests of object storage: the files of a bucket as an import finds them, and parameters of a server."""

from __future__ import annotations

import itertools
import json
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from failing_calls import check_folder
from other_readers import rows_of_text
from outputs import notes, notes_key
from servers.s3 import KEY, SECRET, S3Server
from vecmill import DataType, RemoteBulkWriter, create_schema

MIB = 1024 * 1024
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
    for key in server.keys(bucket, folder):
        path = root / key.removeprefix(f"{folder}/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(server.read(bucket, key))
    for key in server.keys(bucket, f"{notes_key(folder)}/"):
        notes(root).mkdir(exist_ok=True)
        (notes(root) / PurePosixPath(key).name).write_bytes(server.read(bucket, key))
    assert server.uploads(bucket) == []
    return check_folder(root, exact=exact, checksums=checksums)


def wide_schema() -> Any:
    schema = create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=256)
    return schema


def wide(start: int, stop: int) -> dict[str, Any]:
    ids = np.arange(start, stop)
    return {"id": ids, "vector": (ids[:, None] + np.arange(256)).astype(np.float32)}


def wide_ids(server: S3Server, bucket: str, writer: RemoteBulkWriter, tmp_path: Path) -> list[int]:
    """Return the ids of all published rows, having compared every vector."""
    import pyarrow.parquet as pq

    found: list[int] = []
    for files in writer.batch_files:
        if files[0].endswith(".npy"):
            parts = {}
            for key in files:
                (tmp_path / "column.npy").write_bytes(server.read(bucket, key))
                parts[Path(key).stem] = np.load(tmp_path / "column.npy")
            ids, vector = parts["id"], parts["vector"]
        elif files[0].endswith((".json", ".jsonl", ".csv")):
            path = tmp_path / f"segment{Path(files[0]).suffix}"
            path.write_bytes(server.read(bucket, files[0]))
            rows = rows_of_text(path)
            ids = np.array([int(row["id"]) for row in rows])
            is_csv = path.suffix == ".csv"
            vector = np.array([json.loads(row["vector"]) if is_csv else row["vector"] for row in rows], np.float32)
        else:
            (tmp_path / "segment.parquet").write_bytes(server.read(bucket, files[0]))
            table = pq.read_table(tmp_path / "segment.parquet")
            ids = table["id"].to_numpy()
            vector = np.asarray(table["vector"].combine_chunks().flatten()).reshape(len(ids), -1)
        assert np.array_equal(vector, wide(0, 0)["vector"] if not len(ids) else ids[:, None] + np.arange(256))
        found += ids.tolist()
    return found
