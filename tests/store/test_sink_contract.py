"""The contract of a Sink: one body for every place that a writer fills."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import obstore
import pytest
from obstore.store import MemoryStore

from vecmill import StoreError
from vecmill._native.crc64 import crc64nvme
from vecmill.store.connect import open_bucket
from vecmill.store.local import LocalSink
from vecmill.store.object_sink import ObjectSink
from vecmill.store.objects import Objects
from vecmill.store.sink import Sink, SinkFile, SinkFolder
from vecmill.store.transfer import Transfer

EMPTY, FULL = '{"segments": []}', '{"segments": [1]}'


@dataclass
class Folder:
    """A place for files. ``new``: return a sink of it, as another process has it; ``files``: what is there by path."""

    name: str
    new: Callable[[], Sink]
    files: Callable[[], dict[str, bytes]]

    def visible(self) -> dict[str, bytes]:
        """Return the files of segments that are not hidden."""
        files = self.files()
        return {path: files[path] for path in sorted(files) if not path.startswith(".")}


def on_disk(tmp_path: Path) -> Folder:
    root = tmp_path / "0b5f8dca-6cb5-4f1e-8d11-3fd4a9ce7a4f"

    def files() -> dict[str, bytes]:
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}

    return Folder("disk", lambda: LocalSink(root), files)


def in_memory(tmp_path: Path) -> Folder:
    del tmp_path
    store = MemoryStore()

    def files() -> dict[str, bytes]:
        paths = [one["path"] for batch in obstore.list(store, "x") for one in batch]
        return {path.removeprefix("x/"): bytes(obstore.get(store, path).bytes()) for path in paths}

    return Folder("bucket", lambda: ObjectSink(Objects(open_bucket(store), "x", Transfer(), 1000)), files)


@pytest.fixture(params=[on_disk, in_memory], ids=["disk", "bucket"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Folder]:
    made: Folder = request.param(tmp_path)
    yield made
    assert [path for path in made.files() if path.startswith(".")] == []  # no test leaves hidden files


@pytest.fixture
def sink(folder: Folder) -> Sink:
    made = folder.new()
    made.begin(EMPTY)
    return made


def finished(file: SinkFile, header: bytes = b"") -> tuple[int, str]:
    n_bytes, checksum = file.finish(header)
    file.close()
    return n_bytes, checksum


def single(sink: Sink, token: int, data: bytes = b"data") -> SinkFolder:
    """Return a segment of one finished file."""
    segment = sink.open_segment(token)
    file = segment.create_single(".bin")
    file.append(data)
    finished(file)
    return segment


def test_a_single_file(folder: Folder, sink: Sink) -> None:
    segment = sink.open_segment(1)
    file = segment.create_single(".bin")
    file.append(b"one", bytearray(b"two"), memoryview(b"three"))
    assert file.n_bytes == 11
    assert finished(file) == (11, f"crc64nvme:{crc64nvme(b'onetwothree'):016x}")
    assert segment.publish(1) == "1.bin"
    assert folder.visible() == {"1.bin": b"onetwothree"}


def test_a_set_of_files(folder: Folder, sink: Sink) -> None:
    segment = sink.open_segment(1)
    late = segment.create("late.npy", header_bytes=4)
    late.append(b"body")
    assert late.n_bytes == 4
    known = segment.create_known("known.npy", b"HEAD", 6)
    known.append_lasting(b"lasted")
    n_bytes, checksum = finished(late, b"head")
    assert (n_bytes, checksum) == (8, f"crc64nvme:{crc64nvme(b'headbody'):016x}")
    assert finished(known)[0] == 10
    assert segment.publish(1) == "1"
    assert folder.visible() == {"1/known.npy": b"HEADlasted", "1/late.npy": b"headbody"}


def test_two_runs_of_buffers(folder: Folder, sink: Sink) -> None:
    segment = sink.open_segment(1)
    file = segment.create_single(".bin")
    with ThreadPoolExecutor(1) as helper:
        file.append_both([b"ab", b"cd"], 4, [b"efg"], 3, helper)
    finished(file)
    segment.publish(1)
    assert folder.visible() == {"1.bin": b"abcdefg"}


@pytest.mark.parametrize("is_single", [True, False])
def test_going_back(folder: Folder, sink: Sink, is_single: bool) -> None:
    segment = sink.open_segment(1)
    file = segment.create_single(".bin") if is_single else segment.create("x", 2)
    file.append(b"kept")
    assert sink.hold(100)
    mark = file.mark()
    file.append(b"refused")
    file.rollback(mark)
    sink.release()
    file.append(b" and more")
    finished(file, b"" if is_single else b"--")
    segment.publish(1)
    assert list(folder.visible().values()) == [b"kept and more" if is_single else b"--kept and more"]


def test_scratch_files_are_never_seen(folder: Folder, sink: Sink) -> None:
    segment = sink.open_segment(1)
    scratch = segment.scratch("aside")
    scratch.append(b"0123", b"4567")
    mark = scratch.mark()
    scratch.append(b"89")
    scratch.rollback(mark)
    assert scratch.read(2, 4) == b"2345"
    scratch.close()
    scratch.close()
    file = segment.create_single(".bin")
    file.append(b"x")
    finished(file)
    segment.publish(1)
    assert folder.visible() == {"1.bin": b"x"}


def test_what_is_dropped_is_gone(folder: Folder, sink: Sink) -> None:
    open_one, whole = sink.open_segment(1), single(sink, 2)
    file = open_one.create_single(".bin")
    file.append(b"begun")
    file.close()
    open_one.drop()
    whole.drop()
    assert folder.visible() == {}


def test_publishing_is_taken_back(folder: Folder, sink: Sink) -> None:
    segment = single(sink, 1)
    segment.publish(1)
    segment.withdraw()
    segment.drop()
    assert folder.visible() == {}


def test_what_is_published_is_not_dropped(folder: Folder, sink: Sink) -> None:
    segment = single(sink, 1)
    segment.publish(1)
    segment.drop()
    assert folder.visible() == {"1.bin": b"data"}


def test_the_manifest_is_read_by_others(folder: Folder, sink: Sink) -> None:
    sink.replace_manifest(FULL)
    assert folder.new().read_manifest() == FULL
    sink.replace_manifest(EMPTY)
    assert folder.new().read_manifest() == EMPTY


def test_there_is_no_manifest_at_first(folder: Folder) -> None:
    assert folder.new().read_manifest() is None


def test_an_empty_writer_leaves_no_trace(folder: Folder, sink: Sink) -> None:
    sink.end(is_empty=True)
    assert folder.files() == {}


def test_what_a_killed_writer_left_is_removed(folder: Folder, sink: Sink) -> None:
    single(sink, 1).publish(1)
    sink.replace_manifest(FULL)
    single(sink, 2).publish(2)
    file = sink.open_segment(3).create("x", 2)  # killed here
    again = folder.new()
    assert again.read_manifest() == FULL
    again.clear({"1.bin"})
    assert folder.visible() == {"1.bin": b"data"}
    assert again.read_manifest() == FULL
    file.close()


def test_addresses_begin_with_the_folder(sink: Sink) -> None:
    assert sink.address("1/x.npy").endswith("/1/x.npy")


def test_a_bucket_is_not_shared_without_a_word(tmp_path: Path) -> None:
    """On a disk nobody can say so: every writer makes a folder of its own."""
    folder = in_memory(tmp_path)
    first, second = folder.new(), folder.new()
    first.begin(EMPTY)
    with pytest.raises(StoreError, match="another writer"):
        second.begin('{"segments": [], "other": 1}')
    third = folder.new()
    third.read_manifest()
    third.replace_manifest(FULL)
    with pytest.raises(StoreError, match="another writer"):
        first.replace_manifest(EMPTY)
