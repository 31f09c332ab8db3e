"""convert(workers=N): ranges of rows at the same time, in threads or processes, and the rows keep their order."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conversions import as_list, read_npy, read_parquet, vectors, visible_data_files, write
from outputs import notes, outputs
from vecmill import convert
from vecmill.cli import app
from vecmill.convert.job import prepare
from vecmill.convert.options import ConvertOptions
from vecmill.convert.ranges import RangeJob, RangeResult, run_range, run_ranges
from vecmill.convert.workers import needs_python
from vecmill.errors import DataError, SchemaError, StoreError

N_ROWS = 20_000
SIZE = 300_000


@pytest.fixture
def source(tmp_path) -> Path:
    write(tmp_path / "a.parquet", N_ROWS, row_group_size=1500)
    return tmp_path / "a.parquet"


@pytest.mark.parametrize("file_type", ["parquet", "npy"])
def test_threads_give_the_rows_of_one(tmp_path, source, file_type):
    read = read_parquet if file_type == "parquet" else read_npy
    one = convert(source, tmp_path / "out", file_type=file_type, segment_size=SIZE)
    several = convert(source, tmp_path / "out", file_type=file_type, segment_size=SIZE, workers=3, validate="full")
    assert (several.rows, several.rows_rejected, several.validation.ok) == (N_ROWS, 0, True)
    first, second = read(one), read(several)
    if file_type == "parquet":
        assert first.equals(second)
    else:
        assert first.keys() == second.keys()
        assert all(np.array_equal(first[name], second[name]) for name in first)


def test_processes_where_python_changes_values(tmp_path):
    matrix = vectors(N_ROWS)
    bad = [0, 777, 12_345, N_ROWS - 1]
    matrix[bad, 0] = np.nan
    table = pa.table({"text": [f"row {i}" for i in range(N_ROWS)], "vector": as_list(matrix)})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=1000)
    options = {"id_from": "hash:text", "on_error": "skip", "segment_size": SIZE}
    assert needs_python(prepare(tmp_path / "a.parquet", ConvertOptions.of(id_from="hash:text")))
    one = convert(tmp_path / "a.parquet", tmp_path / "out", **options)
    several = convert(tmp_path / "a.parquet", tmp_path / "out", workers=2, **options)
    assert (several.rows, several.rows_rejected) == (N_ROWS - 4, 4)
    assert read_parquet(one).equals(read_parquet(several))
    for report in (one, several):
        assert [json.loads(line)["source_row"] for line in Path(report.rejects).read_text().splitlines()] == bad


def test_a_bad_row_is_told_with_its_place_and_done_ranges_are_kept(tmp_path):
    matrix = vectors(N_ROWS)
    matrix[N_ROWS - 5, 3] = np.inf
    pq.write_table(pa.table({"id": np.arange(N_ROWS), "vector": as_list(matrix)}), tmp_path / "a.parquet")
    with pytest.raises(DataError) as caught:
        convert(tmp_path / "a.parquet", tmp_path / "out", segment_size=SIZE, workers=2)
    assert (caught.value.file, caught.value.row, caught.value.field) == (
        str(tmp_path / "a.parquet"), N_ROWS - 5, "vector",
    )  # fmt: skip
    assert any("with resume they are kept" in note for note in caught.value.__notes__)
    assert not list((tmp_path / "out").glob("_vecmill-*/manifest.json"))


def test_files_of_text_are_not_cut(tmp_path):
    for i in range(3):
        lines = [json.dumps({"id": i * 100 + k, "vector": [k, 1.0, 2.0]}) for k in range(100)]
        (tmp_path / f"{i}.jsonl").write_text("\n".join(lines))
    report = convert(str(tmp_path / "*.jsonl"), tmp_path / "out", workers=2)
    assert read_parquet(report)["id"].to_pylist() == list(range(300))
    with pytest.raises(SchemaError, match=r"there is only .*0\.jsonl; leave --workers or --engine \(workers=\) out"):
        convert(tmp_path / "0.jsonl", tmp_path / "out", workers=2)
    with pytest.raises(SchemaError, match="at least 1"):
        convert(tmp_path / "0.jsonl", tmp_path / "out", workers=0)


def test_on_the_command_line(tmp_path, source):
    from typer.testing import CliRunner

    done = CliRunner().invoke(app, ["convert", str(source), str(tmp_path / "out"), "-w", "2", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["rows"] == N_ROWS
    assert CliRunner().invoke(app, ["convert", str(source), str(tmp_path / "out"), "-w", "0"]).exit_code == 2


@pytest.mark.parametrize("options", [{}, {"on_error": "skip", "id_from": "hash"}], ids=["threads", "processes"])
@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_paths_are_told_as_they_were_given(tmp_path, monkeypatch, kind, options):
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for i in range(3):
        matrix = vectors(500, start=i)
        matrix[7, 3] = np.inf if "on_error" in options and kind == "parquet" else 1
        rows = {"number": np.arange(500), "vector": as_list(matrix)}
        if kind == "parquet":
            pq.write_table(pa.table(rows), f"in/{i}.parquet")
        else:
            lines = [json.dumps(row) for row in pa.table(rows).to_pylist()]
            lines[7] = "{" if "on_error" in options else lines[7]
            Path(f"in/{i}.jsonl").write_text("\n".join(lines))
    reports = [convert("in", "out", workers=workers, segment_size=20_000, **options) for workers in (1, 2)]
    for report in reports:
        assert all(path.startswith(f"{report.data_path}/") for group in report.files for path in group)
        assert report.data_path.startswith("out/")
    if options:
        one, two = ([json.loads(line) for line in Path(r.rejects).read_text().splitlines()] for r in reports)
        assert one == two
        assert {line["file"] for line in one} == {f"in/{i}.{kind}" for i in range(3)}


def test_a_script_without_a_guard_is_told_of_it(tmp_path, source):
    script = "from vecmill import convert\nconvert(%r, %r, workers=2, segment_size=%d, on_error='skip')"
    (tmp_path / "script.py").write_text(script % (str(source), str(tmp_path / "out"), SIZE))
    args = [sys.executable, str(tmp_path / "script.py")]
    done = subprocess.run(args, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    last = [line for line in done.stderr.splitlines() if line.startswith("vecmill.errors.StoreError")]
    assert len(last) == 1
    assert "has ended early" in last[0]
    assert 'outside of `if __name__ == "__main__":`' in last[0]
    assert "vecmill.errors.SchemaError: workers cannot be started" in done.stderr
    assert visible_data_files(tmp_path / "out") == []


SCRIPT = """
import sys
from vecmill import convert
if __name__ == "__main__":
    convert(sys.argv[1], sys.argv[2], segment_size=2_000_000, workers=2, resume=True, id_from="hash", on_error="skip")
"""


def test_killed_and_resumed_every_row_is_there_once(tmp_path):
    n_rows = 60_000
    matrix = vectors(n_rows, 64)
    table = pa.table({"number": np.arange(n_rows), "vector": as_list(matrix)})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=2000)
    (tmp_path / "script.py").write_text(SCRIPT)
    args = [sys.executable, str(tmp_path / "script.py"), str(tmp_path / "a.parquet"), str(tmp_path / "out")]
    process = subprocess.Popen(args, start_new_session=True, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not list((tmp_path / "out").glob("*/*/task.json")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=30)
    process.stderr.close()
    done = subprocess.run(args, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    (folder,) = outputs(tmp_path / "out")
    manifest = json.loads((notes(folder) / "manifest.json").read_text())
    paths = [folder / entry["path"] for segment in manifest["segments"] for entry in segment["files"]]
    assert sorted(path for path in folder.rglob("*.parquet")) == sorted(paths)
    numbers = pa.concat_tables([pq.read_table(path) for path in paths])["number"].to_pylist()
    assert numbers == list(range(n_rows))


def run_in_turn(tmp_path: Path, given: str, between: Callable[[], object], **settings: Any) -> None:
    """Convert in ranges, one after another, and do something behind the first."""

    def spread(jobs: Sequence[RangeJob]) -> Iterator[RangeResult]:
        for i, job in enumerate(jobs):
            yield run_range(job)
            if i == 0:
                between()

    plan = prepare(given, ConvertOptions.of(segment_size=SIZE, **settings))
    run_ranges(plan, tmp_path / "out", spread, n_workers=3)


def test_inputs_that_change_on_the_way_are_noticed(tmp_path):
    for i in (1, 2):
        write(tmp_path / f"p{i}.parquet", N_ROWS // 2, start=i * N_ROWS, row_group_size=1000)
    for change in (lambda: write(tmp_path / "p0.parquet", 500), lambda: write(tmp_path / "p2.parquet", 10)):
        with pytest.raises(StoreError, match="inputs have changed"):
            run_in_turn(tmp_path, str(tmp_path / "p*.parquet"), change)
        manifests = list((tmp_path / "out").glob("*/manifest.json"))
        assert manifests == []
        (tmp_path / "p0.parquet").unlink(missing_ok=True)


def test_rejected_text_may_hold_any_line_end(tmp_path):
    for i in range(2):
        rows = [{"id": i * 10 + k, "text": "a\u2028b\x85c" * 30, "vector": [k, 1.0, 2.0]} for k in range(4)]
        rows[1]["text"] = "fits\u2029"
        (tmp_path / f"{i}.jsonl").write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
    schema = {
        "fields": [
            {"name": "id", "type": 5, "is_primary": True},
            {"name": "text", "type": 21, "params": {"max_length": 20}},
            {"name": "vector", "type": 101, "params": {"dim": 3}},
        ]
    }
    report = convert(str(tmp_path / "*.jsonl"), tmp_path / "out", schema=schema, on_error="skip", workers=2)
    assert (report.rows, report.rows_rejected) == (2, 6)
    told = [json.loads(line) for line in Path(report.rejects).read_text().split("\n")[:-1]]
    assert [line["source_row"] for line in told] == [0, 2, 3, 4, 6, 7]
