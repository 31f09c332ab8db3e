"""`vecmill upload`: what is on disk comes into the bucket once, and only what is not there is sent."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from buckets import check_bucket, new_bucket, param
from failing_calls import check_folder, columns_of, small_schema
from format_names import FORMATS
from outputs import notes
from servers.fault_proxy import FaultProxy, running_proxy
from servers.s3 import KEY, SECRET, S3Server
from vecmill import LocalBulkWriter, RemoteBulkWriter, StoreError
from vecmill.cli import app
from vecmill.output.upload import upload

HASTY = RemoteBulkWriter.Transfer(part_seconds=1, retry_seconds=2, max_retries=2)


@pytest.fixture(scope="module")
def proxy(juicefs: S3Server) -> Iterator[FaultProxy]:
    with running_proxy(juicefs.port) as running:
        yield running


def written(tmp_path: Path, file_type: str, n_rows: int = 1_000) -> Path:
    with LocalBulkWriter(small_schema(), tmp_path / "out", chunk_size=20_000, file_type=file_type) as writer:
        writer.append_batch(columns_of(range(n_rows)))
    assert len(writer.batch_files) > 2
    return writer.data_path


@pytest.mark.parametrize("file_type", FORMATS)
def test_once_and_again(juicefs: S3Server, tmp_path: Path, file_type: str) -> None:
    folder = written(tmp_path, file_type)
    bucket = new_bucket(juicefs)
    first = upload(folder, param(juicefs, bucket))
    assert (first.n_skipped, first.data_path) == (0, f"/{folder.name}")
    assert check_bucket(juicefs, bucket, folder.name, tmp_path) == list(range(1_000))
    files = [key for group in first.files for key in group]
    assert sorted([*files, f"_vecmill-{folder.name}/manifest.json"]) == juicefs.keys(bucket)
    again = upload(folder, param(juicefs, bucket))
    assert (again.n_sent, again.n_skipped, again.files) == (0, first.n_sent, first.files)
    # One is gone, one is another, one has lost its line in the manifest's copy there: two are sent.
    keys = [key for group in first.files for key in group]
    juicefs.client.remove_object(bucket, keys[0])
    juicefs.client.fput_object(bucket, keys[1], __file__)
    repaired = upload(folder, param(juicefs, bucket))
    assert repaired.n_sent == 2
    assert check_bucket(juicefs, bucket, folder.name, tmp_path) == list(range(1_000))


def test_a_writer_goes_on_in_what_was_uploaded(juicefs: S3Server, tmp_path: Path) -> None:
    folder = written(tmp_path, "parquet")
    bucket = new_bucket(juicefs)
    upload(folder, param(juicefs, bucket))
    with RemoteBulkWriter(small_schema(), folder.name, param(juicefs, bucket), resume=True) as writer:
        writer.append_batch(columns_of(range(1_000, 1_100)))
    assert check_bucket(juicefs, bucket, folder.name, tmp_path) == list(range(1_100))
    with pytest.raises(StoreError, match="another export"):
        (notes(folder) / "manifest.json").write_text(
            (notes(folder) / "manifest.json").read_text().replace(folder.name, "other")
        )
        upload(folder, param(juicefs, bucket))


@pytest.mark.parametrize("k", [2, 4, 7])
def test_goes_on_where_it_broke_off(juicefs: S3Server, proxy: FaultProxy, tmp_path: Path, k: int) -> None:
    folder = written(tmp_path, "npy")
    bucket = new_bucket(juicefs)
    connect = param(juicefs, bucket, proxy.endpoint)
    proxy.set("403", 2 * k)
    with pytest.raises(StoreError) as error:
        upload(folder, connect, transfer=HASTY)
    assert SECRET not in str(error.value)
    there = [key for key in juicefs.keys(bucket) if key.endswith(".npy")]
    assert juicefs.uploads(bucket) == []
    proxy.set()
    report = upload(folder, connect, transfer=HASTY)
    assert report.n_skipped == len(there)
    assert check_bucket(juicefs, bucket, folder.name, tmp_path) == list(range(1_000))


def test_what_was_changed_is_not_sent(juicefs: S3Server, tmp_path: Path) -> None:
    folder = written(tmp_path, "parquet")
    bucket = new_bucket(juicefs)
    for damage in (lambda data: data[:-1], lambda data: data[:-1] + b"?"):
        (folder / "2.parquet").write_bytes(damage((folder / "2.parquet").read_bytes()))
        with pytest.raises(StoreError, match=r"2\.parquet: is not what its manifest says") as error:
            upload(folder, param(juicefs, bucket))
        assert "run again" in error.value.__notes__[0]
        assert f"{folder.name}/2.parquet" not in juicefs.keys(bucket)
    (folder / "2.parquet").unlink()
    with pytest.raises(StoreError, match=r"2\.parquet"):
        upload(folder, param(juicefs, bucket))


def test_without_a_manifest(tmp_path: Path) -> None:
    folder = written(tmp_path, "npy")
    (notes(folder) / "manifest.json").unlink()
    (folder / "notes.txt").write_text("no")
    (folder / ".hidden.npy").write_text("no")
    target = f"file://{tmp_path}/bucket"
    report = upload(folder, target)
    assert [len(group) for group in report.files] == [3] * len(report.files)
    sent = tmp_path / "bucket" / folder.name
    assert sorted(p.name for p in sent.iterdir()) == sorted(p.name for p in folder.iterdir() if p.name.isdigit())
    upload(folder / "1" / "id.npy", target)
    assert (tmp_path / "bucket" / "id.npy").read_bytes() == (folder / "1" / "id.npy").read_bytes()
    for nothing in (tmp_path / "missing", tmp_path / "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(StoreError, match=r"is not there|no file to import"):
            upload(nothing, target)


def test_command(juicefs: S3Server, tmp_path: Path) -> None:
    folder = written(tmp_path, "parquet")
    bucket = new_bucket(juicefs)
    env = {"AWS_ENDPOINT_URL": juicefs.url, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
    done = CliRunner().invoke(app, ["upload", str(folder), f"s3://{bucket}/pre", "--json"], env=env)
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["files"][0] == [f"pre/{folder.name}/1.parquet"]
    assert check_bucket(juicefs, bucket, f"pre/{folder.name}", tmp_path) == list(range(1_000))
    done = CliRunner().invoke(app, ["upload", str(folder), f"s3://{bucket}/pre"], env=env)
    assert done.stdout.startswith("0 files sent")
    done = CliRunner().invoke(app, ["upload", str(folder), "http://host/x"], env=env)
    assert done.exit_code == 2
    done = CliRunner().invoke(app, ["upload", str(folder), "s3://no-such-bucket"], env=env)
    assert done.exit_code == 1
    assert "no such bucket" in done.stderr
    shutil.rmtree(folder)


@pytest.mark.parametrize("file_type", FORMATS)
def test_to_a_folder(tmp_path: Path, file_type: str) -> None:
    folder = written(tmp_path, file_type)
    target = f"file://{tmp_path}/bucket"
    first, again = upload(folder, target), upload(folder, target)
    assert (first.n_skipped, again.n_sent) == (0, 0)
    assert check_folder(tmp_path / "bucket" / folder.name) == list(range(1_000))
