"""An object while it is written: parts, going back, what is held, and buffers that are used again."""

from __future__ import annotations

import gc
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from obstore.store import MemoryStore

from buckets import MIB, new_bucket, param, wide, wide_ids, wide_schema
from examples import examples
from servers.s3 import S3Server
from vecmill import DataError, RemoteBulkWriter, StoreError
from vecmill._native.crc64 import crc64nvme
from vecmill.store import spool
from vecmill.store.connect import open_bucket
from vecmill.store.object_files import StreamFile
from vecmill.store.object_sink import ObjectFolder
from vecmill.store.objects import Objects
from vecmill.store.sending import PartPool
from vecmill.store.transfer import Transfer

PART = 64
N_PARTS = 6


def small_objects() -> tuple[MemoryStore, Objects]:
    """Return a store in memory, and parts of 64 bytes to it."""
    store = MemoryStore()
    objects = Objects(open_bucket(store), "x", Transfer(), 1000)
    objects.part_bytes, objects.pool = PART, PartPool(PART, N_PARTS)
    return store, objects


def n_free(pool: PartPool | spool.Memory, all_of_them: int = N_PARTS) -> int:
    if pool.n_free < all_of_them:  # some are held by garbage, if all is well
        gc.collect()
    return pool.n_free


def test_room_where_nobody_has_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit, pages = tmp_path / "memory.max", {"SC_PHYS_PAGES": 64 * 1024 * MIB // 4096, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(spool, "_CGROUP", limit)
    monkeypatch.setattr(spool.os, "sysconf", pages.__getitem__)
    assert spool.usual_room() == 8 * 1024 * MIB
    for text, room in (("max\n", 8 * 1024 * MIB), (f"{16 * 1024 * MIB}\n", 2 * 1024 * MIB), ("1000\n", 512 * MIB)):
        limit.write_text(text)
        assert spool.usual_room() == room
        assert Objects(open_bucket(MemoryStore()), "x", Transfer(), 1000).room.take(room) == room


STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["append", "lasting"]), st.lists(st.binary(max_size=3 * PART), max_size=3)),
        st.sampled_from([("hold", None), ("release", None), ("mark", None), ("rollback", None)]),
    ),
    max_size=25,
)


@examples(60)
@given(steps=STEPS, gaps=st.booleans())
def test_as_a_bytearray_would(steps: list[tuple[str, Any]], gaps: bool) -> None:
    """With gaps, going back changes nothing; without, it takes back all that was written since."""
    store, objects = small_objects()
    file = StreamFile(objects, "1.bin", lambda: None, gaps=gaps)
    want = bytearray()
    mark = None
    for step, views in steps:
        if step == "append":
            file.append(*views)
            want += b"".join(views)
        elif step == "lasting":
            for view in views:
                file.append_lasting(view)
            want += b"".join(views)
        elif step == "hold" and mark is None:
            file.hold()
            mark = file.mark()
        elif step == "rollback" and mark is not None:
            file.rollback(mark)
            if not gaps:
                del want[mark.n_bytes :]
        elif step == "release":
            file.release()
            mark = None
        assert file.n_bytes == len(want)
    assert file.finish() == (len(want), f"crc64nvme:{crc64nvme(want):016x}")
    assert bytes(store.get("x/1.bin").bytes()) == want
    assert n_free(objects.pool) == N_PARTS


SIZES = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.lists(st.binary(max_size=3 * PART), max_size=3)),
        st.tuples(st.just("both"), st.tuples(*[st.lists(st.binary(min_size=1, max_size=2 * PART), max_size=3)] * 2)),
        st.sampled_from([("mark", None), ("rollback", None)]),
    ),
    max_size=25,
)


@examples(60)
@given(steps=SIZES, header=st.binary(max_size=PART), start=st.integers(0, 200), n=st.integers(0, 200))
def test_a_file_in_memory_as_a_bytearray_would(steps: list[tuple[str, Any]], header: bytes, start: int, n: int) -> None:
    """Its blocks come back once the last view of them is gone, and are used again, whatever is in them."""
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(1) as helper:
        patch.setattr(spool, "BLOCK_BYTES", PART)
        memory = spool.Memory()
        for _ in range(2):
            file, want, mark = spool.MemoryFile(memory, len(header)), bytearray(), None
            for step, views in steps:
                if step == "append":
                    file.append(*views)
                    want += b"".join(views)
                elif step == "both":
                    first, second = (b"".join(run) for run in views)
                    file.append_both(views[0], len(first), views[1], len(second), helper)
                    want += first + second
                elif step == "mark":
                    mark = file.mark()
                elif mark is not None:
                    file.rollback(mark)
                    del want[mark.n_bytes :]
                    mark = None
                assert file.n_bytes == len(want)
            assert file.read(min(start, len(want)), min(n, max(0, len(want) - start))) == want[start : start + n]
            whole = header + bytes(want)
            assert file.complete(header) == (len(whole), f"crc64nvme:{crc64nvme(whole):016x}")
            views = file.views(len(whole))
            file.close()
            assert b"".join(views) == whole
            most = len(views) + n_free(memory, 0)
            kept = memoryview(views[0]) if views else None
            del views
            assert n_free(memory, 0) == most - (kept is not None)
            del kept
            assert n_free(memory, 0) == most
        memory.release()
        assert n_free(memory, 0) == 0


def test_what_the_caller_gives_may_change_at_once() -> None:
    store, objects = small_objects()
    file = StreamFile(objects, "1.bin", lambda: None, gaps=False)
    want, memory = bytearray(), np.zeros(100, np.uint8)
    for i in range(200):
        memory[:] = i
        want += memory.tobytes()
        file.append_both([memory[:50]], 50, [memory[50:]], 50, None)  # type: ignore[arg-type]
    file.finish()
    assert bytes(store.get("x/1.bin").bytes()) == want


def test_closed_before_its_end() -> None:
    store, objects = small_objects()
    for n_bytes in (0, 10, 10 * PART):
        file = StreamFile(objects, "1.bin", lambda: None, gaps=False)
        file.append(b"x" * n_bytes)
        file.hold()
        file.append(b"y" * n_bytes)
        file.close()
        file.close()
    assert n_free(objects.pool) == N_PARTS
    assert [one for batch in store.list() for one in batch] == []


def test_a_failed_upload_gives_its_parts_back() -> None:
    """More is appended than there are parts: whoever waits for one must be told, not wait for ever."""
    _, objects = small_objects()

    def broken(path: str, data: Any, **_options: Any) -> Any:
        next(data)
        raise FileNotFoundError("gone")

    objects.put = broken  # type: ignore[method-assign]
    file = StreamFile(objects, "1.bin", lambda: None, gaps=False)
    with pytest.raises(StoreError, match=r"1\.bin.*gone"):
        for _ in range(10_000):
            file.append(b"x" * PART)
    file.close()
    assert n_free(objects.pool) == N_PARTS


def test_a_part_is_not_used_again_while_it_is_sent(juicefs: S3Server, tmp_path: Path) -> None:
    """Few buffers, many parts, a real server: every byte is the one that was written."""
    bucket = new_bucket(juicefs)
    transfer = RemoteBulkWriter.Transfer(part_bytes=5 * MIB, n_parts=6, concurrency=6)
    with RemoteBulkWriter(wide_schema(), "x", param(juicefs, bucket), transfer=transfer) as writer:
        for start in range(0, 120_000, 3_000):
            writer.append_batch(wide(start, start + 3_000))
    assert wide_ids(juicefs, bucket, writer, tmp_path) == list(range(120_000))


@pytest.fixture
def no_gaps(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a format whose files cannot have any."""
    create = ObjectFolder.create_single
    monkeypatch.setattr(ObjectFolder, "create_single", lambda folder, suffix, gaps: create(folder, suffix, gaps=False))


@pytest.mark.usefixtures("no_gaps")
def test_batches_refused_without_gaps(juicefs: S3Server, tmp_path: Path) -> None:
    bucket = new_bucket(juicefs)
    transfer = RemoteBulkWriter.Transfer(part_bytes=5 * MIB)
    with RemoteBulkWriter(wide_schema(), "x", param(juicefs, bucket), transfer=transfer) as writer:

        def segments() -> int:
            while writer.manifest.n_rows + writer.buffer_row_count < writer.total_row_count:  # some are on their way
                time.sleep(0.01)
            return len(writer.batch_files)

        def stream(start: int, stop: int, step: int, *, is_bad: bool) -> pa.Table:
            parts = []
            for low in range(start, stop, step):
                columns = wide(low, min(low + step, stop))
                if is_bad and low + step >= stop:
                    columns["vector"][-1, 0] = np.inf
                vector = pa.FixedSizeListArray.from_arrays(pa.array(columns["vector"].reshape(-1)), 256)
                parts.append(pa.record_batch({"id": columns["id"], "vector": vector}))
            return pa.Table.from_batches(parts)

        writer.append_batch(wide(0, 9_000))
        for refused in (stream(0, 3_000, 1_000, is_bad=True), stream(0, 20_000, 5_000, is_bad=True)):
            with pytest.raises(DataError, match="vector"):
                writer.append_batch(refused)
        assert segments() == 0  # held back, both of them
        writer.append_batch(stream(9_000, 20_000, 2_000, is_bad=False))
        assert segments() == 0
        with pytest.raises(DataError, match="vector"):  # too large to hold: it begins a segment of its own
            writer.append_batch(stream(0, 60_000, 5_000, is_bad=True))
        assert segments() == 1
        writer.append_batch(wide(20_000, 70_000))
        writer.append_batch(wide(70_000, 71_000))
    assert wide_ids(juicefs, bucket, writer, tmp_path) == list(range(71_000))
    listed = {key for files in writer.batch_files for key in files}
    assert set(juicefs.keys(bucket)) == listed | {f"x/_vecmill-{writer.uuid}/manifest.json"}
    assert juicefs.uploads(bucket) == []
