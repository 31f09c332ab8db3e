"""convert from and into object storage: URLs wherever a path is taken, on a real S3 server."""

from __future__ import annotations

import gzip
import io
import json
import random
import time
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from buckets import new_bucket
from conversions import as_list, read_npy, read_parquet, vectors, write
from killed_processes import victims
from outputs import notes_key
from servers.s3 import KEY, SECRET, S3Server
from vecmill import convert, validate
from vecmill.convert.inspect import inspect
from vecmill.errors import DataError, StoreError
from vecmill.sources import open_source
from vecmill.sources.remote import objects_at
from vecmill.store.blob import AheadFile
from vecmill.store.notes import noted_name

N_ROWS = 1000


@pytest.fixture
def bucket(juicefs, monkeypatch) -> str:
    for name, value in (("ENDPOINT_URL", juicefs.url), ("ACCESS_KEY_ID", KEY), ("SECRET_ACCESS_KEY", SECRET)):
        monkeypatch.setenv(f"AWS_{name}", value)
    return new_bucket(juicefs)


def put(server: S3Server, bucket: str, key: str, data: bytes | Path) -> str:
    data = data.read_bytes() if isinstance(data, Path) else data
    server.client.put_object(bucket, key, io.BytesIO(data), len(data))
    return f"s3://{bucket}/{key}"


def table(n: int = N_ROWS, start: int = 0) -> pa.Table:
    return pa.table({"id": np.arange(start, start + n), "vector": as_list(vectors(n, start=start))})


def as_parquet(n: int = N_ROWS, start: int = 0) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table(n, start), sink, row_group_size=300)
    return sink.getvalue()


def as_arrow(*, stream: bool = False) -> bytes:
    sink = io.BytesIO()
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(sink, table().schema) as writer:
        for batch in table().to_batches(max_chunksize=300):
            writer.write_batch(batch)
    return sink.getvalue()


def as_lines() -> bytes:
    return "".join(json.dumps(row) + "\n" for row in table().to_pylist()).encode()


def as_npy() -> bytes:
    sink = io.BytesIO()
    np.save(sink, vectors(N_ROWS))
    return sink.getvalue()


def as_fvecs() -> bytes:
    dims = np.full((N_ROWS, 1), 8, "<i4").view("<f4")
    return np.hstack([dims, vectors(N_ROWS)]).tobytes()


def as_fbin() -> bytes:
    return np.array([N_ROWS, 8], "<u4").tobytes() + vectors(N_ROWS).tobytes()


KINDS = {
    "a.parquet": as_parquet,
    "a.arrow": as_arrow,
    "a.arrows": lambda: as_arrow(stream=True),
    "a.jsonl": as_lines,
    "a.jsonl.zst": lambda: zstandard.compress(as_lines()),
    "a.jsonl.gz": lambda: gzip.compress(as_lines()),
    "a.json": lambda: json.dumps(table().to_pylist()).encode(),
    "vector.npy": as_npy,
    "vector.fvecs": as_fvecs,
    "vector.fbin": as_fbin,
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_that_is_read_where_it_lies(juicefs, bucket, tmp_path, name):
    url = put(juicefs, bucket, f"in/{name}", KINDS[name]())
    report = convert(url, tmp_path, id_from="row" if name.startswith("vector") else None)
    got = read_parquet(report)
    assert got["id"].to_pylist() == list(range(N_ROWS))
    assert np.array_equal(np.array(got["vector"].to_pylist(), np.float32), vectors(N_ROWS))
    source = open_source(url)
    for start in (0, 1, 299, 300, 999, 1000):
        rows = [row for batch in source.batches(start_row=start, batch_rows=64) for row in batch["vector"]]
        assert len(rows) == N_ROWS - start


def test_patterns_folders_and_joins(juicefs, bucket, tmp_path):
    for i in (10, 2, 1):
        put(juicefs, bucket, f"in/deep/part-{i}.parquet", as_parquet(100, i * 100))
    put(juicefs, bucket, "in/deep/_SUCCESS", b"")
    put(juicefs, bucket, "in/deep/notes.txt", b"no data")
    put(juicefs, bucket, "in/deeper/er/part-3.parquet", as_parquet(100, 300))
    root = f"s3://{bucket}/in"
    for given, starts in (
        (f"{root}/deep", (1, 2, 10)),
        (f"{root}/deep/", (1, 2, 10)),
        (f"{root}/deep/part-*.parquet", (1, 2, 10)),
        (f"{root}/deep/part-[12].parquet", (1, 2)),
        (f"{root}/**/part-?.parquet", (1, 2, 3)),
        ([f"{root}/deep/part-10.parquet", f"{root}/deep/part-1.parquet"], (10, 1)),
    ):
        got = read_parquet(convert(given, tmp_path))
        assert got["id"].to_pylist() == [i for start in starts for i in range(start * 100, start * 100 + 100)]
    side = put(juicefs, bucket, "side.npy", as_npy())
    report = convert(put(juicefs, bucket, "a.parquet", as_parquet()), tmp_path, columns={"*": "*", "more": side})
    assert np.array_equal(np.array(read_parquet(report)["more"].to_pylist(), np.float32), vectors(N_ROWS))


def test_folders_that_tell_columns(juicefs, bucket, tmp_path):
    for lang in ("de", "en%2F"):
        put(juicefs, bucket, f"hive/lang={lang}/year=2020/a.parquet", as_parquet(2))
    url = f"s3://{bucket}/hive"
    for src in (url, f"{url}/*/*/*.parquet"):
        (batch, other) = open_source(src, columns=["lang", "year"]).batches()
        assert (batch["lang"].to_pylist(), batch["year"].to_pylist()) == (["de"] * 2, [2020] * 2)
        assert other["lang"].to_pylist() == ["en/"] * 2


def test_what_cannot_be_read_is_one_clear_error(juicefs, bucket, tmp_path):
    whole = as_parquet()
    for key, data, words in (
        ("cut.parquet", whole[: len(whole) // 2], "cut.parquet"),
        ("empty.parquet", b"", "empty.parquet"),
        ("cut.npy", as_npy()[:-1], "bytes"),
        ("empty.npy", b"", "empty"),
        ("a.npz", b"PK\x03\x04", "on disk"),
        ("cut.jsonl.zst", zstandard.compress(as_lines())[:-20], "cut.jsonl.zst"),
    ):
        with pytest.raises(DataError) as caught:
            convert(put(juicefs, bucket, f"bad/{key}", data), tmp_path, id_from="row")
        assert words in str(caught.value) and key in str(caught.value)
    for url in (f"s3://{bucket}/none.parquet", f"s3://{bucket}/none/*.parquet", "s3://no-such-bucket-here/a.parquet"):
        with pytest.raises(StoreError) as missing:
            convert(url, tmp_path)
        assert SECRET not in str(missing.value)
    assert not any(tmp_path.rglob("*.parquet"))


def test_a_file_is_read_ahead_and_tells_the_bytes_of_the_object(juicefs, bucket):
    data = random.Random(1).randbytes(23 << 20)
    (path,) = objects_at(put(juicefs, bucket, "noise", data))
    with path.open() as file:
        assert isinstance(file, AheadFile)
        assert b"".join(iter(lambda: file.read(3 << 20), b"")) == data
        for seed in range(200):
            chance = random.Random(seed)
            start = chance.randrange(len(data) + 10)
            n_bytes = chance.choice((1, 100, 1 << 16, 5 << 20))
            file.seek(start)
            assert file.read(n_bytes) == data[start : start + n_bytes]


@pytest.mark.parametrize("file_type", ["parquet", "npy", "json", "jsonl", "csv"])
def test_into_a_bucket_as_onto_a_disk(juicefs, bucket, tmp_path, file_type):
    write(tmp_path / "a.parquet", N_ROWS)
    local = convert(tmp_path / "a.parquet", tmp_path / "out", file_type=file_type, segment_size=20_000)
    remote = convert(tmp_path / "a.parquet", f"s3://{bucket}/some/where", file_type=file_type, segment_size=20_000)
    assert remote.rows == local.rows
    assert remote.data_path.startswith(f"s3://{bucket}/some/where/")
    if file_type == "npy":  # a batch that fills segments leaves as segments of one size
        parts = [[np.load(io.BytesIO(juicefs.read(bucket, key))) for key in group] for group in remote.files]
        whole = read_npy(local)
        for name, columns in zip(whole, zip(*parts, strict=True), strict=True):
            assert np.array_equal(np.concatenate(columns), whole[name])
        assert sorted(whole) == ["id", "vector"]
    else:
        assert [len(group) for group in remote.files] == [len(group) for group in local.files]
        for ours, theirs in zip(chain(*local.files), chain(*remote.files), strict=True):
            assert juicefs.read(bucket, theirs) == Path(ours).read_bytes()
    folder = remote.data_path.removeprefix(f"s3://{bucket}/")
    assert juicefs.keys(bucket, folder) == sorted(key for group in remote.files for key in group)
    beside = {f"{notes_key(folder)}/{name}" for name in ("manifest.json", "convert.json")}
    assert beside < set(juicefs.keys(bucket))
    assert juicefs.uploads(bucket) == []
    assert validate(remote.data_path).ok
    again = convert(remote.data_path, tmp_path / "again")  # what vecmill wrote is a source, there too
    assert read_parquet(again).equals(read_parquet(convert(local.data_path, tmp_path / "again")))
    assert inspect(remote.data_path).rows == N_ROWS


def test_the_one_output_below_a_prefix_is_found(juicefs, bucket, tmp_path):
    url = put(juicefs, bucket, "in/a.parquet", as_parquet(50))
    first = convert(url, f"s3://{bucket}/out")
    report = convert(f"s3://{bucket}/out", tmp_path)
    assert report.rows == 50
    assert report.schema == first.schema
    convert(url, f"s3://{bucket}/out")
    with pytest.raises(DataError, match=r"got 2 outputs, .*; name one"):
        convert(f"s3://{bucket}/out", tmp_path)


def test_rejects_are_told_in_the_bucket(juicefs, bucket, tmp_path):
    matrix = vectors(N_ROWS)
    bad = [3, 500, 999]
    matrix[bad, 1] = np.nan
    pq.write_table(pa.table({"id": np.arange(N_ROWS), "vector": as_list(matrix)}), tmp_path / "a.parquet")
    report = convert(tmp_path / "a.parquet", f"s3://{bucket}/out", on_error="skip", segment_size=10_000)
    assert (report.rows, report.rows_rejected) == (N_ROWS - 3, 3)
    assert report.rejects == f"{notes_key(report.data_path)}/rejects.jsonl"
    told = juicefs.read(bucket, report.rejects.removeprefix(f"s3://{bucket}/")).decode().splitlines()
    assert [json.loads(line)["row"] for line in told] == bad
    with pytest.raises(DataError) as caught:
        convert(tmp_path / "a.parquet", f"s3://{bucket}/stopped")
    assert caught.value.row == 3
    assert juicefs.keys(bucket, "stopped/") == []


def convert_on(src: str, url: str, file_type: str) -> None:
    convert(src, url, file_type=file_type, segment_size=400_000, on_error="skip", resume=True, id_from="row")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("file_type", ["npy", "parquet"])
def test_killed_and_resumed_every_row_is_there_once(juicefs, bucket, tmp_path, file_type):
    n_rows = 40_000  # 26 segments
    matrix = vectors(n_rows, 64)
    bad = sorted(random.Random(3).sample(range(n_rows), 20))
    matrix[bad, 5] = np.inf
    pq.write_table(pa.table({"vector": as_list(matrix)}), tmp_path / "a.parquet", row_group_size=2000)
    url = f"s3://{bucket}/out"
    args = (tmp_path / "a.parquet", url, file_type)
    chance, struck = random.Random(7), 0
    with victims(convert_on) as start:  # with the environment that leads to the bucket
        for _ in range(4):
            before = len(juicefs.keys(bucket))
            victim = start(*args)
            deadline = time.monotonic() + 60
            while victim.runs and len(juicefs.keys(bucket)) < before + 2 and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(chance.uniform(0, 0.1))
            struck += victim.runs
            victim.kill()
            victim.wait()
        assert start(*args).wait() == 0
    assert struck
    (folder,) = {noted_name(key.split("/")[1]) for key in juicefs.keys(bucket, "out/")}
    manifest = json.loads(juicefs.read(bucket, f"out/_vecmill-{folder}/manifest.json"))
    ids: list[int] = []
    for segment in manifest["segments"]:
        paths = {entry["field"]: entry["path"] for entry in segment["files"]}
        raw = io.BytesIO(juicefs.read(bucket, f"out/{folder}/{paths['id' if file_type == 'npy' else None]}"))
        ids += (np.load(raw) if file_type == "npy" else pq.read_table(raw)["id"].to_numpy()).tolist()
    assert ids == sorted(set(range(n_rows)) - set(bad))
    lines = juicefs.read(bucket, f"out/_vecmill-{folder}/rejects.jsonl").decode().splitlines()
    assert [json.loads(line)["source_row"] for line in lines] == bad
    listed = {f"out/{folder}/{entry['path']}" for segment in manifest["segments"] for entry in segment["files"]}
    beside = {f"out/_vecmill-{folder}/{name}" for name in ("manifest.json", "convert.json", "rejects.jsonl")}
    assert set(juicefs.keys(bucket, "out/")) == listed | beside


def test_keys_stand_in_urls_as_they_are(juicefs, bucket, tmp_path):
    names = ("run#2/a.parquet", "lang%3Den/a%20b.parquet", "part[1].parquet", "part1.parquet")
    urls = [put(juicefs, bucket, f"in/{name}", as_parquet(10, i * 10)) for i, name in enumerate(names)]
    for i, url in enumerate(urls):
        assert read_parquet(convert(url, tmp_path / str(i)))["id"].to_pylist() == list(range(i * 10, i * 10 + 10))
    report = convert(urls[0], f"s3://{bucket}/exp#1", file_type="jsonl")
    assert report.files[0][0].startswith("exp#1/")
    assert convert(urls, tmp_path / "all", workers=2).rows == 40


def test_an_object_that_is_replaced_while_it_is_read(seaweed, monkeypatch):
    for name, value in (("ENDPOINT_URL", seaweed.url), ("ACCESS_KEY_ID", KEY), ("SECRET_ACCESS_KEY", SECRET)):
        monkeypatch.setenv(f"AWS_{name}", value)
    bucket = new_bucket(seaweed)
    (path,) = objects_at(put(seaweed, bucket, "noise", bytes(9 << 20)))
    with path.open() as file:
        assert file.read(100) == bytes(100)
        put(seaweed, bucket, "noise", bytes([1]) * (9 << 20))
        with pytest.raises(StoreError):
            file.read(8 << 20)
