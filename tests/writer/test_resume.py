"""A writer opened on the folder of one that ended early: every row once, and nothing of what was under way."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest

from failing_calls import check_folder, columns_of, hidden_in, small_schema
from format_names import FORMATS
from killed_processes import victims
from outputs import notes, outputs
from vecmill import DataError, DataType, LocalBulkWriter, StoreError

CHUNK = 4_000


def folder_of(tmp_path: Path) -> Path:
    (folder,) = outputs(tmp_path)
    return folder


@pytest.mark.parametrize("file_type", FORMATS)
def test_goes_on_behind_what_is_published(tmp_path: Path, file_type: str) -> None:
    with LocalBulkWriter(small_schema(), tmp_path, chunk_size=CHUNK, file_type=file_type) as writer:
        writer.append_batch(columns_of(range(100)))
    root = folder_of(tmp_path)
    n_before = len(writer.batch_files)
    with LocalBulkWriter(small_schema(), root, chunk_size=CHUNK, file_type=file_type, resume=True) as again:
        assert (again.uuid, again.data_path, again.total_row_count) == (writer.uuid, root, 100)
        assert again.batch_files == writer.batch_files
        with pytest.raises(DataError) as error:
            again.append_row({"id": "x"})
        assert error.value.row == 100
        again.append_batch(columns_of(range(100, 160)))
    assert check_folder(root) == list(range(160))
    assert len(again.batch_files) > n_before > 1
    assert hidden_in(root) == []


@pytest.mark.parametrize("file_type", FORMATS)
def test_leftovers_are_removed(tmp_path: Path, file_type: str) -> None:
    with LocalBulkWriter(small_schema(), tmp_path, file_type=file_type) as writer:
        writer.append_batch(columns_of(range(10)))
    root = folder_of(tmp_path)
    (root / ".7.tmp").mkdir()
    (root / ".7.tmp" / "vector.npy").write_bytes(b"half")
    (notes(root) / ".manifest.json.tmp").write_text("{")
    if file_type == "npy":
        (root / "2").mkdir()
        (root / "2" / "id.npy").write_bytes(b"not listed")
    else:
        (root / "2.parquet").write_bytes(b"not listed")
    (root / "9.parquet").write_bytes(b"of somebody else")
    with LocalBulkWriter(small_schema(), root, file_type=file_type, resume=True) as again:
        again.append_batch(columns_of(range(10, 20)))
    assert (root / "9.parquet").read_bytes() == b"of somebody else"
    (root / "9.parquet").unlink()
    assert check_folder(root) == list(range(20))
    assert hidden_in(root) == hidden_in(notes(root)) == []


def test_another_export_is_not_continued(tmp_path: Path) -> None:
    with LocalBulkWriter(small_schema(), tmp_path) as writer:
        writer.append_batch(columns_of(range(10)))
    root = folder_of(tmp_path)
    schema = small_schema()
    schema.add_field("more", DataType.INT8)
    with pytest.raises(StoreError, match="its schema is"):
        LocalBulkWriter(schema, root, resume=True)
    with pytest.raises(StoreError, match="its file type is PARQUET, not NUMPY"):
        LocalBulkWriter(small_schema(), root, file_type="npy", resume=True)
    text = (notes(root) / "manifest.json").read_text()
    for broken in ("{", "{}", json.dumps(json.loads(text) | {"segments": [{}]})):
        (notes(root) / "manifest.json").write_text(broken)
        with pytest.raises(StoreError, match="cannot be read"):
            LocalBulkWriter(small_schema(), root, resume=True)


def test_a_place_where_nothing_was_begun(tmp_path: Path) -> None:
    root = tmp_path / "new"
    with LocalBulkWriter(small_schema(), root, resume=True) as writer:
        writer.append_batch(columns_of(range(10)))
    assert writer.data_path == root
    assert check_folder(root) == list(range(10))


def test_files_of_others_are_not_removed(tmp_path: Path) -> None:
    mine = tmp_path / "1.parquet"
    mine.write_bytes(b"precious")
    with pytest.raises(StoreError, match=r"1\.parquet.*no manifest"):
        LocalBulkWriter(small_schema(), tmp_path, resume=True)
    assert mine.read_bytes() == b"precious"


def fill(root: str, file_type: str) -> None:
    with LocalBulkWriter(small_schema(), root, chunk_size=CHUNK, file_type=file_type, resume=True) as writer:
        for start in range(writer.manifest.n_rows, 3_000, 50):
            writer.append_batch(columns_of(np.arange(start, start + min(50, 3_000 - start))))
            print(start, flush=True)


@pytest.mark.parametrize("file_type", FORMATS)
def test_killed_ten_times_then_finished(tmp_path: Path, file_type: str) -> None:
    """Killed at random moments, resumed each time: every row once."""
    rng = np.random.default_rng(5)
    root = tmp_path / "0f9b7a1c-0000-4000-8000-000000000001"
    with victims(fill) as start:
        for _ in range(10):
            victim = start(root, file_type)
            for _ in range(int(rng.integers(1, 7))):
                victim.read_line()
            victim.kill()
            assert victim.wait() in (0, -signal.SIGKILL)
        assert start(root, file_type).wait() == 0
    assert check_folder(root, checksums=False) == list(range(3_000))
    assert hidden_in(root) == []
