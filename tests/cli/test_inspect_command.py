"""vecmill inspect and vecmill schema: what they print."""

from __future__ import annotations

import json
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pymilvus import DataType as PymilvusType
from pymilvus import MilvusClient

from commands import error_line, on_a_terminal, run_vecmill
from outputs import notes
from paths import SAMPLE
from vecmill.cli.inspect import bars
from vecmill.schema.reading import as_schema


def test_inspect_prints_tables_for_people(tmp_path):
    done = run_vecmill("inspect", SAMPLE, "-n", "1")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[:2] == [str(SAMPLE), f"2,000 rows, 6 columns, {SAMPLE.stat().st_size / 1e6:.1f} MB"]
    assert lines[2].split() == ["column", "type", "dim", "nulls", "measure", "least", "mean", "most", "histogram"]
    assert lines[3].split()[:5] == ["id", "int64", "0", "value", "1"]
    assert lines[8].split()[:6] == ["vector", "list<element:", "float>", "384", "0", "norm"]
    assert lines[9:12] == ["row 0", "  id: 1", "  name: boto3"]
    assert "\x1b" not in done.stdout


def test_inspect_on_a_narrow_terminal_cuts_nothing_off(tmp_path):
    wide = run_vecmill("inspect", SAMPLE, "-n", "0").stdout.splitlines()[3:]
    code, _, shown = on_a_terminal("stdout", 80, "inspect", SAMPLE, "-n", "0", term="dumb")
    assert code == 0
    assert "…" not in shown
    lines = shown.splitlines()
    assert max(map(len, lines)) <= 80
    at = lines.index("vector  list<element: float>")
    assert lines[at + 1] == "  dim 384, nulls 0, norm 1 to 1, mean 1"
    assert [lines[at + 2].strip()] == wide[-1].split()[-1:]
    assert "  nulls 0, bytes 2 to 44, mean 12.78" in lines
    assert [line.split()[-1] for line in wide] == [line.strip() for line in lines if line.strip()[:1] in "▁▂▃▄▅▆▇█"]


def test_inspect_as_json(tmp_path):
    np.save(tmp_path / "emb.npy", np.eye(4, dtype=np.float32))
    done = run_vecmill("inspect", tmp_path / "emb.npy", "--json", "--limit", "2")
    found = json.loads(done.stdout)
    assert (found["rows"], found["rows_read"]) == (4, 2)
    assert found["columns"][0]["mean"] == 1.0


def test_markup_in_names_is_shown_as_it_is(tmp_path):
    pq.write_table(pa.table({"[bold]x": ["[red]y"]}), tmp_path / "t.parquet")
    done = run_vecmill("inspect", tmp_path / "t.parquet")
    assert "[bold]x" in done.stdout
    assert "[bold]x: [red]y" in done.stdout


def test_bars():
    assert bars((0, 1, 50, 100)) == "·▂▅█"
    assert bars(()) == ""


def test_inspect_of_nothing_and_of_something_else(tmp_path):
    assert run_vecmill("inspect").returncode == 2
    done = run_vecmill("inspect", tmp_path / "nowhere.parquet")
    assert done.returncode == 1
    assert "no such file" in error_line(done)


def test_schema_infer_checks_key_candidates(tmp_path):
    table = pa.table({"id": [1, 2, 1], "doc": ["a", "b", "c"], "note": [None, "x", "y"], "v": [[1.0], [2.0], [3.0]]})
    pq.write_table(table, tmp_path / "t.parquet")
    done = run_vecmill("schema", "infer", tmp_path / "t.parquet")
    assert done.returncode == 0
    lines = done.stderr.splitlines()
    assert lines[-2:] == [
        "key candidate id (the primary key): 1 rows repeat a value, the first is row 2, as row 0",
        "key candidate doc: no value comes twice",
    ]
    again = run_vecmill("schema", "infer", tmp_path / "t.parquet", "--limit", "2", "--primary", "doc")
    assert "key candidate id: no value comes twice" in again.stderr
    assert json.loads(again.stdout)["fields"][1]["is_primary"]
    quiet = run_vecmill("schema", "infer", tmp_path / "t.parquet", "-q")
    assert quiet.stderr == ""
    assert json.loads(quiet.stdout) == json.loads(done.stdout)


def test_schema_show(tmp_path):
    raw = {
        "fields": [
            {"name": "id", "type": 5, "is_primary": True},
            {"name": "text", "type": 21, "params": {"max_length": 99}, "nullable": True},
            {"name": "v", "type": 101, "params": {"dim": 8}},
        ],
        "enable_dynamic_field": True,
    }
    (tmp_path / "schema.json").write_text(json.dumps(raw))
    done = run_vecmill("schema", "show", tmp_path / "schema.json")
    assert done.stdout.splitlines() == [
        "id    INT64                        primary",
        "text  VARCHAR       max_length=99  nullable",
        "v     FLOAT_VECTOR  dim=8",
        "with a dynamic field",
    ]
    as_json = run_vecmill("schema", "show", tmp_path / "schema.json", "--json")
    assert as_schema(json.loads(as_json.stdout)) == as_schema(raw)
    report = json.loads(run_vecmill("convert", SAMPLE, tmp_path / "out", "--json").stdout)
    for path in (report["data_path"], str(notes(report["data_path"]) / "manifest.json")):
        assert "FLOAT_VECTOR  dim=384" in run_vecmill("schema", "show", path).stdout
    assert run_vecmill("schema", "show", tmp_path / "nowhere.json").returncode == 2


def test_schema_fetch_reads_a_live_collection(milvus, tmp_path):
    client = MilvusClient(uri=milvus.uri)
    schema = client.create_schema(enable_dynamic_field=True)
    schema.add_field("key", PymilvusType.VARCHAR, is_primary=True, max_length=77)
    schema.add_field("vector", PymilvusType.FLOAT_VECTOR, dim=12)
    schema.add_field("bits", PymilvusType.JSON)
    client.create_collection("fetched", schema=schema)
    try:
        done = run_vecmill("schema", "fetch", "--uri", milvus.uri, "fetched")
        assert done.returncode == 0, done.stderr
        (tmp_path / "schema.json").write_text(done.stdout)
        got = as_schema(str(tmp_path / "schema.json"))
        assert got == as_schema(schema)
        assert got.enable_dynamic_field
        missing = run_vecmill("schema", "fetch", "--uri", milvus.uri, "nowhere")
        assert missing.returncode == 1
        assert "nowhere" in error_line(missing)
    finally:
        client.drop_collection("fetched")
        client.close()


def test_schema_fetch_from_no_server():
    done = run_vecmill("schema", "fetch", "--uri", "http://127.0.0.1:9", "x")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("args", [["schema"], ["schema", "fetch", "x"], ["inspect", "x", "--limit", "0"]])
def test_usage_errors(args):
    done = run_vecmill(*args, env={name: value for name, value in os.environ.items() if "MILVUS" not in name})
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
