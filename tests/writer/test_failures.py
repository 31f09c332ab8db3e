"""Every system call fails once: one StoreError that tells the truth, whole files only, nothing leaks, a rerun works."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from failing_calls import (
    CLEANING,
    EIO,
    ENOSPC,
    Faults,
    check_folder,
    columns_of,
    failing,
    hidden_in,
    n_open_files,
    replaced,
    row_of,
    run_python,
    small_schema,
    writer_threads,
)
from format_names import FORMATS
from outputs import notes, outputs
from vecmill import DataError, LocalBulkWriter, StoreError
from vecmill.store.notes import MANIFEST_NAME

CHUNK = 16 * 1024

# A scenario notes the ids of a call before it makes the call: what is published must be the first of them.
Scenario = Callable[[LocalBulkWriter, list[int]], None]


def append_rows(writer: LocalBulkWriter, offered: list[int]) -> None:
    for start in (0, 300):
        offered += range(start, start + 200)
        writer.append_rows([row_of(i) for i in range(start, start + 200)])
        for i in range(start + 200, start + 300):
            offered.append(i)
            writer.append_row(row_of(i))
    writer.commit()
    offered += range(600, 640)
    writer.append_rows(row_of(i) for i in range(600, 640))


def append_batches(writer: LocalBulkWriter, offered: list[int]) -> None:
    for start, stop in ((0, 20), (20, 300), (300, 310), (310, 1500)):
        offered += range(start, stop)
        writer.append_batch(columns_of(range(start, stop)))


def refuse_a_batch(writer: LocalBulkWriter, offered: list[int]) -> None:
    offered += range(100)
    writer.append_batch(columns_of(range(100)))
    bad = columns_of(range(5000, 6200))
    bad["vector"][-1, 3] = np.nan
    with pytest.raises(DataError, match="row 1299"):
        writer.append_batch(bad)
    offered += range(100, 700)
    writer.append_batch(columns_of(range(100, 700)))


SCENARIOS = (append_rows, append_batches, refuse_a_batch)


def run(folder: Path, file_type: str, scenario: Scenario, faults: Faults) -> Faults:
    """Run a scenario with a fault and check all that is promised about it."""
    files_before = n_open_files()
    offered: list[int] = []
    error: StoreError | None = None
    writer: LocalBulkWriter | None = None
    with failing(faults):
        try:
            writer = LocalBulkWriter(small_schema(), folder, CHUNK, file_type)
            scenario(writer, offered)
            writer.close()
        except StoreError as caught:
            error = caught
        if error is not None and writer is not None:
            check_failed(writer, error)
    assert n_open_files() <= files_before  # fewer, when what another test left behind is collected meanwhile
    assert writer_threads() == []
    if writer is None:
        assert error is not None and error.safe == ""
        return faults
    # Where the disk stays dead, a segment that could not be recorded cannot be taken back either.
    visible = check_folder(writer.data_path, exact=not faults.stays)
    published = visible[: writer.manifest.n_rows]
    assert visible == offered[: len(visible)]
    if len(published) < len(visible):
        assert error is not None and any("could not be removed" in note for note in error.__notes__)
    if error is None:
        assert published == offered
        assert faults.failed in ("", "rmdir", "posix_fallocate")
    else:
        assert str(folder) in error.path
        assert isinstance(error.__cause__, OSError)
        assert error.errno == error.__cause__.errno == (errno.ENOSPC if "left" in str(error.__cause__) else errno.EIO)
        words = f"{len(published)} rows in {len(writer.manifest.files)} files are published and safe"
        assert error.safe.startswith(words if published else "no rows were published")
        assert error.safe in str(error)
    if faults.failed not in CLEANING and not faults.stays:
        assert hidden_in(writer.data_path) == []
    return faults


def is_closed(writer: LocalBulkWriter) -> bool:
    try:
        writer.append_rows([])
    except ValueError as error:
        return str(error) == "the writer is closed"
    except StoreError:
        pass
    return False


def check_failed(writer: LocalBulkWriter, error: StoreError) -> None:
    """A writer that failed says so again, with the same facts, and can be closed."""
    if not is_closed(writer):
        for call in (lambda: writer.append_row(row_of(9)), lambda: writer.append_batch(columns_of([9])), writer.commit):
            with pytest.raises(StoreError) as again:
                call()
            assert (again.value.reason, again.value.path, again.value.safe) == (error.reason, error.path, error.safe)
            assert again.value.__cause__ is error.__cause__
        with contextlib.suppress(StoreError):  # only where calls go on failing
            writer.close()
    writer.close()
    with pytest.raises(ValueError, match="closed"):
        writer.append_row(row_of(9))


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("file_type", FORMATS)
@pytest.mark.parametrize("stays", [False, True], ids=["once", "stays"])
def test_every_call_fails(tmp_path, file_type, scenario, stays):
    n_calls = run(tmp_path / "none", file_type, scenario, Faults(EIO)).n_calls
    assert n_calls > 25
    # Every call of one kind in a row is no news: of the long runs of writes in the middle, every third will do. The
    # formats of text make the same calls, and a disk that stays dead fails where one that failed once did.
    every_third = stays or file_type in ("jsonl", "csv")
    for k in range(1, n_calls + 1):
        is_end = k < 60 or k > n_calls - 30
        if (k + FORMATS.index(file_type)) % 3 == 0 or (is_end and not every_third):
            run(tmp_path / str(k), file_type, scenario, Faults(ENOSPC if k % 2 else EIO, k, stays=stays))
    assert run(tmp_path / "again", file_type, scenario, Faults(EIO)).failed == ""


@pytest.mark.parametrize("file_type", FORMATS)
def test_short_writes_and_reads_are_gone_on_with(tmp_path, file_type):
    sizes = iter(np.random.default_rng(1).integers(1, 3000, 100_000).tolist())

    def short(name, call):
        def pwritev(fd, parts, offset):
            size = next(sizes)
            whole = b"".join(bytes(part) for part in parts)
            return call(fd, [memoryview(whole)[:size]], offset)

        def pread(fd, n_bytes, offset):
            return call(fd, min(n_bytes, next(sizes)), offset)

        return {"pwritev": pwritev, "pread": pread}.get(name, call)

    offered: list[int] = []
    with replaced(short), LocalBulkWriter(small_schema(), tmp_path, CHUNK, file_type) as writer:
        append_batches(writer, offered)
    assert check_folder(writer.data_path) == offered


@pytest.mark.parametrize("file_type", FORMATS)
def test_a_file_system_without_fallocate_is_fine(tmp_path, file_type):
    def unable(name, call):
        def posix_fallocate(*_args):
            raise OSError(errno.EOPNOTSUPP, "not supported")

        return posix_fallocate if name == "posix_fallocate" else call

    offered: list[int] = []
    with replaced(unable), LocalBulkWriter(small_schema(), tmp_path, CHUNK, file_type) as writer:
        append_rows(writer, offered)
    assert check_folder(writer.data_path) == offered


# -- real full disks

FILL = """
import resource, signal, sys
from pathlib import Path
from failing_calls import check_folder, columns_of, n_open_files, small_schema
from vecmill import LocalBulkWriter, StoreError

folder, file_type, limit = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
if limit:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
before = n_open_files()
writer = LocalBulkWriter(small_schema(), folder, int(sys.argv[4]), file_type)
try:
    for start in range(0, 10**9, 1000):
        writer.append_batch(columns_of(range(start, start + 1000)))
except StoreError as caught:
    error = caught
writer.close()
assert n_open_files() == before
ids = check_folder(writer.data_path, checksums=False)
assert ids == list(range(len(ids)))
assert error.errno == error.__cause__.errno
assert error.safe.startswith(f"{len(ids)} rows in" if ids else "no rows were published"), error.safe
assert not [path for path in writer.data_path.rglob("*") if path.name.startswith(".")] if ids else True
print(error.errno, len(ids))
"""


@contextlib.contextmanager
def small_disk(folder: Path, n_mb: int) -> Iterator[bool]:
    """Mount a small file system there; False if this machine does not let us."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={n_mb}m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    try:
        yield done.returncode == 0
    finally:
        if done.returncode == 0:
            subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("file_type", FORMATS)
def test_full_disk(tmp_path, file_type):
    with small_disk(tmp_path / "disk", 4) as mounted:
        limit = 0 if mounted else 1024 * 1024
        chunk_size = 1024 * 1024 if mounted else 4 * 1024 * 1024
        number, n_rows = map(int, run_python(FILL, tmp_path / "disk", file_type, limit, chunk_size).split())
    assert number in ((errno.ENOSPC,) if mounted else (errno.EFBIG,))
    assert (n_rows > 10_000) == mounted


@pytest.mark.parametrize("file_type", FORMATS)
def test_a_file_that_may_not_grow(tmp_path, file_type):
    """A limit between one chunk and the next: what fits is published, though room ahead cannot be had."""
    number, n_rows = map(int, run_python(FILL, tmp_path, file_type, 500_000, 4_000_000).split())
    assert (number, n_rows) == (errno.EFBIG, 0)


def test_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StoreError) as caught:
        LocalBulkWriter(small_schema(), tmp_path / "file")
    assert caught.value.errno == errno.ENOTDIR
    assert str(tmp_path / "file") in caught.value.path
    assert isinstance(caught.value.__cause__, NotADirectoryError)


def test_folder_that_must_not_be_written(tmp_path):
    (tmp_path / "locked").mkdir(mode=0o555)
    code = """
import os, sys
from vecmill import LocalBulkWriter, StoreError
from failing_calls import small_schema
if os.geteuid() == 0:
    os.setuid(65534)  # root may write anywhere
try:
    LocalBulkWriter(small_schema(), sys.argv[1])
except StoreError as error:
    print(error.errno, error.path.startswith(sys.argv[1]), type(error.__cause__).__name__)
"""
    assert run_python(code, tmp_path / "locked").split() == [str(errno.EACCES), "True", "PermissionError"]


def test_folder_that_vanishes(tmp_path):
    writer = LocalBulkWriter(small_schema(), tmp_path, CHUNK)
    writer.data_path.rmdir()
    with pytest.raises(StoreError, match="no rows were published before"):
        writer.append_batch(columns_of(range(5000)))
    writer.close()
    assert list(tmp_path.iterdir()) == []


# -- errors of others


def test_interrupt_in_the_middle_of_a_write_is_the_end(tmp_path):
    """Ctrl-C between two columns: the columns differ in length, so nobody may go on writing behind them."""
    writer = LocalBulkWriter(small_schema(), tmp_path, CHUNK, "npy")
    calls = 0

    def interrupted(name, call):
        def pwritev(*args):
            nonlocal calls
            calls += 1
            if calls == 2:
                raise KeyboardInterrupt
            return call(*args)

        return pwritev if name == "pwritev" else call

    with replaced(interrupted), pytest.raises(KeyboardInterrupt):
        writer.append_rows([row_of(i) for i in range(2000)])
    with pytest.raises(StoreError, match=r"has failed before \(KeyboardInterrupt.*no rows were published"):
        writer.append_row(row_of(1))
    writer.close()
    assert list(tmp_path.iterdir()) == []


def test_failure_in_the_background_stops_what_follows(tmp_path):
    """What is published is always the first rows: no segment after one that failed."""
    broken = False

    def breaks_once(name, call):
        def rename(self, target):
            nonlocal broken
            if Path(target).name == "2.parquet" and not broken:
                broken = True
                raise OSError(errno.EIO, "once")
            return call(self, target)

        return rename if name == "rename" else call

    with replaced(breaks_once):
        writer = LocalBulkWriter(small_schema(), tmp_path, CHUNK)
        with pytest.raises(StoreError, match=r"2\.parquet") as caught:
            writer.append_batch(columns_of(range(3000)))  # many segments, handed over at its end
            writer.close()
        writer.close()
    ids = check_folder(writer.data_path)
    assert ids == list(range(len(ids)))
    assert writer.manifest.segments[-1].number == 1
    assert hidden_in(writer.data_path) == []
    assert caught.value.safe.startswith(f"{len(ids)} rows in 1 files")


def test_failure_while_leaving_by_an_exception_keeps_the_exception(tmp_path):
    def breaks(name, call):
        def fail(*_args, **_kwargs):
            raise OSError(errno.EIO, "dead disk")

        return fail if name in ("rmtree", "replace") else call

    with (
        replaced(breaks),
        pytest.raises(ZeroDivisionError) as caught,
        LocalBulkWriter(small_schema(), tmp_path, CHUNK) as writer,
    ):
        writer.append_batch(columns_of(range(700)))
        raise ZeroDivisionError
    assert any("dead disk" in note for note in caught.value.__notes__)
    assert writer_threads() == []


def test_a_forgotten_writer_leaks_no_files(tmp_path):
    before = n_open_files()
    for file_type in FORMATS:
        writer = LocalBulkWriter(small_schema(), tmp_path, CHUNK, file_type)
        writer.append_batch(columns_of(range(300)))
        del writer
    # An idle thread of the writer's may hold its last task a moment longer than the caller.
    deadline = time.monotonic() + 10
    while n_open_files() != before and time.monotonic() < deadline:
        gc.collect()
        threading.Event().wait(0.01)
    assert n_open_files() == before


def test_one_batch_of_many_segments_needs_few_files(tmp_path):
    """Segments that wait for the end of their batch are closed."""
    peak = 0

    def watching(name, call):
        def rename(*args):
            nonlocal peak
            peak = max(peak, n_open_files())
            return call(*args)

        def ftruncate(*args):
            nonlocal peak
            peak = max(peak, n_open_files())
            return call(*args)

        return {"rename": rename, "ftruncate": ftruncate}.get(name, call)

    before = n_open_files()
    with replaced(watching), LocalBulkWriter(small_schema(), tmp_path, CHUNK, "npy") as writer:
        writer.append_batch(columns_of(range(20_000)))
    assert len(writer.batch_files) > 50
    assert peak - before < 30
    assert check_folder(writer.data_path, checksums=False) == list(range(20_000))


@pytest.mark.parametrize("file_type", FORMATS)
def test_refused_batch_leaves_no_trace(tmp_path, file_type):
    writer = LocalBulkWriter(small_schema(), tmp_path, CHUNK, file_type)
    offered: list[int] = []
    refuse_a_batch(writer, offered)
    assert writer.total_row_count == 700
    writer.close()
    assert check_folder(writer.data_path) == offered
    assert hidden_in(writer.data_path) == []
    assert outputs(tmp_path) == [writer.data_path]
    assert os.listdir(notes(writer.data_path)) == [MANIFEST_NAME]  # noqa: PTH208
