"""Large columns are written by two threads into one file: same bytes, same checksum, same errors as by one."""

import errno
import os
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from vecmill import DataError, DataType, LocalBulkWriter, StoreError, create_schema
from vecmill.store.local import LocalSink, OutputFile

DIM = 768
ROWS = 8192  # 24 MiB of vectors: beyond what one thread keeps for itself


@pytest.fixture
def helper():
    with ThreadPoolExecutor(1) as pool:
        yield pool


def schema():
    result = create_schema()
    result.add_field("id", DataType.INT64, is_primary=True)
    result.add_field("v", DataType.FLOAT_VECTOR, dim=DIM)
    return result


def batch(first, rows=ROWS):
    ids = np.arange(first, first + rows)
    return {"id": ids, "v": np.repeat(ids.astype(np.float32), DIM).reshape(rows, DIM) + np.arange(DIM, dtype="f4")}


def test_two_runs_are_one_file(tmp_path, helper):
    data = [os.urandom(n) for n in (5, 4096, 1, 70_000)]
    one, two = OutputFile(tmp_path / "one", 16), OutputFile(tmp_path / "two", 16)
    one.append(b"start", *data)
    two.append(b"start")
    two.append_both(iter(data[:2]), 4101, iter(data[2:]), 70_001, helper)
    assert one.finish(b"h" * 16) == two.finish(b"h" * 16)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize("bad", [0, 1, 2])
def test_the_error_of_the_first_run_wins(tmp_path, helper, bad):
    def run(name, fails):
        yield b"x" * 10
        if fails:
            raise ValueError(name)
        yield b"y" * 10

    file = OutputFile(tmp_path / "file")
    file.append(b"kept")
    mark = file.mark()
    with pytest.raises(ValueError, match="second" if bad == 1 else "first"):
        file.append_both(run("first", bad != 1), 20, run("second", bad != 0), 20, helper)
    assert file.mark() == mark
    file.append(b"more")
    file.finish()
    assert (tmp_path / "file").read_bytes() == b"keptmore"


@pytest.mark.parametrize("row", [0, ROWS // 2 - 1, ROWS // 2, ROWS - 1])
def test_a_bad_row_in_either_half_refuses_the_batch(tmp_path, row):
    bad = batch(ROWS)
    bad["v"][row, 5] = np.nan
    with LocalBulkWriter(schema(), tmp_path, file_type="npy") as writer:
        writer.append_batch(batch(0))
        with pytest.raises(DataError) as caught:
            writer.append_batch(bad)
        assert (caught.value.field, caught.value.row) == ("v", ROWS + row)
        writer.append_batch(batch(ROWS, 100))
    (files,) = writer.batch_files
    wanted = batch(0, ROWS + 100)
    for path in files:
        name = path.rsplit("/", 1)[1].removesuffix(".npy")
        assert np.array_equal(np.load(path), wanted[name])


@pytest.mark.parametrize("at_call", [2, 3, 4, 8])
def test_a_full_disk_in_either_thread_is_a_store_error(tmp_path, monkeypatch, at_call):
    calls = iter(range(1, 10**6))
    real = os.pwritev

    def full(*args):
        if next(calls) >= at_call:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*args)

    writer = LocalBulkWriter(schema(), tmp_path, file_type="npy")
    monkeypatch.setattr(os, "pwritev", full)
    with pytest.raises(StoreError, match="No space left"):
        writer.append_batch(batch(0))
    monkeypatch.undo()
    writer.abort()
    assert list(tmp_path.iterdir()) == []


def test_a_refused_batch_stops_all_its_threads(tmp_path, monkeypatch):
    """The first lane meets a bad row at once; the others do not go on to write what will be dropped."""
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    opened = []
    create = LocalSink.open_segment

    def counting(sink, token):
        opened.append(token)
        time.sleep(0.02)
        return create(sink, token)

    monkeypatch.setattr(LocalSink, "open_segment", counting)
    bad = batch(0, 33_000)
    bad["v"][1_000, 7] = np.nan
    with LocalBulkWriter(schema(), tmp_path, chunk_size=1_000_000, file_type="npy") as writer:
        with pytest.raises(DataError, match="row 1000"):
            writer.append_batch(bad)
        assert len(opened) < 25  # of a hundred
        assert writer.total_row_count == 0
