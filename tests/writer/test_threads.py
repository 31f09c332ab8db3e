"""Several threads on one writer: nothing lost, nothing twice, and readers see only what is there."""

from __future__ import annotations

import os
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from failing_calls import check_folder, columns_of, hidden_in, row_of, small_schema, writer_threads
from format_names import FORMATS
from vecmill import LocalBulkWriter

CHUNK = 32 * 1024
PER_THREAD = 4000


def one_by_one(writer: LocalBulkWriter, ids: range) -> None:
    for i in ids:
        writer.append_row(row_of(i))


def many(writer: LocalBulkWriter, ids: range) -> None:
    for start in range(ids.start, ids.stop, 250):
        writer.append_rows([row_of(i) for i in range(start, min(start + 250, ids.stop))])


def generated(writer: LocalBulkWriter, ids: range) -> None:
    writer.append_rows(row_of(i) for i in ids)


def batches(writer: LocalBulkWriter, ids: range) -> None:
    at, step = ids.start, 1
    while at < ids.stop:
        writer.append_batch(columns_of(range(at, min(at + step, ids.stop))))
        at, step = at + step, step * 3 % 1700 + 1


@pytest.mark.parametrize("file_type", FORMATS)
@pytest.mark.parametrize("mix", [(one_by_one, one_by_one), (many, batches), (one_by_one, many, generated, batches)])
def test_nothing_is_lost_or_taken_twice(tmp_path, file_type, mix):
    done = threading.Event()

    def commit_often(writer: LocalBulkWriter) -> int:
        n = 0
        while not done.wait(0.005):
            writer.commit(_async=n % 2 == 0)
            n += 1
        return n

    def look(writer: LocalBulkWriter) -> int:
        last_rows, last_files, n = 0, 0, 0
        while not done.wait(0.001):  # a reader that never sleeps would keep the interpreter from all others
            rows, files = writer.total_row_count, writer.batch_files
            assert last_rows <= rows <= len(mix) * PER_THREAD
            assert last_files <= len(files)
            assert writer.buffer_row_count >= 0 <= writer.buffer_size
            assert all(Path(path).exists() for path in (files[-1] if files else []))
            assert writer.manifest.n_rows <= len(mix) * PER_THREAD
            last_rows, last_files, n = rows, len(files), n + 1
        return n

    with LocalBulkWriter(small_schema(), tmp_path, CHUNK, file_type) as writer, ThreadPoolExecutor(8) as pool:
        others = [pool.submit(commit_often, writer), pool.submit(look, writer)]
        appends = [
            pool.submit(append, writer, range(i * PER_THREAD, (i + 1) * PER_THREAD)) for i, append in enumerate(mix)
        ]
        try:
            for future in appends:
                future.result()
        finally:
            done.set()
        assert all(future.result() > 0 for future in others)
    ids = check_folder(writer.data_path, checksums=False)
    assert Counter(ids) == Counter(range(len(mix) * PER_THREAD))
    for i in range(len(mix)):  # rows of one thread keep their order
        mine = [one for one in ids if i * PER_THREAD <= one < (i + 1) * PER_THREAD]
        assert mine == sorted(mine)
    assert writer.total_row_count == len(ids)
    assert hidden_in(writer.data_path) == []
    assert writer_threads() == []


def test_closing_from_two_threads(tmp_path):
    writer = LocalBulkWriter(small_schema(), tmp_path, CHUNK)
    writer.append_batch(columns_of(range(500)))
    start = threading.Barrier(2)

    def close() -> None:
        start.wait()
        writer.close()

    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(close), pool.submit(close)]:
            future.result()
    assert check_folder(writer.data_path) == list(range(500))


@pytest.mark.parametrize("codec", ["none", "snappy", "zstd"])
def test_lanes_do_not_share_a_compressor(tmp_path, codec, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 4)  # lanes on any machine
    with LocalBulkWriter(small_schema(), tmp_path, 256 * 1024, "parquet", {"compression": codec}) as writer:
        writer.append_batch(columns_of(range(60_000)))
    assert check_folder(writer.data_path, checksums=False) == list(range(60_000))
