"""What a network can do to an upload, at every request of it; kills; resume. Every row is there once."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from obstore.exceptions import GenericError
from obstore.store import S3Store

from buckets import MIB, check_bucket, new_bucket, param, wide, wide_ids, wide_schema
from failing_calls import columns_of, row_of, small_schema, writer_threads
from killed_processes import victims
from outputs import notes_key
from servers.fault_proxy import ACTS, FaultProxy, running_proxy
from servers.s3 import KEY, SECRET, S3Server, running_juicefs
from vecmill import DataError, RemoteBulkWriter, StoreError

# Short, so that what does not answer is given up soon.
HASTY = RemoteBulkWriter.Transfer(part_bytes=5 * MIB, part_seconds=1, retry_seconds=4, max_retries=3)
STEPS = ((0, 1_000), (1_000, 6_500), (6_500, 7_000))
N_ROWS = STEPS[-1][1]


@pytest.fixture(scope="module")
def proxy(juicefs: S3Server) -> Iterator[FaultProxy]:
    with running_proxy(juicefs.port) as running:
        yield running


def open_writer(
    server: S3Server, proxy: FaultProxy, bucket: str, file_type: str, resume: str | None = None
) -> RemoteBulkWriter:
    connect = param(server, bucket, proxy.endpoint)
    # Of NPY, the second step fills more than half a chunk, so that its rows are counted first and its vectors stream.
    chunk_size = 10 * MIB if file_type == "npy" else 1024 * MIB
    return RemoteBulkWriter(
        wide_schema(), resume or "x", connect, chunk_size, file_type, transfer=HASTY, resume=resume is not None
    )


def upload(writer: RemoteBulkWriter) -> None:
    """Write what is not there yet, in three segments; the second one has parts."""
    with writer:
        for start, stop in STEPS:
            if writer.total_row_count < stop:
                writer.append_batch(wide(start, stop))
                writer.commit()


def n_requests(server: S3Server, proxy: FaultProxy, file_type: str) -> int:
    plan = proxy.set()
    upload(open_writer(server, proxy, new_bucket(server), file_type))
    return plan.n_requests


@pytest.mark.parametrize(
    ("act", "file_type"),
    [*((act, "parquet") for act in ACTS), *((act, "npy") for act in ("reset", "403", "lost", "cut"))],
)
def test_every_request(juicefs: S3Server, proxy: FaultProxy, tmp_path: Path, act: str, file_type: str) -> None:
    """One request goes wrong: what can be tried again is; else the writer says what is safe, and resume goes on."""
    step = {"stall": 4}.get(act, 1 if file_type == "parquet" else 3)
    failed = set()
    total = n_requests(juicefs, proxy, file_type)
    for k in range(1, total + 1, step):
        bucket = new_bucket(juicefs)
        plan = proxy.set(act, k)
        writer: RemoteBulkWriter | None = None
        try:
            writer = open_writer(juicefs, proxy, bucket, file_type)
            upload(writer)
        except StoreError as error:
            failed.add(plan.seen[k - 1].split("?")[-1].split("/")[0].strip("="))
            assert "\n" not in str(error).partition("\n")[0]
            assert SECRET not in str(error)
            if writer is not None:
                n_safe = writer.manifest.n_rows
                assert (f"{n_safe} rows in" in error.safe) if n_safe else ("no rows" in error.safe)
                proxy.set()
                upload(writer := open_writer(juicefs, proxy, bucket, file_type, str(writer.data_path)))
        touched = plan.seen[k - 1]
        # The answer to "begin an upload" is lost: nobody knows the upload. A lifecycle rule is for that.
        orphan = "uploads" in touched and touched.startswith("POST") and act not in ("reset", "503", "429", "403")
        assert juicefs.uploads(bucket) == [] or orphan, touched
        assert writer_threads() == []
        if writer is not None:
            assert wide_ids(juicefs, bucket, writer, tmp_path) == list(range(N_ROWS)), touched
        else:
            assert k == 1
    # What is gone cannot be sent again, where only half of an upload's name has come back.
    assert (failed != set()) if act == "403" else failed <= ({"uploads"} if act == "half" else set())


@pytest.mark.parametrize(
    ("act", "file_type"),
    [("reset", "parquet"), ("503", "npy"), ("403", "npy"), ("403", "parquet"), ("stall", "parquet")],
)
def test_the_store_goes_away(juicefs: S3Server, proxy: FaultProxy, tmp_path: Path, act: str, file_type: str) -> None:
    """From some request on nothing works: one error, soon, that says what is safe; then resume."""
    bucket = new_bucket(juicefs)
    proxy.set()
    writer = open_writer(juicefs, proxy, bucket, file_type)
    writer.append_batch(wide(*STEPS[0]))
    writer.commit()
    proxy.set(act, 1, stays=True)
    began = time.monotonic()
    with pytest.raises(StoreError, match=r"1000 rows in . files are published and safe") as error, writer:
        writer.append_batch(wide(*STEPS[1]))
        writer.commit()
    assert time.monotonic() - began < 40
    with pytest.raises(ValueError, match="closed"):
        writer.append_row({})
    assert writer_threads() == []
    assert "\n" not in str(error.value)
    proxy.set()
    upload(writer := open_writer(juicefs, proxy, bucket, file_type, str(writer.data_path)))
    assert wide_ids(juicefs, bucket, writer, tmp_path) == list(range(N_ROWS))


@pytest.mark.parametrize(("file_type", "step"), [("parquet", 5_000), ("npy", 5_000), ("npy", 60_000)])
@pytest.mark.parametrize("act", ["slow", "stall"])
def test_a_file_has_a_budget(
    juicefs: S3Server, proxy: FaultProxy, tmp_path: Path, file_type: str, step: int, act: str
) -> None:
    """Every part is taken in the end, or might be: a file that takes too long is given up all the same."""
    bucket, n = new_bucket(juicefs), 60_000
    transfer = RemoteBulkWriter.Transfer(
        part_bytes=5 * MIB, concurrency=1, file_seconds=1.5, part_seconds=1, retry_seconds=1000, max_retries=1000
    )
    proxy.set()
    writer = RemoteBulkWriter(
        wide_schema(), "x", param(juicefs, bucket, proxy.endpoint), 64 * MIB, file_type, transfer=transfer
    )
    writer.append_batch(wide(0, 2_000))
    writer.commit()
    proxy.set(act, 1, stays=True)
    began = time.monotonic()
    with pytest.raises(StoreError, match=r"2000 rows in . files are published and safe") as error, writer:
        for start in range(2_000, n, step):
            writer.append_batch(wide(start, min(n, start + step)))
    assert time.monotonic() - began < 15
    assert "\n" not in str(error.value)
    if act == "slow":
        assert "given up: the store took more than 1.5 s for it" in str(error.value)
        assert juicefs.uploads(bucket) == []
    proxy.set()
    with open_writer(juicefs, proxy, bucket, file_type, str(writer.data_path)) as again:
        again.append_batch(wide(2_000, 3_000))
    assert wide_ids(juicefs, bucket, again, tmp_path) == list(range(3_000))


def test_what_takes_long_to_make_costs_no_budget(juicefs: S3Server, tmp_path: Path) -> None:
    bucket = new_bucket(juicefs)
    transfer = RemoteBulkWriter.Transfer(part_bytes=5 * MIB, file_seconds=1)
    with RemoteBulkWriter(wide_schema(), "x", param(juicefs, bucket), transfer=transfer) as writer:
        for start in range(0, 80_000, 20_000):
            writer.append_batch(wide(start, start + 20_000))
            time.sleep(0.5)
    assert len(writer.batch_files) == 1
    assert wide_ids(juicefs, bucket, writer, tmp_path) == list(range(80_000))


def test_two_writers_at_one_place(seaweed: S3Server, tmp_path: Path) -> None:
    """The second one to resume takes over; the first finds out before it publishes anything more."""
    bucket = new_bucket(seaweed)
    first = RemoteBulkWriter(small_schema(), "x", param(seaweed, bucket))
    first.append_row(row_of(0))
    first.commit()
    second = RemoteBulkWriter(small_schema(), str(first.data_path), param(seaweed, bucket), resume=True)
    second.append_row(row_of(1))
    second.close()
    first.append_row(row_of(7))
    with pytest.raises(StoreError, match="another writer"):
        first.commit()
    first.close()
    third = RemoteBulkWriter(small_schema(), str(first.data_path), param(seaweed, bucket), resume=True)
    third.append_row(row_of(2))
    third.close()
    assert check_bucket(seaweed, bucket, str(first.data_path), tmp_path) == [0, 1, 2]


def test_resume_looks_at_what_is_there(juicefs: S3Server, tmp_path: Path) -> None:
    bucket = new_bucket(juicefs)
    connect = param(juicefs, bucket)
    with RemoteBulkWriter(small_schema(), "x", connect) as writer:
        writer.append_batch(columns_of(range(10)))
    folder = str(writer.data_path).strip("/")
    for name in ("2.parquet", "7/id.npy", "notes.txt"):
        seen = tmp_path / "seen"
        seen.write_bytes(b"?")
        juicefs.client.fput_object(bucket, f"{folder}/{name}", str(seen))
    with RemoteBulkWriter(small_schema(), folder, connect, resume=True) as again:
        assert (again.uuid, again.total_row_count) == (writer.uuid, 10)
        with pytest.raises(DataError, match="row 10"):
            again.append_row({})
        again.append_batch(columns_of(range(10, 20)))
    assert juicefs.keys(bucket, f"{folder}/")[-1] == f"{folder}/notes.txt"
    juicefs.client.remove_object(bucket, f"{folder}/notes.txt")
    assert check_bucket(juicefs, bucket, folder, tmp_path) == list(range(20))
    with pytest.raises(StoreError, match="its file type is PARQUET"):
        RemoteBulkWriter(small_schema(), folder, connect, file_type="npy", resume=True)
    juicefs.client.remove_object(bucket, f"{notes_key(folder)}/manifest.json")
    with pytest.raises(StoreError, match="no manifest lists it"):
        RemoteBulkWriter(small_schema(), folder, connect, resume=True)
    assert f"{folder}/1.parquet" in juicefs.keys(bucket)


def test_a_full_store() -> None:
    with running_juicefs(max_files=60) as server:
        bucket = new_bucket(server)
        store = S3Store(
            bucket, endpoint=server.url, access_key_id=KEY, secret_access_key=SECRET, region="us-east-1",
            client_options={"allow_http": True}, retry_config={"max_retries": 0},
        )  # fmt: skip
        with pytest.raises(GenericError):  # until nothing more fits
            for i in range(100):
                store.put(f"key-{i}", b"x")
        began = time.monotonic()
        with pytest.raises(StoreError, match=r"manifest\.json: the store answers 5") as error:
            RemoteBulkWriter(small_schema(), "x", param(server, bucket))
        assert time.monotonic() - began < 10
        assert "\n" not in str(error.value)


def fill(bucket: str, connect: dict[str, str], file_type: str, step: int) -> None:
    param = RemoteBulkWriter.S3ConnectParam(bucket, secure=False, **connect)
    with RemoteBulkWriter(
        wide_schema(), "x/fixed", param, chunk_size=8 * MIB, file_type=file_type, resume=True,
        transfer=RemoteBulkWriter.Transfer(part_bytes=5 * MIB),
    ) as writer:  # fmt: skip
        for start in range(writer.manifest.n_rows, 60_000, step):
            writer.append_batch(wide(start, min(start + step, 60_000)))
            print(start, flush=True)


@pytest.mark.parametrize(
    ("file_type", "n_kills", "step"), [("parquet", 10, 2_500), ("npy", 3, 2_500), ("npy", 10, 12_000)]
)
def test_killed_then_finished(juicefs: S3Server, tmp_path: Path, file_type: str, n_kills: int, step: int) -> None:
    """kill -9 at random moments, resumed each time: every row once, and the manifest lists all there is."""
    rng = np.random.default_rng(3)
    bucket = new_bucket(juicefs)
    args = (bucket, {"endpoint": juicefs.endpoint, "access_key": KEY, "secret_key": SECRET}, file_type, step)
    with victims(fill) as start:
        for _ in range(n_kills):
            victim = start(*args)
            for _ in range(int(rng.integers(0 if step > 2_500 else 1, 6 if step == 2_500 else 2))):
                victim.read_line()
            time.sleep(rng.random() * 0.1)
            victim.kill()
            assert victim.wait() in (0, -signal.SIGKILL)
        assert start(*args).wait() == 0
    with RemoteBulkWriter(wide_schema(), "x/fixed", param(juicefs, bucket), file_type=file_type, resume=True) as last:
        pass
    assert wide_ids(juicefs, bucket, last, tmp_path) == list(range(60_000))
    listed = {key for files in last.batch_files for key in files}
    assert set(juicefs.keys(bucket)) == listed | {"x/_vecmill-fixed/manifest.json"}
