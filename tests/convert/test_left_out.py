"""Columns that are left out: those that are not wanted are not looked at, those without a value are told of."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from converted import rows, schema, vectors
from vecmill import DataType, convert
from vecmill.cli import app
from vecmill.errors import DataError, SchemaError
from vecmill.sources import open_source


def table(n=3, **more):
    return pa.table({"id": list(range(n)), "v": vectors(n), **more})


# -- without a value --------------------------------------------------------------------------------------------------


def test_a_column_without_a_value_is_left_out_with_a_note(tmp_path):
    pq.write_table(table(error=pa.nulls(3)), tmp_path / "a.parquet")
    (tmp_path / "a.jsonl").write_text('{"id":1,"v":[0.5,1,2,3],"error":null}\n{"id":2,"v":[0.5,1,2,3],"error":null}\n')
    frame = pd.DataFrame({"id": [1, 2], "v": [[0.5, 1, 2, 3]] * 2, "error": [None, None]})
    for src in (tmp_path / "a.parquet", tmp_path / "a.jsonl", frame, pa.Table.from_pandas(frame)):
        report = convert(src, tmp_path / "out")
        assert "error: left out, it has no value" in report.notes
        assert [field["name"] for field in report.schema["fields"]] == ["id", "v"]
    for given in (schema(), None):
        assert "error: left out, it has no value" in convert(tmp_path / "a.parquet", tmp_path / "o", schema=given).notes


def test_the_command_line_tells_of_it(tmp_path):
    pq.write_table(table(error=pa.nulls(3)), tmp_path / "a.parquet")
    (tmp_path / "s.json").write_text(json.dumps(schema().to_dict()))
    for more in ([], ["--schema", str(tmp_path / "s.json")]):
        done = CliRunner().invoke(app, ["convert", str(tmp_path / "a.parquet"), str(tmp_path / "out"), *more])
        assert done.exit_code == 0, done.output
        assert "error: left out, it has no value" in done.output
    done = CliRunner().invoke(app, ["schema", "infer", str(tmp_path / "a.parquet")])
    assert "error: left out, it has no value" in done.stderr


def test_the_dynamic_field_and_fields_of_the_schema_keep_it(tmp_path):
    pq.write_table(table(error=pa.nulls(3)), tmp_path / "a.parquet")
    dynamic = convert(tmp_path / "a.parquet", tmp_path / "dynamic", schema=schema(dynamic=True))
    assert rows(dynamic)[0]["$meta"] == '{"error":null}'
    field = ("error", DataType.VARCHAR, {"max_length": 9, "nullable": True})
    assert rows(convert(tmp_path / "a.parquet", tmp_path / "field", schema=schema(field)))[0]["error"] is None


def test_a_value_that_comes_late_is_not_lost(tmp_path):
    lines = [f'{{"id":{i},"v":[0.5,1,2,3],"error":null}}' for i in range(1500)]
    lines[1400] = '{"id":1400,"v":[0.5,1,2,3],"error":"boom"}'
    src = tmp_path / "a.jsonl"
    src.write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"a\.jsonl.*'error', row 1400"):
        convert(src, tmp_path / "out")
    report = convert(src, tmp_path / "skip", on_error="skip")
    assert (report.rows, report.rows_rejected) == (1499, 1)


def test_a_value_in_another_file_keeps_the_column(tmp_path):
    pq.write_table(table(error=pa.nulls(3)), tmp_path / "a.parquet")
    pq.write_table(table(error=pa.array([None, "x", None])), tmp_path / "b.parquet")
    got = rows(convert(tmp_path, tmp_path / "out", id_from="row", drop=["id"]))
    assert [row["error"] for row in got] == [None, None, None, None, "x", None]


# -- dropped ----------------------------------------------------------------------------------------------------------


def test_dropped_columns_are_not_written_nor_looked_at(tmp_path):
    odd = pa.array([(1, 2, 3)] * 3, pa.month_day_nano_interval())
    pq.write_table(table(a_1=["x"] * 3, a_2=["y"] * 3, keep=[1] * 3), tmp_path / "a.parquet")
    with pa.ipc.new_file(tmp_path / "a.arrow", table(odd=odd).schema) as writer:
        writer.write_table(table(odd=odd))
    report = convert(tmp_path / "a.parquet", tmp_path / "out", drop=["a_*"])
    assert [field["name"] for field in report.schema["fields"]] == ["id", "v", "keep"]
    report = convert(tmp_path / "a.arrow", tmp_path / "out", drop=["odd"])
    assert [field["name"] for field in report.schema["fields"]] == ["id", "v"]
    strict = convert(tmp_path / "a.parquet", tmp_path / "strict", schema=schema(), drop=["a_*", "keep"])
    assert set(rows(strict)[0]) == {"id", "v"}


def test_dropped_columns_of_text_and_of_joined_inputs(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"id":1,"v":[0.5,1,2,3],"x":1}\n')
    (tmp_path / "a.csv").write_text('id,v,x\n1,"[0.5,1,2,3]",1\n')
    for name in ("a.jsonl", "a.csv"):
        report = convert(tmp_path / name, tmp_path / "out", drop=["x"])
        assert [field["name"] for field in report.schema["fields"]] == ["id", "v"]
    np.save(tmp_path / "w.npy", np.zeros((1, 4), np.float32))
    report = convert(tmp_path / "a.jsonl", tmp_path / "out", join=[tmp_path / "w.npy"], drop=["v", "x"])
    assert [field["name"] for field in report.schema["fields"]] == ["id", "w"]


def test_a_name_that_no_column_has_is_an_error(tmp_path):
    pq.write_table(table(), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"expected a column 'x\*' to leave out, got columns 'id', 'v'"):
        convert(tmp_path / "a.parquet", tmp_path / "out", drop=["x*"])
    done = CliRunner().invoke(app, ["convert", str(tmp_path / "a.parquet"), str(tmp_path / "out"), "--drop", "V"])
    assert done.exit_code != 0
    assert "'V' to leave out" in done.output


# -- arrays that are not selected -------------------------------------------------------------------------------------


def test_arrays_that_are_not_wanted_may_be_anything(tmp_path):
    emb = np.arange(8, dtype=np.float32).reshape(2, 4)
    np.savez(
        tmp_path / "a.npz",
        emb=emb,
        names=np.array([{"a": 1}, None], object),
        long=np.zeros(5),
        cube=np.zeros((2, 2, 2)),
    )
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["emb"] = emb
        file["scalar"] = 5
        file["long"] = np.zeros(5)
        file["ragged"] = np.array([np.zeros(1), np.zeros(2)], dtype=h5py.vlen_dtype(np.float64))
    for src in (tmp_path / "a.npz", tmp_path / "a.h5"):
        report = convert(src, tmp_path / "out", columns=["emb"])
        assert [list(row["emb"]) for row in rows(report)] == emb.tolist()
        there = {"a.npz": ["names", "long", "cube"], "a.h5": ["scalar", "long", "ragged"]}[src.name]
        assert [c.name for c in open_source(src, columns=["emb"]).columns] == ["emb"]
        assert [list(row["emb"]) for row in rows(convert(src, tmp_path / "out", drop=there))] == emb.tolist()
    with pytest.raises(DataError, match=r"names.*pickled Python objects"):
        convert(tmp_path / "a.npz", tmp_path / "out")
    with pytest.raises(DataError, match=r"scalar.*shape"):
        convert(tmp_path / "a.h5", tmp_path / "out", columns=["emb", "scalar"])


def test_columns_of_one_name_do_not_meet_where_neither_is_selected(tmp_path):
    pq.write_table(table(1, m=[7]).drop_columns("v"), tmp_path / "a.parquet")
    pq.write_table(table(1), tmp_path / "b.parquet")
    report = convert(
        tmp_path / "a.parquet", tmp_path / "out", join=[tmp_path / "b.parquet"], columns=["m", "v"], id_from="row"
    )
    assert [(row["m"], list(row["v"])) for row in rows(report)] == [(7, [0.0] * 4)]
    with pytest.raises(SchemaError, match=r"both have 'id'; select columns without it \(--map"):
        convert(tmp_path / "a.parquet", tmp_path / "out", join=[tmp_path / "b.parquet"])
