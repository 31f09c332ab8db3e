"""convert in ranges of rows: the same rows, rejects and report as in one process, however the ranges come about."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import signal
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from obstore.store import MemoryStore

from buckets import new_bucket
from conversions import as_list, read_npy, vectors, write
from outputs import notes, outputs
from servers.s3 import KEY, SECRET, S3Server
from vecmill import DataType, convert, validate
from vecmill.convert.job import prepare
from vecmill.convert.options import ConvertOptions
from vecmill.convert.ranges import RangeJob, RangeResult, run_range, run_ranges
from vecmill.convert.report import Report
from vecmill.errors import DataError, SchemaError, VecmillError
from vecmill.writer.tasks import finished_tasks

SEGMENT = 64 << 10


def here(jobs: Sequence[RangeJob]) -> Iterator[RangeResult]:
    """Run jobs as they arrive elsewhere, the last one first."""
    for job in reversed(pickle.loads(pickle.dumps(list(jobs)))):
        yield pickle.loads(pickle.dumps(run_range(job)))


def pooled(jobs: Sequence[RangeJob]) -> Iterator[RangeResult]:
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(run_range, jobs)


def in_ranges(src: Any, dst: Any, spread: Any = here, *, n_workers: int = 2, **options: Any) -> Report:
    return run_ranges(prepare(src, ConvertOptions.of(**options)), dst, spread, n_workers=n_workers)


def rows_of(report: Report) -> pa.Table:
    return pa.concat_tables([pq.read_table(path) for group in report.files for path in group])


def bad_source(folder: Path, n: int = 6000) -> Path:
    """Write three files; some vectors have a NaN, some keys come twice."""
    folder.mkdir()
    matrix = vectors(n)
    matrix[[5, 17, 2999, 3000, n - 1], 3] = np.nan
    ids = np.arange(n)
    ids[[100, 4000]] = [7, 100]
    text = [f"text {i}" for i in range(n)]
    for i, rows in enumerate(np.array_split(np.arange(n), 3)):
        table = pa.table({"key": ids[rows], "vector": as_list(matrix[rows]), "text": [text[j] for j in rows]})
        pq.write_table(table, folder / f"part_{i}.parquet", row_group_size=700)
    return folder


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {"columns": {"id": "key", "vector": "vector"}, "on_error": "skip"},
    "first": {"primary": "key", "on_error": "skip", "check_duplicates": True, "keep": "first"},
    "last": {"primary": "key", "on_error": "skip", "check_duplicates": True, "keep": "last", "limit": 5000},
    "row": {"id_from": "row", "columns": ["vector"], "on_error": "skip", "skip": 11, "limit": 4321},
    "hash": {"id_from": "hash:key,text", "on_error": "skip", "normalize": ["vector"], "scale": {"vector": 2.0}},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_the_same_as_in_one_process(tmp_path: Path, name: str) -> None:
    src = bad_source(tmp_path / "in")
    options = {**OPTIONS[name], "segment_size": SEGMENT}
    want = convert(src, tmp_path / "one", **options)
    seen: list[tuple[int, int]] = []
    plan = prepare(src, ConvertOptions.of(**options))
    got = run_ranges(plan, tmp_path / "many", here, n_workers=2, progress=lambda *args: seen.append(args))
    assert (got.rows, got.rows_read, got.rows_rejected) == (want.rows, want.rows_read, want.rows_rejected)
    assert got.rows_rejected >= 3
    assert rows_of(got).equals(rows_of(want))
    assert Path(got.rejects).read_text() == Path(want.rejects).read_text()
    assert (got.schema, got.notes, got.inferred) == (want.schema, want.notes, want.inferred)
    assert len(seen) >= 2
    assert seen[-1] == (want.rows_read, got.bytes_out)
    validate(got.data_path).raise_for_errors()
    # What lies there is the output and nothing else; asked again, it is there already.
    assert not [path for path in Path(got.data_path).rglob("*") if path.is_file() and path.suffix == ".json"]
    assert {path.name for path in notes(got.data_path).iterdir()} == {"manifest.json", "convert.json", "rejects.jsonl"}
    again = in_ranges(src, tmp_path / "many", None, **options, resume=True)
    assert (again.files, again.rows_resumed, again.rejects) == (got.files, got.rows, got.rejects)
    assert convert(src, tmp_path / "many", **options, resume=True).data_path != got.data_path


def test_joined_arrays_in_other_processes_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "meta.parquet", 5000)
    for i, part in enumerate(np.array_split(vectors(5000, 16, 3), 4)):
        np.save(tmp_path / f"emb_{i}.npy", part)
    report = in_ranges(
        "meta.parquet", "out", pooled, columns={"id": "id", "emb": "emb_*.npy"}, file_type="npy", segment_size=SEGMENT
    )
    assert Path(report.data_path).parent == Path("out")
    found = read_npy(report)
    assert found["id"].tolist() == list(range(5000))
    assert np.array_equal(found["emb"], vectors(5000, 16, 3))


@pytest.mark.parametrize("inferred", [True, False])
def test_text_is_split_at_files(tmp_path: Path, inferred: bool) -> None:
    (tmp_path / "in").mkdir()
    matrix = vectors(900)
    for i in range(9):
        lines = []
        for row in range(i * 100, i * 100 + 100):
            vector = matrix[row].tolist()[: 3 if row in (333, 450, 899) else None]
            # Numbers that only some files write with a point, and a key that only some have.
            made = {"id": row, "vector": vector, "price": row if i % 2 else row + 0.5}
            lines.append(json.dumps(made | ({"note": f"n{row}"} if i > 4 and not inferred else {})))
        if i == 7:
            lines[50] = "{no json"
        (tmp_path / "in" / f"{i}.jsonl").write_text("\n".join(lines) + "\n")
    schema = write_schema()
    schema.add_field("price", DataType.DOUBLE)
    schema.add_field("note", DataType.VARCHAR, max_length=10, nullable=True)
    options = {"on_error": "skip", "segment_size": SEGMENT, "schema": None if inferred else schema}
    want = convert(tmp_path / "in", tmp_path / "one", **options)
    got = in_ranges(tmp_path / "in", tmp_path / "many", **options)
    assert (got.rows, got.rows_rejected, got.schema) == (want.rows, want.rows_rejected, want.schema)
    assert (got.rows, got.rows_rejected) == (896, 4)
    assert rows_of(got).equals(rows_of(want))
    assert [json.loads(line) for line in Path(got.rejects).read_text().splitlines()] == [
        json.loads(line) for line in Path(want.rejects).read_text().splitlines()
    ]
    again = in_ranges(tmp_path / "in", tmp_path / "many", None, **options, resume=True)
    assert (again.files, again.rows_rejected) == (got.files, 4)


class Killed(Exception):
    pass


def test_resume_takes_over_what_is_done(tmp_path: Path) -> None:
    src = bad_source(tmp_path / "in")
    options = {"columns": {"id": "key", "vector": "vector"}, "on_error": "skip", "segment_size": 16 << 10}

    def broken(jobs: Sequence[RangeJob]) -> Iterator[RangeResult]:
        assert len(jobs) > 4
        for job in jobs[1:4]:
            yield run_range(job)
        raise Killed

    with pytest.raises(Killed) as caught:
        in_ranges(src, tmp_path / "out", broken, **options)
    (folder,) = outputs(tmp_path / "out")
    assert f"3 of {len(finished_tasks(folder)) + len(ranges_left(src, options, 3))} ranges are done" in str(
        caught.value.__notes__
    )
    ran: list[int] = []

    def rest(jobs: Sequence[RangeJob]) -> Iterable[RangeResult]:
        ran.extend(job.number for job in jobs)
        return here(jobs)

    # More workers would have made other ranges.
    report = in_ranges(src, tmp_path / "out", rest, n_workers=7, **options, resume=True)
    assert set(ran).isdisjoint({1, 2, 3})
    assert 0 in ran
    assert report.data_path == str(folder)
    want = convert(src, tmp_path / "one", **options)
    assert rows_of(report).equals(rows_of(want))
    assert Path(report.rejects).read_text() == Path(want.rejects).read_text()
    assert 0 < report.rows_resumed < report.rows


def ranges_left(src: Path, options: dict[str, Any], n_done: int) -> list[int]:
    numbers: list[int] = []

    def spread(jobs: Sequence[RangeJob]) -> Iterable[RangeResult]:
        numbers.extend(job.number for job in jobs)
        raise Killed

    with pytest.raises(Killed):
        in_ranges(src, src.parent / "unused", spread, **options)
    assert list((src.parent / "unused").iterdir()) == []  # nothing was done, and no trace is left
    return numbers[n_done:]


def test_a_bad_row_is_told_with_its_place_and_leaves_nothing(tmp_path: Path) -> None:
    src = bad_source(tmp_path / "in")
    with pytest.raises(DataError) as caught:
        in_ranges(src, tmp_path / "out", here, columns={"id": "key", "vector": "vector"}, segment_size=SEGMENT)
    assert (Path(caught.value.file).name, caught.value.row) in (("part_0.parquet", 5), ("part_2.parquet", 1999))


def test_repeated_keys_are_refused_before_a_range_runs(tmp_path: Path) -> None:
    src = bad_source(tmp_path / "in")
    with pytest.raises(DataError, match="a primary key that no other row has"):
        in_ranges(src, tmp_path / "out", None, primary="key", on_error="skip", check_duplicates=True)
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_split_is_refused_in_one_line(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"id": 1, "vector": [1.0, 2.0]}))
    with pytest.raises(SchemaError, match=r"split at files; and there is only .*a\.jsonl"):
        in_ranges(tmp_path / "a.jsonl", tmp_path / "out")
    for options in ({"limit": 3}, {"skip": 1}, {"id_from": "row", "columns": ["vector"]}, {"check_duplicates": True}):
        with pytest.raises(SchemaError, match="can only be counted by reading them"):
            in_ranges(tmp_path / "*.jsonl", tmp_path / "out", **options)
    with pytest.raises(SchemaError, match="not Table in memory"):
        in_ranges(pa.table({"id": [1], "vector": [[1.0, 2.0]]}), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_no_rows_and_only_bad_rows(tmp_path: Path) -> None:
    write(tmp_path / "none.parquet", 0)
    report = in_ranges(tmp_path / "none.parquet", tmp_path / "out", columns=["id", "vector"], schema=write_schema())
    assert (report.rows, report.files, list((tmp_path / "out").iterdir())) == (0, [], [])
    bad = pa.table({"id": [1, 2], "vector": as_list(np.full((2, 8), np.nan, np.float32))})
    pq.write_table(bad, tmp_path / "bad.parquet")
    report = in_ranges(tmp_path / "bad.parquet", tmp_path / "out", on_error="skip", schema=write_schema())
    assert (report.rows, report.rows_rejected, report.files) == (0, 2, [])
    assert len(Path(report.rejects).read_text().splitlines()) == 2


def write_schema() -> Any:
    from conversions import small_schema

    return small_schema()


def _die_once(job: RangeJob) -> RangeResult:
    flag = Path(job.url).parent.parent / "died"
    if job.number == 1 and not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return run_range(job)


def test_a_worker_that_is_killed_and_a_run_that_goes_on(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", 5000)
    options = {"segment_size": 16 << 10, "resume": True}

    def spread(jobs: Sequence[RangeJob]) -> Iterator[RangeResult]:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            yield from pool.map(_die_once, jobs)

    with pytest.raises(Exception, match="terminated abruptly") as caught:
        in_ranges(tmp_path / "a.parquet", tmp_path / "out", spread, **options)
    assert not isinstance(caught.value, VecmillError)
    report = in_ranges(tmp_path / "a.parquet", tmp_path / "out", spread, **options)
    assert rows_of(report)["id"].to_pylist() == list(range(5000))
    assert report.rows_resumed > 0


def test_to_a_bucket(seaweed: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ACCESS_KEY_ID": KEY, "SECRET_ACCESS_KEY": SECRET, "ENDPOINT_URL": seaweed.url}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    bucket = new_bucket(seaweed)
    src = bad_source(tmp_path / "in")
    url = f"s3://{bucket}/exports"
    options = {"columns": {"id": "key", "vector": "vector"}, "on_error": "skip", "segment_size": SEGMENT}
    report = in_ranges(src, url, **options)
    want = convert(src, tmp_path / "one", **options)
    assert report.data_path.startswith(f"{url}/")
    validate(report.data_path).raise_for_errors()
    parts = [pq.read_table(pa.BufferReader(seaweed.read(bucket, key))) for (key,) in report.files]
    assert pa.concat_tables(parts).equals(rows_of(want))
    assert (
        seaweed.read(bucket, report.rejects.removeprefix(f"s3://{bucket}/")).decode() == Path(want.rejects).read_text()
    )
    again = in_ranges(src, url, None, **options, resume=True)
    assert (again.data_path, again.rows_resumed) == (report.data_path, report.rows)


@pytest.mark.parametrize("on_error", ["stop", "skip"])
def test_large_batches_of_text_go_on_in_the_same_object(tmp_path: Path, on_error: str) -> None:
    n_rows, dim = 90_000, 128  # two batches of the source, 46 MB, which are 120 MB of text
    matrix = np.random.default_rng(1).standard_normal((n_rows, dim)).astype(np.float32)
    bad = [7, 77_777] if on_error == "skip" else []
    matrix[bad, 0] = np.nan
    np.save(tmp_path / "id.npy", np.arange(n_rows))
    np.save(tmp_path / "vector.npy", matrix)
    src = [tmp_path / "id.npy", tmp_path / "vector.npy"]
    plan = prepare(src, ConvertOptions.of(file_type="jsonl", on_error=on_error))
    store = MemoryStore()
    job = RangeJob(0, 0, n_rows, src, plan.options, plan.schema.to_dict(), "out", store)
    result = run_range(job)
    assert [entry.rows for entry in result.entries] == [n_rows - len(bad)]
    lines = bytes(store.get(f"out/{result.entries[0].path}").bytes()).splitlines()
    ids = [json.loads(line)["id"] for line in lines]
    assert ids == [row for row in range(n_rows) if row not in bad]
