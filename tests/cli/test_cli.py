"""The command line: what is printed where, exit codes, and one line per error."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

from commands import error_line, on_a_terminal, run_vecmill
from conversions import bad_dim
from paths import SAMPLE
from vecmill.cli import app
from vecmill.cli.convert import resume_command
from vecmill.cli.options import parse_columns, parse_size, size_text
from vecmill.schema.reading import as_schema
from vecmill.version import __version__

KINDS = {
    "npy": "NPY set", "parquet": "Parquet file", "json": "JSON file", "jsonl": "JSONL file", "csv": "CSV file",
}  # fmt: skip

# -- convert ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("to", ["npy", "parquet", "json", "jsonl", "csv"])
def test_convert_prints_a_summary_and_no_bar_without_a_terminal(tmp_path, to):
    done = run_vecmill("convert", SAMPLE, tmp_path / "out", "--to", to)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "schema, inferred from the data:"
    assert lines[-2].startswith(f"2,000 rows in 1 {KINDS[to]}, ")
    assert Path(lines[-1]).is_dir()
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("to", ["npy", "parquet"])
def test_json_is_the_only_document_on_stdout(tmp_path, to):
    done = run_vecmill("convert", SAMPLE, tmp_path / "out", "--to", to, "--json", "--segment-size", "1MB")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert report["rows"] == 2000
    assert report["inferred"] is True
    assert len(report["files"]) > 1
    paths = [Path(path) for group in report["files"] for path in group]
    assert sum(path.stat().st_size for path in paths) == report["bytes_out"]
    vector = [
        np.load(p) if to == "npy" else pq.read_table(p)["vector"] for p in paths if to != "npy" or p.stem == "vector"
    ]
    assert sum(map(len, vector)) == 2000


def test_quiet_prints_nothing(tmp_path):
    done = run_vecmill("convert", SAMPLE, tmp_path / "out", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_columns_schema_and_primary(tmp_path):
    np.save(tmp_path / "emb.npy", np.ones((2000, 4), np.float32))
    done = run_vecmill(
        "convert", SAMPLE, tmp_path / "out", "--json", "--primary", "title",
        "--map", "title=name", "--map", "summary", "-m", f"vector={tmp_path / 'emb.npy'}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    fields = json.loads(done.stdout)["schema"]["fields"]
    assert [one["name"] for one in fields] == ["title", "summary", "vector"]
    assert fields[0]["is_primary"]


def test_one_matrix_needs_no_source(tmp_path):
    np.save(tmp_path / "emb.npy", np.ones((10, 4), np.float32))
    done = run_vecmill("convert", tmp_path / "out", "--map", f"vector={tmp_path / 'emb.npy'}", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"] == 10


def test_a_schema_that_was_printed_and_changed_is_taken(tmp_path):
    printed = run_vecmill("schema", "infer", SAMPLE)
    assert printed.returncode == 0
    assert "vector: list<element: float> -> FLOAT_VECTOR dim 384" in printed.stderr
    raw = json.loads(printed.stdout)
    raw["fields"][1]["params"]["max_length"] = 99
    (tmp_path / "schema.json").write_text(json.dumps(raw))
    done = run_vecmill("convert", SAMPLE, tmp_path / "out", "--schema", tmp_path / "schema.json", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["schema"]["fields"][1]["params"] == {"max_length": 99}
    assert report["inferred"] is False
    assert as_schema(report["schema"]) == as_schema(raw)


# -- refusals ---------------------------------------------------------------------------------------------------------


def test_bad_data_exit_1_with_file_and_row(tmp_path):
    done = run_vecmill("convert", bad_dim(tmp_path / "in"), tmp_path / "out")
    assert done.returncode == 1
    assert done.stdout == ""
    line = error_line(done)
    assert f"file '{tmp_path / 'in' / '2.parquet'}', field 'vector', row 30: expected 4 float32 values" in line
    assert line.endswith("; nothing was published")


def test_errors_as_json(tmp_path):
    done = run_vecmill("convert", bad_dim(tmp_path / "in"), tmp_path / "out", "--json")
    assert done.returncode == 1
    error_line(done)
    error = json.loads(done.stdout)["error"]
    assert (error["type"], error["row"], error["field"]) == ("DataError", 30, "vector")
    assert error["file"] == str(tmp_path / "in" / "2.parquet")
    assert error["notes"] == ["nothing was published"]


def test_a_missing_source_exits_1(tmp_path):
    done = run_vecmill("convert", tmp_path / "nowhere.parquet", tmp_path / "out")
    assert done.returncode == 1
    assert error_line(done) == f"error: {tmp_path / 'nowhere.parquet'}: no such file or directory"


def test_a_corrupt_source_exits_1(tmp_path):
    (tmp_path / "bad.parquet").write_bytes(SAMPLE.read_bytes()[:5000])
    done = run_vecmill("schema", "infer", tmp_path / "bad.parquet")
    assert done.returncode == 1
    assert "bad.parquet" in error_line(done)


def test_a_folder_that_cannot_be_written_exits_1(tmp_path):
    (tmp_path / "out").write_text("in the way")
    done = run_vecmill("convert", SAMPLE, tmp_path / "out")
    assert done.returncode == 1
    error_line(done)


def test_a_bad_schema_exits_2(tmp_path):
    (tmp_path / "schema.json").write_text('{"fields": [{"name": "id", "type": "Int65"}]}')
    for path in (tmp_path / "schema.json", tmp_path / "nowhere.json"):
        done = run_vecmill("convert", SAMPLE, tmp_path / "out", "--schema", path)
        assert done.returncode == 2
        error_line(done)


def test_data_that_no_schema_can_be_inferred_from_exit_2(tmp_path):
    np.save(tmp_path / "v.npy", np.full((3, 8), 7, np.uint8))
    done = run_vecmill("convert", tmp_path / "v.npy", tmp_path / "out")
    assert done.returncode == 2
    assert "--schema" in error_line(done)


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["convert"],
        ["convert", "only-one"],
        ["convert", SAMPLE, "out", "--to", "tsv"],
        ["convert", SAMPLE, "out", "--segment-size", "12 parsecs"],
        ["convert", SAMPLE, "out", "--kind", "abacus"],
        ["convert", SAMPLE, "out", "--type", "id=number"],
        ["inspect", SAMPLE, "--kind", "abacus"],
        ["validate"],
        ["validate", SAMPLE, "--target", "1.0"],
        ["upload", SAMPLE, "nope://bucket"],
        ["import", SAMPLE, "--collection", "c"],
        ["schema", "show", "nowhere.json"],
        ["convert", SAMPLE, "out", "--map", "=x"],
        ["convert", SAMPLE, "out", "--map", "a=x", "--map", "a=y"],
        ["convert", SAMPLE, "out", "--what"],
        ["schema"],
        ["schema", "infer"],
        ["inspect"],
        ["nonsense"],
    ],
    ids=lambda args: " ".join(map(str, args[:1] + args[2:])),
)
def test_usage_errors_exit_2(tmp_path, args):
    done = run_vecmill(*args, cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


# -- terminal, help, interrupts ---------------------------------------------------------------------------------------


def test_the_bar_is_on_stderr_and_only_on_a_terminal(tmp_path):
    code, stdout, shown = on_a_terminal("stderr", 100, "convert", SAMPLE, tmp_path / "out", "--json")
    assert code == 0
    assert "2,000 of 2,000 rows" in shown
    assert "rows/s" in shown
    assert "MB/s" in shown
    assert json.loads(stdout)["rows"] == 2000
    code, stdout, shown = on_a_terminal("stderr", 100, "convert", SAMPLE, tmp_path / "out", "--quiet")
    assert (code, stdout, shown) == (0, "", "")


def test_an_interrupt_exits_130_and_says_what_is_safe(tmp_path):
    shape = (400_000, 768)  # 1.2 GB of zeros that take no space on disk
    np.lib.format.open_memmap(tmp_path / "vector.npy", mode="w+", dtype=np.float32, shape=shape)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "vecmill", "convert"),
            *(tmp_path / "vector.npy", tmp_path / "out", "--segment-size", "8MB"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 30
    while not list(tmp_path.glob("out/*/2.parquet")):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert stdout == ""
    (line,) = stderr.splitlines()
    assert line.startswith("error: interrupted; published and whole: the first ")
    n_safe = int(line.split()[7])
    files = list(tmp_path.glob("out/*/*.parquet"))
    assert sum(pq.ParquetFile(path).metadata.num_rows for path in files) == n_safe
    again = line.rpartition("; go on with: ")[2]
    assert again == f"vecmill convert --resume {tmp_path / 'vector.npy'} {tmp_path / 'out'} --segment-size 8MB"


def test_the_command_that_goes_on():
    assert resume_command(["convert", "a b", "out", "--resume"]) == "vecmill convert 'a b' out --resume"
    assert resume_command(["convert", "--", "-x", "out"]) == "vecmill convert --resume -- -x out"
    assert resume_command(["convert", *(f"{i}.parquet" for i in range(99)), "out"]) == "the same command with --resume"


def test_help_and_version():
    runner = CliRunner()
    done = runner.invoke(app, ["--help"])
    assert done.exit_code == 0
    assert "convert" in done.stdout
    assert "schema" in done.stdout
    done = runner.invoke(app, ["convert", "--help"])
    assert done.exit_code == 0
    for word in ("SRC", "DST", "--to", "--schema", "--segment-size", "--map", "--primary", "--json", "--quiet"):
        assert word in done.stdout
    done = runner.invoke(app, ["--version"])
    assert done.exit_code == 0
    assert done.stdout == f"vecmill {__version__}\n"


def test_the_runner_sees_the_same_codes(tmp_path):
    runner = CliRunner()
    assert runner.invoke(app, ["convert", str(SAMPLE), str(tmp_path / "out"), "-q"]).exit_code == 0
    assert runner.invoke(app, ["convert", str(tmp_path / "nowhere"), str(tmp_path / "out")]).exit_code == 1
    assert runner.invoke(app, ["convert"]).exit_code == 2


# -- options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("100000", 100_000),
        ("512MB", 512_000_000),
        ("512 mb", 512_000_000),
        ("1GiB", 1 << 30),
        ("1.5k", 1536),
        ("64M", 64 << 20),
        ("2T", 2 << 40),
        ("7B", 7),
    ],
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MB", "-5", "1 2", "5x", "0", "0.1B", "1e9", "nan"])
def test_sizes_that_are_none(text):
    with pytest.raises(typer.BadParameter):
        parse_size(text)


def test_columns():
    assert parse_columns([]) is None
    assert parse_columns(["a=b", "c", "*", "v=x=y.npy"]) == {"a": "b", "c": "c", "*": "*", "v": "x=y.npy"}


def test_sizes_for_people():
    assert [size_text(n) for n in (0, 999, 1000, 3_531_000, 5 * 10**9, 10**13)] == [
        "0 B", "999 B", "1.0 kB", "3.5 MB", "5.0 GB", "10.0 TB",
    ]  # fmt: skip
