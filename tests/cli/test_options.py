"""vecmill convert: its options, one by one, from the command line."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from commands import error_line, run_vecmill
from conversions import bad_dim
from outputs import notes
from paths import SAMPLE
from vecmill.cli import app
from vecmill.cli.convert import WriteFlags
from vecmill.convert import job
from vecmill.output_formats import FORMATS


def test_options_that_reshape(tmp_path):
    np.save(tmp_path / "emb.npy", np.arange(80, dtype=np.float32).reshape(20, 4) + 1)
    pq.write_table(pa.table({"name": [f"n{i}" for i in range(20)]}), tmp_path / "meta.parquet")
    done = run_vecmill(
        *("convert", tmp_path / "meta.parquet", tmp_path / "out", "--join", tmp_path / "emb.npy", "--json"),
        *("--id-from", "row", "--skip", "5", "--limit", "3", "--normalize", "emb", "--scale", "emb=2"),
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    back = pq.read_table(report["files"][0][0])
    assert back["id"].to_pylist() == [5, 6, 7]
    assert back["name"].to_pylist() == ["n5", "n6", "n7"]
    lengths = np.linalg.norm(np.array(back["emb"].to_pylist()), axis=1)
    np.testing.assert_allclose(lengths, 2, rtol=1e-6)


@pytest.mark.parametrize("args", [["--skip", "-1"], ["--scale", "v"], ["--scale", "v=nan"], ["--cast", "wild"]])
def test_reshaping_options_that_are_none(tmp_path, args):
    done = run_vecmill("convert", SAMPLE, tmp_path / "out", *args)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_rejects_and_resume(tmp_path):
    source = bad_dim(tmp_path / "in")
    done = run_vecmill("convert", source, tmp_path / "out", "--on-error", "skip")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-2] == f"1 rows rejected, see {notes(lines[-1])}/rejects.jsonl"
    again = run_vecmill("convert", source, tmp_path / "out", "--on-error", "skip", "--resume", "--json")
    report = json.loads(again.stdout)
    assert (report["data_path"], report["rows_resumed"], report["rows_rejected"]) == (lines[-1], 99, 1)


def test_duplicates(tmp_path):
    np.save(tmp_path / "id.npy", np.array([5, 6, 5]))
    np.save(tmp_path / "v.npy", np.ones((3, 4), np.float32))
    files = (tmp_path / "id.npy", tmp_path / "v.npy")
    done = run_vecmill("convert", *files, tmp_path / "out", "--check-duplicates")
    assert done.returncode == 1
    assert "row 2: expected a primary key that no other row has, got 5, as in row 0" in error_line(done)
    done = run_vecmill("convert", *files, tmp_path / "out", "--keep", "last", "--json")
    report = json.loads(done.stdout)
    assert pq.read_table(report["files"][0][0])["id"].to_pylist() == [6, 5]
    assert report["rows_rejected"] == 1


# -- options of the written format -------------------------------------------------------------------------------------


def test_compression_of_parquet(tmp_path):
    options = ("--compression", "zstd", "--compression-level", "3", "--json")
    done = run_vecmill("convert", SAMPLE, tmp_path / "out", *options)
    assert done.returncode == 0, done.stderr
    ((path,),) = json.loads(done.stdout)["files"]
    group = pq.ParquetFile(path).metadata.row_group(0)
    assert {group.column(i).compression for i in range(group.num_columns)} == {"ZSTD"}
    assert pq.read_table(path).num_rows == pq.read_table(SAMPLE).num_rows


def test_separator_and_null_of_csv(tmp_path):
    pq.write_table(pa.table({"id": [1, 2], "n": pa.array([None, 3]), "v": [[0.5, 1.0]] * 2}), tmp_path / "a.parquet")
    options = ("--to", "csv", "--sep", "tab", "--nullkey", "\\N")
    done = run_vecmill("convert", tmp_path / "a.parquet", tmp_path / "out", *options, "--validate", "full", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert Path(report["files"][0][0]).read_text().splitlines()[1] == '1\t\\N\t"[0.5,1.0]"'
    back = run_vecmill("inspect", report["data_path"], "--json")
    assert [column["nulls"] for column in json.loads(back.stdout)["columns"]] == [0, 1, 0]
    again = run_vecmill("convert", tmp_path / "a.parquet", tmp_path / "out", *options, "--resume", "--json")
    assert json.loads(again.stdout)["rows_resumed"] == 2
    other = run_vecmill("convert", tmp_path / "a.parquet", tmp_path / "out", "--to", "csv", "--resume", "--json")
    assert json.loads(other.stdout)["rows_resumed"] == 0


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--to", "csv", "--compression", "zstd"], "--compression: is for --to parquet, not csv"),
        (["--compression-level", "3"], "--compression-level: is for --compression zstd"),
        (["--compression", "snappy", "--compression-level", "3"], "--compression-level: is for --compression zstd"),
        (["--compression", "zstd", "--compression-level", "23"], "--compression-level"),
        (["--compression", "brotli"], "'brotli'"),
        (["--sep", ";"], "--sep: is for --to csv, not parquet"),
        (["--to", "jsonl", "--nullkey", "x"], "--nullkey: is for --to csv, not jsonl"),
        (["--to", "csv", "--sep", ";;"], "--sep: sep is ';;', expected one character"),
        (["--to", "csv", "--nullkey", "1"], "config 'nullkey' is '1', expected text on one line"),
    ],
)
def test_options_of_a_format_that_it_does_not_take(tmp_path, args, message):
    done = run_vecmill("convert", SAMPLE, tmp_path / "out", *args)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_every_option_of_a_format_can_be_given():
    known = {key for one in FORMATS.values() for key in one.options}
    assert known <= {one.name for one in fields(WriteFlags)}


# -- dry run, completion, debug ---------------------------------------------------------------------------------------


def test_a_dry_run_says_what_would_be_and_writes_nothing(tmp_path):
    np.save(tmp_path / "emb.npy", np.ones((50_000, 8), np.float64))
    options = ("--id-from", "row", "--normalize", "emb", "--to", "npy", "--segment-size", "1MB")
    done = run_vecmill("convert", tmp_path / "emb.npy", tmp_path / "out", *options, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "out").exists()
    lines = done.stdout.splitlines()
    assert lines[0].startswith("would read 50,000 rows, 3.2 MB")
    assert lines[1].startswith("would write about 2.0 MB in 3 segments, NUMPY of 1.0 MB each, to a new folder in ")
    assert lines[2].split() == ["id", "int64", "->", "INT64", "(from", "the", "row's", "number)"]
    assert lines[3].split()[0] == "emb"
    assert lines[3].endswith(" -> FLOAT_VECTOR dim 8; scaled to length 1")
    assert lines[-1] == "the first 4,096 rows were tried, and fit"
    real = json.loads(run_vecmill("convert", tmp_path / "emb.npy", tmp_path / "out", *options, "--json").stdout)
    told = json.loads(
        run_vecmill("convert", tmp_path / "emb.npy", tmp_path / "x", *options, "--dry-run", "--json").stdout
    )
    assert told["segments"] == len(real["files"])
    assert told["bytes_out"] == pytest.approx(real["bytes_out"], rel=0.01)
    assert told["schema"] == real["schema"]


def test_a_dry_run_finds_bad_rows_among_the_first(tmp_path):
    source = bad_dim(tmp_path / "in")
    assert run_vecmill("convert", source, tmp_path / "out", "--dry-run").returncode == 1
    done = run_vecmill("convert", source, tmp_path / "out", "--dry-run", "--on-error", "skip")
    assert done.stdout.splitlines()[-1] == "the first 100 rows were tried: 1 would be rejected"


def test_completion_for_shells():
    for shell in ("bash", "zsh", "fish"):
        done = run_vecmill("--show-completion", shell)
        assert done.returncode == 0, done.stderr
        assert "vecmill" in done.stdout.lower()


def test_debug_shows_where_an_error_comes_from(tmp_path):
    done = run_vecmill("convert", tmp_path / "nowhere", tmp_path / "out", "--debug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: ")


def test_an_error_that_nobody_expected_is_one_line(monkeypatch, tmp_path):
    def broken(*args):
        raise RuntimeError("a bug")

    monkeypatch.setattr(job, "prepare", broken)
    done = CliRunner().invoke(app, ["convert", str(SAMPLE), str(tmp_path / "out")])
    assert done.exit_code == 1
    assert done.stderr.splitlines() == ["error: unexpected RuntimeError: a bug; --debug shows where"]


def test_a_target_that_does_not_read_the_files_exits_2(tmp_path):
    done = run_vecmill("convert", SAMPLE, tmp_path / "out", "--target", "2.2")
    assert done.returncode == 2
    assert "target '2.2' is not one of 2.3, 2.4" in error_line(done)
    two = tmp_path / "two.json"
    printed = run_vecmill("schema", "infer", SAMPLE)
    schema = json.loads(printed.stdout)
    schema["fields"].append({"name": "second", "type": 101, "params": {"dim": 4}})
    two.write_text(json.dumps(schema))
    done = run_vecmill("convert", SAMPLE, tmp_path / "out", "--schema", two, "--target", "2.3")
    assert done.returncode == 2
    assert "target 2.3 does not read several vector fields" in error_line(done)
    assert run_vecmill("convert", SAMPLE, tmp_path / "out", "--target", "2.3").returncode == 0


def test_an_engine_that_is_not_installed_is_told_with_its_extra(tmp_path, monkeypatch):
    monkeypatch.setattr("vecmill.cli.convert.find_spec", lambda _name: None)
    done = CliRunner().invoke(app, ["convert", str(SAMPLE), str(tmp_path / "out"), "--engine", "ray"])
    assert done.exit_code == 2
    assert "vecmill[ray]" in done.output
    assert not (tmp_path / "out").exists()
