"""RemoteBulkWriter on real S3 servers, looked at with MinIO's own client."""

from __future__ import annotations

import gc
import json
import logging
import os
import time
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
from obstore.store import LocalStore, MemoryStore, S3Store

from buckets import MIB, check_bucket, new_bucket, param, wide, wide_ids, wide_schema
from failing_calls import check_folder, columns_of, row_of, run_python, small_schema, writer_threads
from format_names import FORMATS, SUFFIXES
from servers.s3 import KEY, SECRET, S3Server
from vecmill import DataError, RemoteBulkWriter, StoreError

SERVERS = ("juicefs", "seaweed")


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> S3Server:
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("file_type", FORMATS)
def test_rows_and_batches(server: S3Server, tmp_path: Path, file_type: str) -> None:
    bucket = new_bucket(server)
    told: list[Any] = []
    with RemoteBulkWriter(
        small_schema(), "data/folder", param(server, bucket), chunk_size=40_000, file_type=file_type
    ) as writer:
        writer.append_row(row_of(0))
        writer.append_rows([row_of(i) for i in range(1, 100)])
        writer.append_batch(columns_of(range(100, 2_000)))
        writer.commit(call_back=told.append)
        writer.append_batch(columns_of(range(2_000, 2_500)))
    assert writer.data_path == PurePosixPath(f"/data/folder/{writer.uuid}")
    assert check_bucket(server, bucket, str(writer.data_path), tmp_path) == list(range(2_500))
    assert len(writer.batch_files) > 3
    keys = server.keys(bucket)
    assert sorted(key for group in writer.batch_files for key in group) == [k for k in keys if "manifest" not in k]
    assert told and told[0] in writer.batch_files
    first = f"data/folder/{writer.uuid}/1"
    names = ["id", "text", "vector"]
    assert writer.batch_files[0] == (
        [f"{first}/{n}.npy" for n in names] if file_type == "npy" else [f"{first}{SUFFIXES[file_type]}"]
    )
    assert writer_threads() == []


@pytest.mark.parametrize("file_type", ["npy", "parquet"])
def test_a_large_batch_is_refused_whole(juicefs: S3Server, tmp_path: Path, file_type: str) -> None:
    """Parts of it have left already, some of its segments are complete: all that must not count."""
    bucket = new_bucket(juicefs)
    transfer = RemoteBulkWriter.Transfer(part_bytes=5 * MIB)
    with RemoteBulkWriter(
        wide_schema(), "", param(juicefs, bucket), chunk_size=24 * MIB, file_type=file_type, transfer=transfer
    ) as writer:
        writer.append_batch(wide(0, 3_000))
        # Within the open segment, and over several; refused rows are counted too.
        for n, bad_row in ((20_000, 22_999), (60_000, 82_999)):
            bad = wide(3_000, 3_000 + n)
            bad["vector"][-1, 3] = np.nan
            with pytest.raises(DataError) as error:
                writer.append_batch(bad)
            assert (error.value.field, error.value.row) == ("vector", bad_row)
            del bad, error
            gc.collect()
        writer.append_batch(wide(3_000, 6_000))
        assert writer.total_row_count == 6_000
        writer.append_batch(wide(6_000, 40_000))
    assert wide_ids(juicefs, bucket, writer, tmp_path) == list(range(40_000))
    keys = {key for group in writer.batch_files for key in group}
    assert set(juicefs.keys(bucket)) == keys | {f"_vecmill-{writer.uuid}/manifest.json"}
    assert juicefs.uploads(bucket) == []


@pytest.mark.parametrize("lasts", [True, False])
def test_npy_columns_of_a_large_batch_wait_for_nothing(
    juicefs: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lasts: bool
) -> None:
    """Rows that are counted first leave from the caller's array, or (where they have to be converted) in parts."""
    import obstore

    kinds: dict[str, str] = {}
    put = obstore.put

    def seen(store: Any, path: str, file: Any, **options: Any) -> Any:
        kinds[Path(path).name] = type(file).__name__
        return put(store, path, file, **options)

    monkeypatch.setattr(obstore, "put", seen)
    bucket, n = new_bucket(juicefs), 60_000
    transfer = RemoteBulkWriter.Transfer(part_bytes=5 * MIB, spool_bytes=2 * MIB)
    batch = wide(0, n)
    if not lasts:
        batch["vector"] = batch["vector"].astype(np.float64)
    writer = RemoteBulkWriter(
        wide_schema(), "x", param(juicefs, bucket), chunk_size=40 * MIB, file_type="npy", transfer=transfer
    )
    writer.append_row({"id": 0, "vector": np.arange(256, dtype=np.float32)})
    writer.append_batch({name: column[1:] for name, column in batch.items()})
    assert kinds["vector.npy"] == "generator"
    assert kinds["id.npy"] != "generator"
    batch["vector"][:] = np.nan  # it is ours again
    assert 0 < writer.buffer_row_count < n  # the last segment waits for more rows or a commit, as ever
    told: list[Any] = []
    writer.commit(call_back=told.append)
    assert [len(told), writer.buffer_row_count] == [1, 0]
    writer.append_row({"id": n, "vector": (n + np.arange(256)).astype(np.float32)})
    writer.close()
    rows = [segment.rows for segment in writer.manifest.segments]
    assert rows == [1, (n - 1) // 2 + 1, (n - 1) // 2, 1]
    assert wide_ids(juicefs, bucket, writer, tmp_path) == list(range(n + 1))


def test_npy_chunks_smaller_than_a_header(tmp_path: Path) -> None:
    param = f"file://{tmp_path}"
    with RemoteBulkWriter(wide_schema(), "x", param, chunk_size=400, file_type="npy") as writer:
        writer.append_batch(wide(0, 5))
    assert [segment.rows for segment in writer.manifest.segments] == [1] * 5


def test_a_manifest_that_is_being_put_is_our_own(
    juicefs: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Segments of a batch are completed, and look for other writers, while those of the last one are being listed."""
    import obstore

    put = obstore.put

    def slow(store: Any, path: str, file: Any, **options: Any) -> Any:
        done = put(store, path, file, **options)
        if path.endswith("manifest.json"):
            time.sleep(0.3)  # the store has it, and we do not know that yet
        return done

    monkeypatch.setattr(obstore, "put", slow)
    bucket = new_bucket(juicefs)
    with RemoteBulkWriter(wide_schema(), "x", param(juicefs, bucket), chunk_size=MIB, file_type="npy") as writer:
        for start in range(0, 8_000, 2_000):
            writer.append_batch(wide(start, start + 2_000))
    assert wide_ids(juicefs, bucket, writer, tmp_path) == list(range(8_000))


def test_npy_text_that_grows_beyond_what_was_counted(juicefs: S3Server, tmp_path: Path) -> None:
    """The count is made of the first rows: what turns out larger is written again, as segments that it fills."""
    bucket, n = new_bucket(juicefs), 30_000
    columns = columns_of(range(n))
    columns["text"] = np.array(["x" * 64 if i == n - 5 else str(i) for i in range(n)])
    with RemoteBulkWriter(small_schema(), "x", param(juicefs, bucket), chunk_size=1_500_000, file_type="npy") as writer:
        writer.append_batch(columns)
    found: list[str] = []
    for files in writer.batch_files:
        (key,) = [one for one in files if one.endswith("text.npy")]
        (tmp_path / "column.npy").write_bytes(juicefs.read(bucket, key))
        found += np.load(tmp_path / "column.npy").tolist()
    assert found == columns["text"].tolist()
    assert all(sum(file.bytes for file in one.files) <= 1_500_000 for one in writer.manifest.segments)
    listed = {key for group in writer.batch_files for key in group}
    assert set(juicefs.keys(bucket)) == listed | {f"x/_vecmill-{writer.uuid}/manifest.json"}


@pytest.mark.parametrize("spool_bytes", [0, 1 << 30])
def test_npy_waits_in_memory_or_in_tmpdir(
    juicefs: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spool_bytes: int
) -> None:
    """What waits has no name there: a kill leaves nothing."""
    import tempfile

    folder = tmp_path / "spool"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    bucket = new_bucket(juicefs)
    transfer = RemoteBulkWriter.Transfer(spool_bytes=spool_bytes)
    with RemoteBulkWriter(
        small_schema(), "x", param(juicefs, bucket), chunk_size=4 * MIB, file_type="npy", transfer=transfer
    ) as writer:
        writer.append_batch(columns_of(range(20_000)))
        links = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if _is_link(fd)]  # noqa: PTH115, PTH208
        assert any(str(folder) in link for link in links) == (spool_bytes == 0)
        assert list(folder.iterdir()) == []
    assert check_bucket(juicefs, bucket, str(writer.data_path), tmp_path, checksums=False) == list(range(20_000))


def _is_link(fd: str) -> bool:
    return os.path.lexists(f"/proc/self/fd/{fd}")


def test_an_exception_leaves_nothing(server: S3Server) -> None:
    bucket = new_bucket(server)
    transfer = RemoteBulkWriter.Transfer(part_bytes=5 * MIB)
    with (
        pytest.raises(RuntimeError, match="of the caller"),
        RemoteBulkWriter(wide_schema(), "x", param(server, bucket), transfer=transfer) as writer,
    ):
        writer.append_batch(wide(0, 40_000))
        stop = time.monotonic() + 30  # parts are sent by a thread
        while server.uploads(bucket) == []:
            assert time.monotonic() < stop
        raise RuntimeError("of the caller")
    assert server.keys(bucket) == server.uploads(bucket) == []


def test_nothing_to_write_leaves_nothing(server: S3Server) -> None:
    bucket = new_bucket(server)
    with RemoteBulkWriter(small_schema(), "x", param(server, bucket)):
        pass
    assert server.keys(bucket) == []


def test_never_closed_lets_the_process_end(juicefs: S3Server) -> None:
    bucket = new_bucket(juicefs)
    code = """
import sys
import numpy as np
from buckets import MIB, wide, wide_schema
from vecmill import RemoteBulkWriter
bucket, endpoint, key, secret = sys.argv[1:]
param = RemoteBulkWriter.S3ConnectParam(bucket, endpoint, key, secret, secure=False)
writer = RemoteBulkWriter(wide_schema(), "x", param, transfer=RemoteBulkWriter.Transfer(part_bytes=5 * MIB))
writer.append_batch(wide(0, 30_000))
print("end")
"""
    assert run_python(code, bucket, juicefs.endpoint, KEY, SECRET) == "end\n"


# -- the bucket is asked first


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"access_key": "wrong-access"}, "does not know the access key"),
        ({"secret_key": "wrong-secret-key"}, "the secret key is wrong"),
        ({"bucket_name": "no-such-bucket"}, "no such bucket"),
        ({"endpoint": "127.0.0.1:9"}, "127.0.0.1:9: Connection refused"),
        ({"secure": None}, "secure=False"),
    ],
)
@pytest.mark.parametrize("resume", [False, True])
def test_one_line_within_ten_seconds(server: S3Server, changed: dict[str, Any], reason: str, resume: bool) -> None:
    bucket = new_bucket(server)
    began = time.monotonic()
    with pytest.raises(StoreError) as error:
        RemoteBulkWriter(small_schema(), "x", param(server, bucket, **changed), resume=resume)
    assert time.monotonic() - began < 10
    text = str(error.value)
    assert reason in text
    assert "\n" not in text
    assert "wrong-secret-key" not in text
    assert error.value.__suppress_context__
    assert server.keys(bucket) == []


def test_no_answer_at_all(juicefs: S3Server) -> None:
    import socket

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        began = time.monotonic()
        with pytest.raises(StoreError, match="no answer"):
            port = silent.getsockname()[1]
            RemoteBulkWriter(small_schema(), "x", param(juicefs, "bucket", f"127.0.0.1:{port}"))
        assert time.monotonic() - began < 10.5


def test_secrets_are_not_told(juicefs: S3Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    bucket = new_bucket(juicefs)
    azure = RemoteBulkWriter.AzureConnectParam("c", f"AccountName=a;AccountKey={SECRET}", credential=SECRET)
    gcs = RemoteBulkWriter.GCSConnectParam("b", "key", SECRET, service_account_key=SECRET)
    s3 = param(juicefs, bucket, session_token=f"{SECRET}-token")
    for told in (azure, gcs, s3):
        assert SECRET not in repr(told)
    with pytest.raises(StoreError) as error:
        RemoteBulkWriter(small_schema(), "x", s3)
    with RemoteBulkWriter(small_schema(), "x", param(juicefs, bucket)) as writer:
        writer.append_row(row_of(1))
        assert SECRET not in repr(vars(writer))
    assert SECRET not in str(error.value) + caplog.text


# -- other ways to name a bucket


def test_url_and_environment(juicefs: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = new_bucket(juicefs)
    for name, value in (
        ("AWS_ENDPOINT_URL", juicefs.url), ("AWS_ACCESS_KEY_ID", KEY), ("AWS_SECRET_ACCESS_KEY", SECRET),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
    with RemoteBulkWriter(small_schema(), "deeper", f"s3://{bucket}/a/b") as writer:
        writer.append_batch(columns_of(range(10)))
    assert writer.batch_files == [[f"a/b/deeper/{writer.uuid}/1.parquet"]]
    assert check_bucket(juicefs, bucket, f"a/b/deeper/{writer.uuid}", tmp_path) == list(range(10))


def test_a_store_of_obstore(juicefs: S3Server, tmp_path: Path) -> None:
    bucket = new_bucket(juicefs)
    store = S3Store(
        bucket, prefix="pre", endpoint=juicefs.url, access_key_id=KEY, secret_access_key=SECRET, region="us-east-1",
        client_options={"allow_http": True},
    )  # fmt: skip
    with RemoteBulkWriter(small_schema(), "x", store) as writer:
        writer.append_batch(columns_of(range(10)))
    assert writer.batch_files == [[f"pre/x/{writer.uuid}/1.parquet"]]
    assert check_bucket(juicefs, bucket, f"pre/x/{writer.uuid}", tmp_path) == list(range(10))


@pytest.mark.parametrize("file_type", FORMATS)
def test_folder_and_memory(tmp_path: Path, file_type: str) -> None:
    for target in (f"file://{tmp_path}/a", LocalStore(tmp_path / "b", mkdir=True)):
        with RemoteBulkWriter(small_schema(), "x", target, file_type=file_type, chunk_size=4_000) as writer:
            writer.append_batch(columns_of(range(100)))
        with RemoteBulkWriter(
            small_schema(), str(writer.data_path), target, file_type=file_type, resume=True
        ) as writer:
            writer.append_batch(columns_of(range(100, 200)))
        root = tmp_path / ("a" if isinstance(target, str) else "b") / "x" / writer.uuid
        assert check_folder(root) == list(range(200))
    memory = MemoryStore()
    with RemoteBulkWriter(small_schema(), "x", memory, file_type=file_type) as writer:
        writer.append_batch(columns_of(range(100)))
    assert json.loads(bytes(memory.get(f"x/_vecmill-{writer.uuid}/manifest.json").bytes()))["rows"] == 100


@pytest.mark.parametrize("target", ["http://host/bucket", "s3:/bucket", "bucket", None, 7])
def test_what_is_no_bucket(target: Any) -> None:
    with pytest.raises(ValueError, match="expected"):
        RemoteBulkWriter(small_schema(), "x", target)


def test_https_is_the_default() -> None:
    from vecmill.store.connect import open_bucket

    with pytest.raises(ValueError, match="http_client"):
        open_bucket(RemoteBulkWriter.S3ConnectParam("b", http_client=object()))
    for endpoint, secure, found in (
        ("host:9000", None, "https://host:9000"), ("host:9000", False, "http://host:9000"),
        ("http://host", None, "http://host"), ("http://host", True, "https://host"), ("https://host/", None, "https://host"),
    ):  # fmt: skip
        bucket = open_bucket(RemoteBulkWriter.S3ConnectParam("b", endpoint, "k", "s", secure=secure))
        assert bucket.store(RemoteBulkWriter.Transfer()).config["endpoint"] == found
    virtual = RemoteBulkWriter.S3ConnectParam("b", "host", "k", "s", enable_virtual_style_endpoint=True)
    assert open_bucket(virtual).store(RemoteBulkWriter.Transfer()).config["endpoint"] == "https://b.host"
    aws = RemoteBulkWriter.S3ConnectParam("b", "s3.eu-west-3.amazonaws.com", "k", "s", session_token="t")
    config = open_bucket(aws).store(RemoteBulkWriter.Transfer()).config
    assert (config.get("endpoint"), config["region"]) == (None, "eu-west-3")


# -- memory


def test_memory_and_disk_stay_bounded(juicefs: S3Server, tmp_path: Path) -> None:
    """400 MB of Parquet in one segment: memory by the parts, no byte on the local disk."""
    bucket = new_bucket(juicefs)
    code = """
import sys
from pathlib import Path
import numpy as np
from buckets import MIB, wide, wide_schema
from vecmill import RemoteBulkWriter
bucket, endpoint, key, secret = sys.argv[1:]
param = RemoteBulkWriter.S3ConnectParam(bucket, endpoint, key, secret, secure=False)
transfer = RemoteBulkWriter.Transfer(part_bytes=5 * MIB, n_parts=8)
written = lambda: int(Path("/proc/self/io").read_text().split("\\nwrite_bytes: ")[1].split()[0])  # to disks
peak = lambda: int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) // 1024
batch = wide(0, 20_000)
with RemoteBulkWriter(wide_schema(), "x", param, transfer=transfer) as writer:
    writer.append_batch(wide(0, 10))
    writer.commit()
    before, disk = peak(), written()
    for _ in range(20):
        writer.append_batch(batch)
print(peak() - before, written() - disk)
"""
    grown_mib, disk_bytes = map(int, run_python(code, bucket, juicefs.endpoint, KEY, SECRET).split())
    assert grown_mib < 150
    assert disk_bytes == 0


def test_a_manifest_of_its_own_is_nobody_elses(juicefs: S3Server, tmp_path: Path) -> None:
    """Segments are completed in one thread while another replaces the manifest that they look at."""
    bucket = new_bucket(juicefs)
    n_rows = 20_000
    for i in range(2):
        with RemoteBulkWriter(
            small_schema(), f"run-{i}", param(juicefs, bucket), chunk_size=20_000, file_type="npy"
        ) as writer:
            for start in range(0, n_rows, n_rows // 4):
                writer.append_batch(columns_of(range(start, start + n_rows // 4)))
        assert len(writer.batch_files) > 50
        assert writer.manifest.n_rows == n_rows


def test_a_writer_that_was_given_up_leaves_what_another_has_put(seaweed: S3Server, tmp_path: Path) -> None:
    bucket = new_bucket(seaweed)
    first = RemoteBulkWriter(small_schema(), "out", param(seaweed, bucket))
    with RemoteBulkWriter(small_schema(), str(first.data_path), param(seaweed, bucket), resume=True) as second:
        second.append_rows([row_of(i) for i in range(3)])
    first.abort()
    assert check_bucket(seaweed, bucket, str(second.data_path), tmp_path) == [0, 1, 2]
