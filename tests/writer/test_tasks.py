"""write_task and commit: whatever becomes of attempts, what is committed is there once and nothing else is."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import pickle
import threading
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

import task_functions
from buckets import check_bucket, new_bucket, param
from failing_calls import check_folder, columns_of, small_schema
from format_names import FORMATS
from outputs import notes, outputs
from servers.s3 import KEY, SECRET, S3Server
from task_functions import ROWS, SEGMENT, write
from vecmill import LocalBulkWriter, RemoteBulkWriter, commit, convert, finished_tasks, validate, write_task
from vecmill.errors import DataError, StoreError
from vecmill.manifest import FileEntry, Manifest
from vecmill.output.opening import open_output
from vecmill.output.upload import upload

SPAWN = multiprocessing.get_context("spawn")


def commit_all(url: Any, file_type: str, parts: list[list[FileEntry]], **options: Any) -> Manifest:
    return commit(url, itertools.chain(*parts), schema=small_schema(), file_type=file_type, **options)


def in_process(task: Any, *args: Any) -> int | None:
    process = SPAWN.Process(target=task, args=args)
    process.start()
    process.join(60)
    return process.exitcode


@pytest.mark.parametrize("file_type", FORMATS)
def test_processes_write_one_export_which_all_commands_take(tmp_path: Path, file_type: str) -> None:
    url = tmp_path / "out"
    with ProcessPoolExecutor(2, SPAWN) as pool:
        parts = list(pool.map(write, range(3), [url] * 3, [file_type] * 3))
    assert all(
        len({entry.path.rpartition("/")[0 if file_type == "npy" else 2] for entry in part}) > 1 for part in parts
    )
    assert pickle.loads(pickle.dumps(parts)) == parts
    entries = json.loads(json.dumps([asdict(entry) for part in parts for entry in part]))
    manifest = commit(url, entries, schema=small_schema(), file_type=file_type)
    assert check_folder(url) == list(range(3 * ROWS))
    assert Manifest.from_json((notes(url) / "manifest.json").read_text()) == manifest
    assert sorted(path.name for path in url.iterdir()) == sorted({entry["path"].split("/")[0] for entry in entries})
    # As an output of a writer: checked, read, sent and imported.
    validate(url).raise_for_errors()
    if file_type in ("parquet", "npy"):
        assert convert(url, tmp_path / "again").rows == 3 * ROWS
    output = open_output(url)
    output.check()
    assert [len(file.paths) for file in output.files()] == [len(one.files) for one in manifest.segments]
    assert upload(url, f"file://{tmp_path / 'copy'}").n_sent == len(entries)
    assert check_folder(tmp_path / "copy" / "out") == list(range(3 * ROWS))
    # It is complete: a writer does not go on in it.
    with pytest.raises(StoreError, match="tasks have written it"):
        LocalBulkWriter(small_schema(), url, SEGMENT, file_type, resume=True)
    assert check_folder(url) == list(range(3 * ROWS))


@pytest.mark.parametrize("file_type", ["parquet", "npy", "csv"])
def test_in_a_bucket(seaweed: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file_type: str) -> None:
    bucket = new_bucket(seaweed)
    connect = param(seaweed, bucket)
    options = {"connect_param": connect}
    assert in_process(task_functions.write_and_die, 1, "/exports/a", file_type, options) == -9
    with ProcessPoolExecutor(2, SPAWN) as pool:
        parts = list(pool.map(write, range(3), ["exports/a"] * 3, [file_type] * 3, [options] * 3))
    write(2, "exports/a", file_type, options)  # an attempt too many
    assert sorted(finished_tasks("exports/a", **options)) == ["0", "1", "2"]
    with pytest.raises(DataError, match="one attempt of task 2"):
        commit_all("exports/a", file_type, [*parts, write(2, "exports/a", file_type, options)], **options)
    manifest = commit_all("exports/a", file_type, parts, **options)
    keys = seaweed.keys(bucket, "exports/a")
    assert keys == sorted(f"exports/a/{entry.path}" for entry in manifest.files)
    for upload_id in seaweed.uploads(bucket):  # what the killed attempt had begun
        assert upload_id.startswith("exports/a/1-")
        seaweed.client._abort_multipart_upload(bucket, upload_id, _upload_id(seaweed, bucket, upload_id))
    assert check_bucket(seaweed, bucket, "exports/a", tmp_path) == list(range(3 * ROWS))
    # Again, and by its URL: nothing changes. Another export is refused.
    for name, value in {"ACCESS_KEY_ID": KEY, "SECRET_ACCESS_KEY": SECRET, "ENDPOINT_URL": seaweed.url}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    url = f"s3://{bucket}/exports/a"
    assert commit_all(url, file_type, parts) == manifest
    with pytest.raises(StoreError, match="another export is there"):
        commit_all(url, file_type, parts[:2])
    assert seaweed.keys(bucket, "exports/a") == keys
    validate(url).raise_for_errors()
    with pytest.raises(StoreError, match="tasks have written it"):
        RemoteBulkWriter(small_schema(), "exports/a", connect, SEGMENT, file_type, resume=True)
    assert commit_all(url, file_type, parts[:2], replace=True).n_rows == 2 * ROWS
    assert check_bucket(seaweed, bucket, "exports/a", tmp_path) == list(range(2 * ROWS))


def _upload_id(server: S3Server, bucket: str, key: str) -> str:
    return next(
        one.upload_id for one in server.client._list_multipart_uploads(bucket).uploads if one.object_name == key
    )


@pytest.mark.parametrize("file_type", ["parquet", "npy", "csv"])
def test_a_killed_attempt_is_not_finished_and_leaves_nothing(tmp_path: Path, file_type: str) -> None:
    assert in_process(task_functions.write_and_die, 1, tmp_path, file_type) == -9
    assert [path.name[:2] for path in outputs(tmp_path)] == ["1-"]
    assert list(tmp_path.glob("1-*/[1-9]*")), "nothing was published before the kill"
    assert finished_tasks(tmp_path) == {}
    parts = [write(task, tmp_path, file_type) for task in range(2)]
    assert finished_tasks(tmp_path) == {"0": parts[0], "1": parts[1]}
    commit_all(tmp_path, file_type, parts)
    assert check_folder(tmp_path) == list(range(2 * ROWS))
    assert len(list(tmp_path.iterdir())) == 2


def test_attempts_at_the_same_time_do_not_know_of_each_other(tmp_path: Path) -> None:
    together = threading.Barrier(3)
    results: dict[int, list[FileEntry]] = {}

    def attempt(number: int) -> None:
        def slow():
            for batch in task_functions.batches(0):
                together.wait(30)
                yield batch

        results[number] = write_task(slow(), tmp_path, 0, schema=small_schema(), segment_size=SEGMENT)

    threads = [threading.Thread(target=attempt, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    folders = sorted({entry.path.split("/")[0] for entries in results.values() for entry in entries})
    assert len(folders) == 3
    found = finished_tasks(tmp_path)
    assert found == finished_tasks(tmp_path)
    assert found["0"] in results.values()
    for entries in (results[1], results[1]):  # a commit may be repeated
        commit_all(tmp_path, "parquet", [entries])
        assert check_folder(tmp_path) == list(range(ROWS))
        assert {path.name for path in tmp_path.iterdir()} == {results[1][0].path.split("/")[0]}
    with pytest.raises(StoreError, match="but it is not there"):
        commit_all(tmp_path, "parquet", [results[2]])


def test_an_attempt_that_ends_after_the_commit_does_no_harm(tmp_path: Path) -> None:
    url = tmp_path / "out"
    done = write(0, url, "parquet")

    def late():
        for number, batch in enumerate(task_functions.batches(0)):
            if number == 5:
                commit_all(url, "parquet", [done])
            yield batch

    with pytest.raises(StoreError):  # its files were removed under its hands
        write_task(late(), url, 0, schema=small_schema(), segment_size=SEGMENT)
    write(0, url, "parquet")  # one that begins after it
    validate(url).raise_for_errors()
    assert open_output(url).manifest.n_rows == ROWS
    assert convert(url, tmp_path / "again", limit=ROWS + 1).rows == ROWS
    commit_all(url, "parquet", [done])
    assert check_folder(url) == list(range(ROWS))


def test_a_failed_task_leaves_nothing(tmp_path: Path) -> None:
    def bad():
        yield from task_functions.batches(0)
        yield {**columns_of([1]), "text": ["x" * 100]}

    with pytest.raises(DataError, match="field 'text', row 2000"):
        write_task(bad(), tmp_path, 0, schema=small_schema(), segment_size=SEGMENT)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_task_leaves_nothing_in_a_bucket(seaweed: S3Server) -> None:
    bucket = new_bucket(seaweed)

    def bad():
        yield from task_functions.batches(0)
        raise OSError("the source is gone")

    with pytest.raises(OSError, match="the source is gone"):
        write_task(bad(), "a", 0, schema=small_schema(), segment_size=SEGMENT, connect_param=param(seaweed, bucket))
    assert seaweed.keys(bucket) == []
    with pytest.raises(StoreError, match="secret key is wrong"):
        write_task([], "a", 0, schema=small_schema(), connect_param=param(seaweed, bucket, secret_key="nonsense"))


def test_tasks_without_rows(tmp_path: Path) -> None:
    empty = write_task([], tmp_path, "empty", schema=small_schema())
    assert empty == []
    assert finished_tasks(tmp_path) == {"empty": []}
    manifest = commit(tmp_path, empty, schema=small_schema())
    assert (manifest.n_rows, list(tmp_path.iterdir())) == (0, [])
    parts = [write(0, tmp_path, "parquet"), write_task([], tmp_path, 1, schema=small_schema())]
    commit_all(tmp_path, "parquet", parts)
    assert check_folder(tmp_path) == list(range(ROWS))


def test_what_is_no_whole_export_is_refused(tmp_path: Path) -> None:
    entries = write(0, tmp_path, "npy")
    for wrong, words in (
        (entries[1:], "one file of equal length for each"),
        ([entries[0], *entries], "every file once"),
        ([*entries[1:3], *entries[:1], *entries[3:]], None),  # columns of a set in another order
        ([FileEntry("../1.npy", 1, 1, "")], "a file that a task has written"),
        ([FileEntry(f"{entries[0].path.split('/')[0]}/../1.npy", 1, 1, "")], "a file that a task has written"),
    ):
        if words is None:
            assert commit_all(tmp_path, "npy", [wrong]).n_rows == ROWS
            (notes(tmp_path) / "manifest.json").unlink()
            continue
        with pytest.raises(DataError, match=words):
            commit_all(tmp_path, "npy", [wrong])
    (tmp_path / entries[0].path).write_bytes(b"")
    with pytest.raises(StoreError, match="but it has 0 bytes"):
        commit_all(tmp_path, "npy", [entries])
    assert not (notes(tmp_path) / "manifest.json").exists()
    for name in ("", "a/b", "../x", "-"):
        with pytest.raises(ValueError, match="task_id is made of"):
            write(name, tmp_path, "npy")
    with pytest.raises(ValueError, match="16 hexadecimal digits"):
        write(0, tmp_path, "npy", {"attempt": "first"})
    write(0, tmp_path, "npy", {"attempt": "0" * 16})
    with pytest.raises(StoreError, match="exists"):
        write(0, tmp_path, "npy", {"attempt": "0" * 16})
    assert "0" in finished_tasks(tmp_path)


def test_other_exports_in_the_folder_stay(tmp_path: Path) -> None:
    with LocalBulkWriter(small_schema(), tmp_path, SEGMENT) as other:
        other.append_batch(columns_of(range(ROWS)))
    (tmp_path / "notes-2024").mkdir()
    (tmp_path / "notes-2024" / "1.json").write_text("mine")
    commit_all(tmp_path, "parquet", [write(0, tmp_path, "parquet")])
    assert check_folder(other.data_path) == list(range(ROWS))
    assert (tmp_path / "notes-2024" / "1.json").read_text() == "mine"


def test_dask(tmp_path: Path) -> None:
    import dask
    from distributed import Client, LocalCluster

    with (
        dask.config.set({"distributed.scheduler.active-memory-manager.start": False}),
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1") as cluster,
        Client(cluster) as client,
    ):
        futures = [client.submit(write, task, tmp_path, "npy", retries=1, pure=False) for task in range(4)]
        parts = client.gather(futures)
    commit_all(tmp_path, "npy", parts)
    assert check_folder(tmp_path) == list(range(4 * ROWS))


def test_a_commit_of_nothing_leaves_what_is_there(tmp_path: Path) -> None:
    first = commit(tmp_path, write(0, tmp_path, "parquet"), schema=small_schema())
    assert commit(tmp_path, [], schema=small_schema(), replace=True).segments == []
    assert all((tmp_path / entry.path).stat().st_size == entry.bytes for entry in first.files)
    assert Manifest.from_json((notes(tmp_path) / "manifest.json").read_text()).files == first.files
