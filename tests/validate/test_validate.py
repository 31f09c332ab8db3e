"""`validate`: no false alarms on what writers write, cut files, places, the report."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pymilvus import CollectionSchema as TheirSchema
from pymilvus.bulk_writer import BulkFileType as TheirFileType
from pymilvus.bulk_writer import LocalBulkWriter as TheirWriter
from typer.testing import CliRunner

from buckets import new_bucket, param
from commands import run_vecmill
from faulty_files import VECTORS, D, json_list, npy, parquet, rows, saved, schema, text_file
from format_names import FORMATS
from outputs import notes_key
from servers.s3 import KEY, SECRET
from vecmill import (
    DataError,
    DataType,
    LocalBulkWriter,
    RemoteBulkWriter,
    SchemaError,
    StoreError,
    create_schema,
    validate,
)
from vecmill.cli import app
from vecmill.schema.servers import TARGETS

LEVELS = ("headers", "sample", "full")


def everything(form: str) -> tuple[Any, list[dict[str, Any]]]:
    """A schema with all that the format carries, and rows at the edges of what is legal."""
    made = create_schema(enable_dynamic_field=True)
    made.add_field("id", D.VARCHAR, is_primary=True, max_length=40)
    edges: dict[str, list[Any]] = {}

    def add(name: str, dtype: D, values: list[Any], **params: Any) -> None:
        made.add_field(name, dtype, **params)
        edges[name] = values

    add("b", D.BOOL, [True, False])
    for dtype, bits in ((D.INT8, 8), (D.INT16, 16), (D.INT32, 32), (D.INT64, 64)):
        add(dtype.name, dtype, [0, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1])
    add("f", D.FLOAT, [0.5, -3.4028234663852886e38, 1e-45])
    add("d", D.DOUBLE, [0.1, 1.7976931348623157e308, -5e-324])
    add("t", D.VARCHAR, ["", "x" * 12, "é" * 6, "🗼🗼🗼", 'a"b\\,\n'], max_length=12)
    add("j", D.JSON, [{}, {"a": [1, None, "é"]}, {"x": "y" * 60_000}])
    add("fv", D.FLOAT_VECTOR, [[1, 2, 3, 4], [3.4028234663852886e38] * 4], dim=4)
    add("bv", D.BINARY_VECTOR, [[0, 1] * 8], dim=16)
    add("hv", D.FLOAT16_VECTOR, [np.array([65504, -1, 0, 0.5], "f2")], dim=4)
    if form != "npy":
        add("s", D.SPARSE_FLOAT_VECTOR, [{0: 0.5, 4294967294: 3.0}, {7: 0.0}])
        add("a", D.ARRAY, [[], [1, -128, 127]], element_type=D.INT8, max_capacity=3)
        add("at", D.ARRAY, [["é"], ["a", "bc", ""]], element_type=D.VARCHAR, max_length=2, max_capacity=3)
        add("n", D.VARCHAR, [None, "x"], max_length=5, nullable=True)
    made_rows = [
        {"id": f"ключ {i}", "extra": i, **{name: values[i % len(values)] for name, values in edges.items()}}
        for i in range(60)
    ]
    return made, made_rows


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("form", FORMATS)
def test_no_false_alarm_on_our_writer(form, level, tmp_path):
    made, given = everything(form)
    with LocalBulkWriter(made, tmp_path, file_type=form) as writer:
        writer.append_rows(given)
    for target in (None, "2.6", "3.0"):
        report = validate(writer.data_path, target=target, level=level, sample_rows=20)
        assert [str(one) for one in report.findings] == []
        assert report.rows == (60 if level == "full" or form in ("npy", "parquet") else 0)


@pytest.mark.parametrize("form", ["npy", "parquet", "json", "csv"])
def test_no_false_alarm_on_pymilvus_writer(form, tmp_path):
    made, given = everything(form)
    kinds = {"npy": TheirFileType.NUMPY, "json": TheirFileType.JSON, "csv": TheirFileType.CSV}
    theirs = TheirSchema.construct_from_dict(made.to_dict())
    writer = TheirWriter(theirs, str(tmp_path), file_type=kinds.get(form, TheirFileType.PARQUET))
    for row in given:
        writer.append_row({**row, "fv": [float(x) for x in row["fv"]]})
    writer.commit()
    assert writer.batch_files
    report = validate(writer.batch_files, made, target="2.6")
    assert [str(one) for one in report.findings] == []
    assert report.rows == 60


# -- cut files


def test_every_cut_of_a_good_file_is_told(tmp_path):
    made = {"rows.parquet": parquet(), "rows.json": json_list(rows())}
    for name, make in made.items():
        data = Path(make(tmp_path)).read_bytes()
        for size in range(len(data)):
            path = tmp_path / f"cut_{name}"
            path.write_bytes(data[:size])
            assert not validate(path, schema()).ok, (name, size)
    data = saved(VECTORS)
    for size in range(len(data)):
        assert not validate(npy(v=data[:size])(tmp_path), schema()).ok, size


# -- places


def test_folders_lists_and_single_files(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = npy()(tmp_path / "a")[0], npy()(tmp_path / "b")[0]
    other = json_list(rows())(tmp_path)
    for given, files in (
        (tmp_path, 3), (str(tmp_path), 3), (tmp_path / "a", 1), ([*first, *second], 2), ([first, [other]], 2),
        ([*first, other], 2), (other, 1), (first, 1),
    ):  # fmt: skip
        report = validate(given, schema())
        assert (report.ok, report.files, report.rows) == (True, files, 3 * files), given


def test_what_is_no_place_is_an_error(tmp_path):
    with pytest.raises(StoreError, match="no file in it"):
        validate(tmp_path, schema())
    with pytest.raises(SchemaError, match="a schema is needed"):
        validate(npy()(tmp_path), None)
    with pytest.raises(SchemaError, match="nope"):
        validate("nope://bucket/x", schema())
    for wrong in ({"target": "2.7"}, {"level": "half"}, {"sample_rows": 0}, {"sep": ""}):
        with pytest.raises(ValueError):
            validate(npy()(tmp_path), schema(), **wrong)
    for given in (tmp_path / "none.parquet", str(tmp_path / "none"), [tmp_path / "none.npy"], tmp_path / "no" / "out"):
        for used in (schema(), None):
            with pytest.raises(StoreError, match=r"no(ne.*|/out): no such file or directory$"):
                validate(given, used)
    report = validate([[tmp_path / "none.parquet"]], schema())
    assert [one.rule for one in report.errors] == ["file-missing"]
    done = CliRunner().invoke(app, ["validate", str(tmp_path / "none")])
    assert (done.exit_code, done.stderr) == (1, f"error: {tmp_path / 'none'}: no such file or directory\n")


PEAK = """
import re, sys
from pathlib import Path
from vecmill import validate
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) >> 10
validate(sys.argv[1], sys.argv[3])
base = peak()
report = validate(sys.argv[2], sys.argv[3])
print(report.ok, report.rows, peak() - base)
"""


def test_memory_does_not_grow_with_a_row_group(tmp_path):
    n_rows, dim = 50_000, 768
    ours = create_schema()
    ours.add_field("id", DataType.INT64, is_primary=True)
    ours.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
    (tmp_path / "schema.json").write_text(json.dumps(ours.to_dict()))
    flat = np.random.default_rng(1).random(n_rows * dim, np.float32)
    ends = np.arange(n_rows + 1, dtype=np.int32) * dim
    table = pa.table({"id": np.arange(n_rows), "vector": pa.ListArray.from_arrays(ends, flat)})
    pq.write_table(table.slice(0, 10), tmp_path / "small.parquet")
    pq.write_table(table, tmp_path / "large.parquet", row_group_size=n_rows)
    args = [tmp_path / name for name in ("small.parquet", "large.parquet", "schema.json")]
    done = subprocess.run([sys.executable, "-c", PEAK, *args], capture_output=True, text=True, check=True, timeout=120)
    ok, rows, grown = done.stdout.split()
    assert (ok, rows) == ("True", str(n_rows))
    assert int(grown) < 150  # MiB; held whole, the row group and what is made of it are 300


@pytest.mark.parametrize("form", FORMATS)
def test_in_a_bucket(form, juicefs, monkeypatch):
    bucket = new_bucket(juicefs)
    with RemoteBulkWriter(schema(), "out", param(juicefs, bucket), file_type=form) as writer:
        writer.append_rows(rows())
    for name, value in (("ENDPOINT_URL", juicefs.url), ("ACCESS_KEY_ID", KEY), ("SECRET_ACCESS_KEY", SECRET)):
        monkeypatch.setenv(f"AWS_{name}", value)
    url = f"s3://{bucket}/{str(writer.data_path).strip('/')}"
    files = [[f"s3://{bucket}/{key}" for key in group] for group in writer.batch_files]
    for given, used in ((url, None), (f"{notes_key(url)}/manifest.json", None), (files, schema())):
        for level in LEVELS:
            report = validate(given, used, level=level, target="2.6")
            assert [str(one) for one in report.findings] == []
            assert report.files == 1
    key = next(key for key in juicefs.keys(bucket) if not key.endswith("manifest.json"))
    juicefs.client.remove_object(bucket, key)
    report = validate(url, target="2.6")
    assert {one.rule for one in report.errors} == {"file-missing"}
    assert KEY not in str(report) and SECRET not in str(report)
    with pytest.raises(StoreError):
        validate(f"s3://{bucket}/nothing/here", schema())


# -- levels, the report, the command


def test_a_sample_looks_from_the_first_row_to_the_last(tmp_path):
    n = 100_000
    vectors = np.zeros((n, 4), "f4")
    vectors[-1] = np.nan
    files = npy(id=np.arange(n), v=vectors)(tmp_path)
    assert validate(files, schema(), level="headers").ok
    report = validate(files, schema(), level="sample", sample_rows=64)
    assert [one.row for one in report.errors] == [n - 1]


def test_findings_are_capped_and_all_counted(tmp_path):
    vectors = np.ones((50_000, 4), "f4")
    vectors[7::2, 3] = np.inf
    report = validate(npy(id=np.arange(50_000), v=vectors)(tmp_path), schema(), max_findings=3, target="2.6")
    assert report.counts == {"value-nan-vector": 24_997}
    assert [one.row for one in report.findings] == [7, 9, 11]
    assert report.findings[0].got == "inf at position 3"
    with pytest.raises(DataError, match=r"field 'v', row 7: expected finite values, got inf at position 3") as caught:
        report.raise_for_errors()
    assert caught.value.row == 7
    assert caught.value.__notes__[1] == "24,997 errors in all"


def test_severity_is_the_targets(tmp_path):
    files = npy(v=np.full((3, 4), np.nan, "f4"))(tmp_path)
    found = {target: [one.severity for one in validate(files, schema(), target=target).findings] for target in TARGETS}
    assert found["2.5"] == ["silent"] * 3
    assert found["2.6"] == found["2.4"] == ["refused"] * 3


def command(*args: object) -> subprocess.CompletedProcess[str]:
    return run_vecmill("validate", *args)


def test_the_command(tmp_path):
    (tmp_path / "schema.json").write_text(json.dumps(schema().to_dict()))
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.mkdir()
    bad.mkdir()
    npy()(good)
    npy(v=np.asfortranarray(VECTORS))(bad)
    done = command(good, "--schema", tmp_path / "schema.json", "--target", "2.5")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("fine for Milvus 2.5: 1 import file, 3 rows, level full")
    done = command(bad, "-s", tmp_path / "schema.json")
    assert done.returncode == 1
    assert "npy-fortran (silent)" in done.stdout and "ascontiguousarray" in done.stdout
    done = command(bad, "-s", tmp_path / "schema.json", "--headers", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["ok"], told["level"]) == (1, False, "headers")
    assert told["findings"][0]["rule"] == "npy-fortran"
    assert command(good, "-s", tmp_path / "schema.json", "--sample", "2").returncode == 0
    assert command(good / "id.npy", good / "v.npy", "-s", tmp_path / "schema.json").returncode == 0
    for wrong in (["--headers", "--full"], ["--target", "1"], ["--sep", ";;"]):
        assert command(good, "-s", tmp_path / "schema.json", *wrong).returncode == 2
    assert command(good).returncode == 2  # no schema


def test_csv_options(tmp_path):
    made = schema(D.INT64, nullable=True)
    path = text_file("rows.csv", 'id;v;x\n1;"[1,2,3,4]";none\n')(tmp_path)
    assert validate(path, made, sep=";", nullkey="none").ok
    assert {one.rule for one in validate(path, made, sep=";").errors} == {"value-type"}
