"""convert(resume=True): after a kill at any moment, every row is there once."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import datasets
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from commands import run_vecmill
from conversions import read_parquet, vectors, write
from killed_processes import victims
from outputs import notes, outputs
from vecmill.convert import convert
from vecmill.convert.record import parse_record
from vecmill.errors import DataError, StoreError

DIM = 64
N_ROWS = 60_000
SEGMENT = 1 << 20


def source_with_bad_rows(folder: Path) -> list[int]:
    """Write vectors, a few of them with NaN; return the good rows."""
    folder.mkdir()
    matrix = vectors(N_ROWS, DIM)
    bad = [*sorted(random.Random(3).sample(range(N_ROWS), 40)), N_ROWS - 12]
    matrix[bad, 7] = np.nan
    for i, part in enumerate(np.array_split(matrix, 3)):
        flat = pa.array(part.ravel())
        table = pa.table({"vector": pa.FixedSizeListArray.from_arrays(flat, DIM)})
        pq.write_table(table, folder / f"{i}.parquet", row_group_size=3000, use_dictionary=False)
    return sorted(set(range(N_ROWS - 10)) - set(bad))


def convert_on(src: str, dst: str, file_type: str) -> None:
    convert(
        [src], dst, file_type=file_type, segment_size=SEGMENT, on_error="skip", resume=True, id_from="row", limit=59_990
    )


def segments_in(out: Path) -> int:
    """Return the segments that are seen, whether the manifest lists them yet or not."""
    return sum(1 for folder in out.glob("*") for path in folder.glob("[0-9]*"))


def ids_in(folder: Path, file_type: str) -> list[int]:
    manifest = json.loads((notes(folder) / "manifest.json").read_text())
    ids: list[int] = []
    for segment in manifest["segments"]:
        paths = {entry["field"]: folder / entry["path"] for entry in segment["files"]}
        column = np.load(paths["id"]) if file_type == "npy" else pq.read_table(paths[None])["id"].to_numpy()
        assert len(column) == segment["rows"]
        ids += column.tolist()
    return ids


@pytest.mark.timeout(600)
@pytest.mark.parametrize("file_type", ["npy", "parquet"])
def test_killed_at_a_random_moment_and_resumed_every_row_is_there_once(tmp_path, file_type):
    src = tmp_path / "in"
    good = source_with_bad_rows(src)
    moments = random.Random(5)
    struck = 0
    with victims(convert_on) as start:
        assert start(src, tmp_path / "whole", file_type).wait() == 0
        n_segments = segments_in(tmp_path / "whole")
        for turn in range(10):
            out = tmp_path / f"out{turn}"
            for part in (0.5, 0.9):  # a resume is killed as well
                victim = start(src, out, file_type)
                wanted = moments.randrange(int(part * n_segments))
                while victim.runs and segments_in(out) < wanted:
                    time.sleep(0.003)
                more = time.monotonic() + moments.uniform(0, 0.03)  # anywhere within a segment or two
                while victim.runs and time.monotonic() < more:
                    pass
                struck += victim.runs
                victim.kill()
                victim.wait()
            assert start(src, out, file_type).wait() == 0
            check_converted(out, file_type, good)
    assert struck >= 15


def check_converted(out: Path, file_type: str, good: list[int]) -> None:
    records = {folder: parse_record((notes(folder) / "convert.json").read_text()) for folder in outputs(out)}
    (folder,) = [folder for folder, record in records.items() if record is not None and record.complete]
    assert ids_in(folder, file_type) == good
    told = [json.loads(line)["source_row"] for line in (notes(folder) / "rejects.jsonl").read_text().splitlines()]
    assert sorted([*told, *good]) == list(range(N_ROWS - 10))
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


# -- in one process ---------------------------------------------------------------------------------------------------


class Killed(BaseException):
    pass


def kill_after(calls: int):
    def progress(rows: int, n_bytes: int) -> None:
        nonlocal calls
        calls -= 1
        if calls < 0:
            raise Killed

    return progress


def broken_off(folder: Path, dst: Path, **kwargs) -> None:
    with pytest.raises(Killed):
        convert(folder, dst, segment_size=100_000, progress=kill_after(1), **kwargs)


def make_source(folder: Path, n: int = 30_000, seed: int = 0) -> Path:
    """Write Parquet, which is read in batches of 8 MiB."""
    table = pa.table({"vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors(n, 200, seed).ravel()), 200)})
    pq.write_table(table, folder / "in.parquet", row_group_size=5000, use_dictionary=False)
    return folder / "in.parquet"


def test_a_resume_goes_on_behind_what_is_published(tmp_path):
    src = make_source(tmp_path)
    broken_off(src, tmp_path / "out")
    (folder,) = outputs(tmp_path / "out")
    published = json.loads((notes(folder) / "manifest.json").read_text())["rows"]
    assert 0 < published < 30_000
    read: list[int] = []
    report = convert(src, tmp_path / "out", resume=True, progress=lambda rows, n_bytes: read.append(rows))
    assert (report.rows, report.rows_resumed, report.rows_read) == (30_000, published, 30_000)
    assert report.data_path == str(folder)
    assert report.rows_per_s == pytest.approx((30_000 - published) / report.seconds)
    assert 0 < report.mb_per_s < report.bytes_out / 1e6 / report.seconds
    assert read[0] > published
    got = read_parquet(report)["vector"].combine_chunks()
    assert np.asarray(got.flatten()).tobytes() == vectors(30_000, 200).tobytes()


def test_what_is_complete_is_only_reported(tmp_path):
    src = make_source(tmp_path, 1000)
    first = convert(src, tmp_path / "out", resume=True)
    again = convert(src, tmp_path / "out", resume=True)
    assert (first.rows_resumed, again.rows_resumed) == (0, 1000)
    assert (again.files, again.data_path, again.rows) == (first.files, first.data_path, 1000)
    anew = convert(src, tmp_path / "out")
    assert anew.data_path != first.data_path


@pytest.mark.parametrize("other", [{"skip": 1}, {"file_type": "npy"}, {"normalize": ["vector"]}, {"primary": "id"}])
def test_other_options_are_another_conversion(tmp_path, other):
    write(tmp_path / "t.parquet", 3000)
    with pytest.raises(Killed):
        convert(tmp_path / "t.parquet", tmp_path / "out", segment_size=9000, progress=kill_after(0), columns=["vector"])
    columns = ["vector", "id"] if "primary" in other else ["vector"]
    report = convert(tmp_path / "t.parquet", tmp_path / "out", resume=True, columns=columns, **other)
    assert report.rows_resumed == 0


def test_other_data_are_another_conversion(tmp_path):
    src = make_source(tmp_path)
    broken_off(src, tmp_path / "out")
    make_source(tmp_path, seed=1)
    assert convert(src, tmp_path / "out", resume=True).rows_resumed == 0


def test_the_log_says_what_differs_where_a_resume_begins_anew(tmp_path, caplog):
    src = make_source(tmp_path, 100)
    first = convert(src, tmp_path / "out")
    convert(src, tmp_path / "out", resume=True)
    assert not caplog.messages
    convert(src, tmp_path / "out", resume=True, skip=1, limit=5)
    (told,) = caplog.messages
    assert Path(first.data_path).name in told and "(limit, rows, skip differ)" in told


def test_a_list_of_one_input_is_that_input_and_the_command_asks_the_same(tmp_path):
    src = make_source(tmp_path, 100)
    first = convert(src, tmp_path / "out")
    assert convert([[src]], tmp_path / "out", resume=True).data_path == first.data_path
    told = run_vecmill("convert", src, tmp_path / "out", "--resume", "--json")
    report = json.loads(told.stdout)
    assert (report["data_path"], report["rows_resumed"]) == (first.data_path, 100), told.stderr


@pytest.mark.parametrize("kind", ["pyarrow", "polars", "pandas", "datasets"])
def test_tables_in_memory_are_told_apart(tmp_path, kind):
    make = {
        "pyarrow": lambda table: table,
        "polars": pl.from_arrow,
        "pandas": lambda table: table.to_pandas(),
        "datasets": lambda table: datasets.Dataset(datasets.table.InMemoryTable(table)),
    }[kind]

    def table(id_type="int64", **changed):
        rows = {"id": np.arange(300), "text": ["x"] * 300} | changed
        vector = pa.array([[float(i), 1.0] for i in range(300)], pa.list_(pa.float32()))
        return make(pa.table({"id": pa.array(rows["id"], id_type), "text": rows["text"], "vector": vector}))

    first = convert(table(), tmp_path / "out", resume=True)
    assert convert(table(), tmp_path / "out", resume=True).data_path == first.data_path
    others = [
        table(text=["y", *["x"] * 299]),
        table(text=[*["x"] * 299, "y"]),
        table(id=np.arange(300)[::-1].copy()),
        table(id_type="int32"),
    ]
    found = [convert(other, tmp_path / "out", resume=True) for other in others]
    assert len({first.data_path, *(report.data_path for report in found)}) == 5
    assert all(report.rows_resumed == 0 for report in found)


def test_a_stop_at_a_bad_row_can_be_resumed_with_skip(tmp_path):
    src = make_source(tmp_path)
    matrix = vectors(30_000, 200)
    matrix[20_000, 0] = np.nan
    table = pa.table({"vector": pa.FixedSizeListArray.from_arrays(pa.array(matrix.ravel()), 200)})
    pq.write_table(table, src, row_group_size=5000, use_dictionary=False)
    with pytest.raises(DataError) as caught:
        convert(src, tmp_path / "out", segment_size=100_000)
    assert caught.value.row == 20_000
    report = convert(src, tmp_path / "out", resume=True, on_error="skip")
    assert report.rows_resumed > 0
    assert (report.rows, report.rows_rejected) == (29_999, 1)
    got = read_parquet(report)["vector"].combine_chunks()
    assert np.asarray(got.flatten()).tobytes() == np.delete(matrix, 20_000, axis=0).tobytes()


@pytest.mark.parametrize("text", ["", "[]", '{"vecmill_convert": 99}', '{"vecmill_convert": 1}'])
def test_a_record_that_is_none(tmp_path, text):
    write(tmp_path / "t.parquet", 10)
    (tmp_path / "out" / "a").mkdir(parents=True)
    (tmp_path / "out" / "a" / "convert.json").write_text(text)
    report = convert(tmp_path / "t.parquet", tmp_path / "out", resume=True)
    assert (report.rows, report.rows_resumed) == (10, 0)


def test_a_folder_that_is_a_file(tmp_path):
    write(tmp_path / "t.parquet", 10)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError):
        convert(tmp_path / "t.parquet", tmp_path / "file", resume=True)
