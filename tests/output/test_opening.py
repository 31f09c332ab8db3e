"""An output is found by whatever names it, the same by all commands; a damaged one is the same error for all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from commands import run_vecmill
from failing_calls import columns_of, small_schema
from outputs import notes
from vecmill import LocalBulkWriter, StoreError, commit, validate
from vecmill.convert import convert
from vecmill.convert.inspect import inspect
from vecmill.importer.journal import CREATED, Journal, JournalEntry
from vecmill.output.opening import open_output
from vecmill.output.upload import upload

NAMES: dict[str, Callable[[Path], Any]] = {
    "folder": lambda folder: folder,
    "parent": lambda folder: str(folder.parent),
    "manifest": lambda folder: notes(folder) / "manifest.json",
    "notes": lambda folder: f"{notes(folder)}/",
    "url": lambda folder: f"file://{folder}",
    "url of the parent": lambda folder: f"file://{folder.parent}/",
    "url of the manifest": lambda folder: f"file://{notes(folder)}/manifest.json",
}


def written(root: Path, file_type: str = "json") -> Path:
    with LocalBulkWriter(small_schema(), root, 4_000, file_type) as writer:
        writer.append_batch(columns_of(range(100)))
    return writer.data_path


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("file_type", ["npy", "json"])
def test_all_commands_take_an_output_however_it_is_named(tmp_path: Path, name: str, file_type: str) -> None:
    folder = written(tmp_path / "out", file_type)
    given = NAMES[name](folder)
    assert validate(given).rows == 100
    found = inspect(given)
    assert (found.kind, found.rows) == ("output", 100)
    assert convert(given, tmp_path / "again").rows == 100
    assert [one.rows for one in open_output(given).files()] == [one.rows for one in open_output(folder).files()]
    if "parent" not in name:
        sent = upload(given, f"file://{tmp_path}/bucket")
        assert validate(f"{tmp_path}/bucket/{folder.name}").rows == 100 and sent.n_sent > 1
        assert run_vecmill("schema", "show", given).returncode == 0


def test_the_folder_holds_import_files_and_nothing_else(tmp_path: Path) -> None:
    vectors = np.ones((100, 4), "f4")
    vectors[7] = np.nan
    np.save(tmp_path / "vector.npy", vectors)
    report = convert(tmp_path / "vector.npy", tmp_path / "out", on_error="skip", id_from="row", file_type="json")
    folder = Path(report.data_path)
    Journal(folder).note("key", JournalEntry(CREATED, "http://server", "books", 99))
    assert Journal(folder).get("key") is not None
    assert [str(path) for path in folder.rglob("*")] == [path for (path,) in report.files]
    assert {path.name for path in notes(folder).iterdir()} == {
        "manifest.json", "convert.json", "rejects.jsonl", "imports.json",
    }  # fmt: skip
    assert Path(report.rejects).parent == notes(folder)
    assert validate(tmp_path / "out").rows == 99


@pytest.mark.parametrize("text", ["", "{", "[]", '{"vecmill_manifest": 9}', '{"vecmill_manifest": 1}'])
def test_a_damaged_manifest_is_one_error(tmp_path: Path, text: str) -> None:
    np.save(tmp_path / "vector.npy", np.ones((100, 4), "f4"))
    src, out = tmp_path / "vector.npy", tmp_path / "out"
    folder = Path(convert(src, out, id_from="row").data_path)
    (notes(folder) / "manifest.json").write_text(text)
    task = written(tmp_path / "task")
    (notes(task) / "manifest.json").write_text(text)
    for call in (
        lambda: convert(src, out, id_from="row", resume=True),
        lambda: convert(folder, tmp_path / "again"),
        lambda: inspect(folder),
        lambda: validate(folder),
        lambda: open_output(folder),
        lambda: upload(folder, f"file://{tmp_path}/bucket"),
        lambda: LocalBulkWriter(small_schema(), task, file_type="json", resume=True),
        lambda: commit(task, [], schema=small_schema()),
    ):
        with pytest.raises(StoreError, match=r"manifest\.json: cannot be read: "):
            call()
    for words in (("convert", src, out, "--id-from", "row", "--resume"), ("validate", folder), ("inspect", folder)):
        done = run_vecmill(*words)
        assert "manifest.json: cannot be read: " in done.stderr and "unexpected" not in done.stderr


def test_ranges_meet_a_damaged_manifest(tmp_path: Path) -> None:
    np.save(tmp_path / "vector.npy", np.ones((1000, 4), "f4"))
    report = convert(tmp_path / "vector.npy", tmp_path / "out", id_from="row", workers=2)
    (notes(report.data_path) / "manifest.json").write_text("{")
    with pytest.raises(StoreError, match="cannot be read"):
        convert(tmp_path / "vector.npy", tmp_path / "out", id_from="row", workers=2, resume=True)
