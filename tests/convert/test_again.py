"""What vecmill wrote is a source like any other: every type, format and segment comes out as it went in."""

from __future__ import annotations

import json
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from outputs import notes
from vecmill import DataType as D
from vecmill import LocalBulkWriter, convert, create_schema
from vecmill.cli import app
from vecmill.errors import DataError, SchemaError, StoreError

N_ROWS = 100
FIELDS: dict[str, tuple[D, dict[str, Any], Any]] = {
    "flag": (D.BOOL, {}, lambda i: i % 2 == 0),
    "small": (D.INT8, {}, lambda i: i - 50),
    "int": (D.INT32, {}, lambda i: i * 1000),
    "float": (D.FLOAT, {}, lambda i: i / 3),
    "double": (D.DOUBLE, {}, lambda i: i / 7),
    "text": (D.VARCHAR, {"max_length": 50}, lambda i: f'text, "{i}" | \n ü NULL'),
    "json": (D.JSON, {}, lambda i: {"a": [i, None, "x"]}),
    "vector": (D.FLOAT_VECTOR, {"dim": 8}, lambda i: np.arange(8) * i / 3),
    "bits": (D.BINARY_VECTOR, {"dim": 16}, lambda i: bytes([i, 255 - i])),
    "half": (D.FLOAT16_VECTOR, {"dim": 4}, lambda i: np.arange(4) + i / 8),
    "brain": (D.BFLOAT16_VECTOR, {"dim": 4}, lambda i: np.arange(4) + i / 8),
    "bytes": (D.INT8_VECTOR, {"dim": 4}, lambda i: [i, -i, 0, 1]),
    "ints": (D.ARRAY, {"element_type": D.INT32, "max_capacity": 5}, lambda i: [i] * (i % 4 + 1)),
    "texts": (D.ARRAY, {"element_type": D.VARCHAR, "max_capacity": 5, "max_length": 20}, lambda i: [str(i), "ü"]),
    "sparse": (D.SPARSE_FLOAT_VECTOR, {}, lambda i: {i: 0.5, 7000 + i: 1 / 3}),
    "maybe": (D.VARCHAR, {"max_length": 50, "nullable": True}, lambda i: None if i % 3 == 0 else "x"),
    "time": (D.TIMESTAMPTZ, {}, lambda i: f"2024-01-01T00:00:{i % 60:02}Z"),
    "place": (D.GEOMETRY, {}, lambda i: f"POINT ({i} 2)"),
}
NOT_IN_NPY = ("ints", "texts", "sparse", "maybe", "time", "place")


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("form", ["parquet", "npy", "json", "jsonl", "csv"])
def test_an_output_converts_to_the_same_bytes(tmp_path, form, dynamic):
    names = [name for name in FIELDS if form != "npy" or name not in NOT_IN_NPY]
    schema = create_schema(enable_dynamic_field=dynamic)
    schema.add_field("id", D.INT64, is_primary=True)
    for name in names:
        schema.add_field(name, FIELDS[name][0], **FIELDS[name][1])
    config = {"sep": "|", "nullkey": "NULL"} if form == "csv" else None
    more = {"extra": 1, "else": "x"} if dynamic else {}
    with LocalBulkWriter(schema, tmp_path / "a", 2500, form, config) as writer:
        writer.append_rows([{"id": i, **{name: FIELDS[name][2](i) for name in names}, **more} for i in range(N_ROWS)])
    assert len(writer.batch_files) > 1
    whole = convert(writer.data_path, tmp_path / "b", file_type=form, segment_size=1 << 30, config=config)
    assert (whole.rows, whole.schema) == (N_ROWS, writer.manifest.schema)
    again = convert(whole.data_path, tmp_path / "c", file_type=form, segment_size=1 << 30, config=config)
    for first, second in zip(chain(*whole.files), chain(*again.files), strict=True):
        assert Path(first).read_bytes() == Path(second).read_bytes()
    if form == "jsonl":
        lines = [line for (path,) in writer.batch_files for line in Path(path).read_text().splitlines()]
        assert lines == Path(whole.files[0][0]).read_text().splitlines()


def test_a_segment_that_has_lost_rows_is_found(tmp_path):
    schema = create_schema()
    schema.add_field("id", D.INT64, is_primary=True)
    schema.add_field("vector", D.FLOAT_VECTOR, dim=4)
    with LocalBulkWriter(schema, tmp_path / "a", 1000, "jsonl") as writer:
        writer.append_rows([{"id": i, "vector": [i, 1, 2, 3]} for i in range(N_ROWS)])
    manifest = notes(writer.data_path) / "manifest.json"
    told = json.loads(manifest.read_text())
    told["segments"][1]["rows"] += 1
    manifest.write_text(json.dumps(told))
    with pytest.raises(DataError, match=r"2\.jsonl.*rows, as in manifest\.json"):
        convert(writer.data_path, tmp_path / "b")


def test_packed_bits_as_numbers_are_bytes(tmp_path):
    schema = create_schema()
    schema.add_field("id", D.INT64, is_primary=True)
    schema.add_field("bits", D.BINARY_VECTOR, dim=16)
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": 1, "bits": [1, 255]}\n{"id": 2, "bits": [2, 0]}\n')
    report = convert(path, tmp_path / "out", schema=schema, file_type="npy")
    assert np.load(report.files[0][1]).tolist() == [[1, 255], [2, 0]]
    path.write_text('{"id": 1, "bits": [1, 255]}\n{"id": 2, "bits": [2, 256]}\n')
    with pytest.raises(DataError) as caught:
        convert(path, tmp_path / "out", schema=schema, file_type="npy")
    assert (caught.value.field, caught.value.row, caught.value.got) == ("bits", 1, "256 at position 1")


def test_a_damaged_output_is_no_source(tmp_path):
    schema = create_schema()
    schema.add_field("id", D.INT64, is_primary=True)
    schema.add_field("vector", D.FLOAT_VECTOR, dim=4)
    with LocalBulkWriter(schema, tmp_path / "a", file_type="npy") as writer:
        writer.append_rows([{"id": i, "vector": [i, 1, 2, 3]} for i in range(N_ROWS)])
    path = Path(writer.batch_files[0][1])
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"vector\.npy.*checksum.*as in manifest\.json"):
        convert(writer.data_path, tmp_path / "b")


@pytest.mark.parametrize("given", [np.zeros((3, 4)), {"id": [1]}])
def test_arrays_in_memory_belong_to_a_writer(tmp_path, given):
    with pytest.raises(SchemaError, match="append_batch"):
        convert(given, tmp_path)


def test_a_destination_that_is_none(tmp_path):
    np.save(tmp_path / "vector.npy", np.zeros((3, 4), "f4"))
    with pytest.raises(StoreError, match="is a file"):
        convert(tmp_path / "vector.npy", tmp_path / "vector.npy", id_from="row")
    with pytest.raises(SchemaError, match="http://"):
        convert(tmp_path / "vector.npy", "http://127.0.0.1/x", id_from="row")
    with pytest.raises(DataError, match="another URL"):
        convert("http://127.0.0.1/vector.npy", tmp_path, id_from="row")
    report = convert(f"file://{tmp_path}/vector.npy", f"file://{tmp_path}/out", id_from="row")
    assert (report.rows, Path(report.data_path).parent) == (3, tmp_path / "out")


def test_all_rows_rejected_can_be_asked_again(tmp_path):
    np.save(tmp_path / "vector.npy", np.full((3, 4), np.nan, "f4"))
    for _ in range(2):
        report = convert(tmp_path / "vector.npy", tmp_path / "out", id_from="row", on_error="skip", resume=True)
        assert (report.rows, report.rows_rejected) == (0, 3)
    done = CliRunner().invoke(
        app, ["convert", str(tmp_path / "vector.npy"), str(tmp_path / "o"), "--id-from", "row", "--on-error", "skip"]
    )
    assert (done.exit_code, "none of 3 rows" in done.output) == (1, True)
