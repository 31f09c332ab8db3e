"""On a local Ray cluster: every row once in one export, whatever becomes of workers and tasks."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray
from typer.testing import CliRunner

from buckets import new_bucket, param
from failing_calls import check_folder, columns_of, small_schema
from paths import SUPPORT
from ray_functions import Deadly, Troubled, schema_of, table_of, vectors_of
from servers.s3 import S3Server
from vecmill import convert, validate
from vecmill.cli import app
from vecmill.convert.job import prepare
from vecmill.convert.options import ConvertOptions
from vecmill.convert.ranges import RangeJob, RangeResult, run_ranges
from vecmill.errors import DataError, StoreError
from vecmill.integrations.ray import MilvusDatasink, _spread, convert_on_ray
from vecmill.manifest import Manifest
from vecmill.sources import open_source

DIM = 32
N_ROWS = 60_000
pytestmark = [pytest.mark.xdist_group("seaweed"), pytest.mark.timeout(300)]


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(SUPPORT), os.environ.get("PYTHONPATH", "")]))
        ray.init(
            num_cpus=2, include_dashboard=False, _node_ip_address="127.0.0.1", object_store_memory=200 << 20,
            log_to_driver=False,
        )  # fmt: skip
        ray.data.DataContext.get_current().enable_progress_bars = False
        yield
        ray.shutdown()


def dataset(n_rows: int = N_ROWS, blocks: int = 12) -> Any:
    made = ray.data.range(n_rows, override_num_blocks=blocks)
    return made.map_batches(lambda batch: table_of(batch["id"], DIM), batch_size=None, batch_format="numpy")


def check(paths: list[Path], n_rows: int = N_ROWS) -> None:
    """Check with DuckDB that every id is there once, and with pyarrow that its vector is the right one."""
    names = [str(path) for path in paths]
    counts = duckdb.sql(
        "select count(*), count(distinct id), min(id), max(id) from read_parquet($names)", params={"names": names}
    ).fetchall()[0]
    assert counts == (n_rows, n_rows, 0, n_rows - 1)
    table = pq.read_table(names[0])
    ids = table["id"].to_numpy()
    found = table["vector"].combine_chunks().flatten().to_numpy().reshape(len(ids), DIM)
    assert np.array_equal(found, vectors_of(ids, DIM))


def test_a_killed_worker_a_failed_task_and_one_too_many(seaweed: S3Server, tmp_path: Path) -> None:
    bucket = new_bucket(seaweed)
    sink = Troubled(
        schema_of(DIM), "exports/a", segment_size=1 << 20, connect_param=param(seaweed, bucket), flags=tmp_path
    )
    dataset().write_datasink(sink, ray_remote_args={"retry_exceptions": [OSError], "max_retries": 3})
    assert {path.name for path in tmp_path.iterdir()} == {"twice", "killed", "failed"}
    report = sink.report
    assert (report.rows, report.url) == (N_ROWS, f"s3://{bucket}/exports/a")
    keys = seaweed.keys(bucket, "exports/a")
    assert keys == sorted(key for group in report.files for key in group)
    manifest = Manifest.from_json(seaweed.read(bucket, "exports/_vecmill-a/manifest.json").decode())
    assert (manifest, manifest.n_rows, manifest.n_bytes) == (report.manifest, report.rows, report.bytes)
    # Small blocks are put together, and files are about as large as was asked.
    assert all(600_000 < entry.bytes <= 1_100_000 for entry in manifest.files[:-1])
    paths = [tmp_path / f"{i}.parquet" for i in range(len(report.files))]
    for path, (key,) in zip(paths, report.files, strict=True):
        path.write_bytes(seaweed.read(bucket, key))
    check(paths)
    with pytest.raises(StoreError, match="another export is there"):
        dataset(100).write_datasink(MilvusDatasink(schema_of(DIM), "exports/a", connect_param=param(seaweed, bucket)))
    assert seaweed.keys(bucket, "exports/a") == keys


@pytest.mark.parametrize("file_type", ["npy", "csv"])
def test_other_formats_to_a_folder(tmp_path: Path, file_type: str) -> None:
    rows = pa.table(columns_of(range(3000)) | {"vector": list(columns_of(range(3000))["vector"])})
    sink = MilvusDatasink(small_schema(), tmp_path / "out", file_type=file_type, segment_size=50_000)
    ray.data.from_arrow([rows.slice(i * 500, 500) for i in range(6)]).write_datasink(sink)
    assert sorted(check_folder(tmp_path / "out")) == list(range(3000))
    validate(tmp_path / "out").raise_for_errors()
    assert sink.report.rows == 3000
    # In place of it, blocks as they come, from pandas.
    again = MilvusDatasink(small_schema(), tmp_path / "out", file_type=file_type, merge=False, replace=True)
    ray.data.from_pandas([rows.slice(i * 500, 500).to_pandas() for i in range(6)]).write_datasink(again)
    assert sorted(check_folder(tmp_path / "out")) == list(range(3000))
    assert {entry.rows for entry in again.report.manifest.files} == {500}


def test_tensors_of_numpy(tmp_path: Path) -> None:
    ids = np.arange(1000)
    made = ray.data.from_numpy([vectors_of(part, DIM) for part in np.split(ids, 2)])
    made = made.map_batches(lambda batch: {"id": batch["data"][:, 0].astype(np.int64), "vector": batch["data"]})
    sink = MilvusDatasink(schema_of(DIM), tmp_path / "out")
    made.write_datasink(sink)
    table = pq.read_table([path for group in sink.report.files for path in group])
    assert sorted(table["id"].to_pylist()) == sorted((ids * 3 % 1021).tolist())
    assert [row[0] for row in table["vector"].to_pylist()] == table["id"].to_pylist()


def test_bad_rows_leave_nothing(tmp_path: Path) -> None:
    def broken(batch: Any) -> pa.Table:
        made = vectors_of(batch["id"], DIM)
        made[batch["id"] == 777, 5] = np.nan
        return pa.table({"id": batch["id"], "vector": list(made)})

    made = ray.data.range(2000, override_num_blocks=8).map_batches(broken, batch_size=None)
    sink = MilvusDatasink(schema_of(DIM), tmp_path / "out", segment_size=10_000)
    with pytest.raises(Exception, match="field 'vector', row") as caught:
        made.write_datasink(sink)
    assert "DataError" in f"{type(caught.value)} {caught.value}"
    assert sink.report is None
    assert not list((tmp_path / "out").glob("*"))


def source(folder: Path, n_rows: int = N_ROWS) -> Path:
    folder.mkdir()
    for i, ids in enumerate(np.array_split(np.arange(n_rows), 4)):
        pq.write_table(table_of(ids, DIM), folder / f"{i}.parquet", row_group_size=5000)
    return folder


def test_convert_on_the_command_line(seaweed: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    src = source(tmp_path / "in")
    args = ["convert", str(src), str(tmp_path / "out"), "--engine", "ray", "--segment-size", "1MiB", "--json"]
    done = CliRunner().invoke(app, args)
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout.splitlines()[-1])
    assert (report["rows"], report["rows_resumed"]) == (N_ROWS, 0)
    check([Path(path) for group in report["files"] for path in group])
    # The rows stand as in the source.
    table = pa.concat_tables([pq.read_table(path) for group in report["files"] for path in group])
    assert table["id"].to_pylist() == list(range(N_ROWS))
    assert open_source(src).n_rows == N_ROWS
    again = CliRunner().invoke(app, [*args, "--resume"])
    assert json.loads(again.stdout.splitlines()[-1])["rows_resumed"] == N_ROWS
    wrong = CliRunner().invoke(app, [*args[:3], "--address", "auto"])
    assert wrong.exit_code == 2


def test_convert_tells_of_a_bad_row_as_it_does_elsewhere(tmp_path: Path) -> None:
    src = source(tmp_path / "in", 4000)
    table = table_of(np.arange(1000), DIM)
    vectors = vectors_of(np.arange(1000), DIM)
    vectors[321, 0] = np.inf
    bad = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), DIM)
    pq.write_table(table.set_column(1, "vector", bad), src / "9.parquet")
    plan = prepare(src, ConvertOptions.of(segment_size=100_000))
    with pytest.raises(DataError) as caught:
        convert_on_ray(plan, tmp_path / "out")
    assert (caught.value.file, caught.value.row, caught.value.field) == (str(src / "9.parquet"), 321, "vector")
    skipping = prepare(src, ConvertOptions.of(segment_size=100_000, on_error="skip", resume=True))
    report = convert_on_ray(skipping, tmp_path / "out")
    want = convert(src, tmp_path / "one", on_error="skip")
    assert (report.rows, report.rows_rejected) == (want.rows, want.rows_rejected) == (4999, 1)
    assert Path(report.rejects).read_text() == Path(want.rejects).read_text()


def test_convert_goes_on_when_a_worker_dies(tmp_path: Path) -> None:
    plan = prepare(source(tmp_path / "in"), ConvertOptions.of(segment_size=1 << 20))
    jobs: list[RangeJob] = []

    def spread(given: Sequence[RangeJob]) -> Iterator[RangeResult]:
        jobs.extend(given)
        return _spread([Deadly(job, tmp_path / "died") if job.number == 1 else job for job in given])

    report = run_ranges(plan, tmp_path / "out", spread, n_workers=2)
    assert (tmp_path / "died").exists()
    assert len(jobs) > 3
    check([Path(path) for group in report.files for path in group])
    folders = {path.name for path in Path(report.data_path).iterdir() if path.is_dir()}
    assert folders == {Path(path).parent.name for group in report.files for path in group}
