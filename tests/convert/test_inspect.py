"""inspect(): what it says of a file is what NumPy says of the values."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from conversions import small_schema, vectors, write
from outputs import notes
from vecmill.cli import app
from vecmill.convert import convert
from vecmill.convert.inspect import inspect
from vecmill.convert.outputs import Stacked, open_output, output_of
from vecmill.errors import DataError, StoreError
from vecmill.schema.collection import create_schema
from vecmill.sources import open_source
from vecmill.types.kind import DataType


def by_name(found) -> dict:
    return {column.name: column for column in found.columns}


def test_what_is_said_of_every_kind_of_column(tmp_path):
    n = 500
    numbers = np.random.default_rng(0).standard_normal(n)
    numbers[3] = np.nan
    texts = [None if i % 10 == 0 else "é" * (i % 7) for i in range(n)]
    rows = [None if i == 7 else row for i, row in enumerate(vectors(n).tolist())]
    table = pa.table(
        {
            "number": numbers,
            "flag": np.arange(n) % 2 == 0,
            "text": texts,
            "coded": pa.array(["a", "bb"] * (n // 2)).dictionary_encode(),
            "vector": pa.array(rows, pa.list_(pa.float32())),
            "words": pa.array([["a"] * (i % 4) for i in range(n)]),
            "struct": pa.array([{"a": 1}] * n),
            "day": pa.array([0] * n, pa.date32()),
        }
    )
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=77)
    found = inspect(tmp_path / "t.parquet", n_first=2)
    assert (found.kind, found.rows, found.rows_read) == ("source", n, n)
    assert found.n_bytes == (tmp_path / "t.parquet").stat().st_size
    columns = by_name(found)
    good = np.delete(numbers, 3)
    number = columns["number"]
    assert (number.measure, number.least, number.most, number.odd) == ("value", good.min(), good.max(), 1)
    assert number.mean == pytest.approx(good.mean())
    assert list(number.histogram) == np.histogram(good, 16)[0].tolist()
    assert (columns["flag"].least, columns["flag"].mean, columns["flag"].most) == (0, 0.5, 1)
    text = columns["text"]
    assert (text.measure, text.nulls, text.least, text.most) == ("bytes", 50, 0, 12)
    assert (columns["coded"].least, columns["coded"].most) == (1, 2)
    vector = columns["vector"]
    norms = np.linalg.norm(np.delete(vectors(n), 7, axis=0).astype(np.float64), axis=1)
    assert (vector.measure, vector.nulls, vector.dims) == ("norm", 1, (8, 8))
    assert (vector.least, vector.most) == (pytest.approx(norms.min()), pytest.approx(norms.max()))
    assert list(vector.histogram) == np.histogram(norms, 16)[0].tolist()
    assert (columns["words"].measure, columns["words"].dims) == ("items", (0, 3))
    assert [columns[name].measure for name in ("struct", "day")] == ["", ""]
    assert [row["flag"] for row in found.first_rows] == ["True", "False"]
    assert found.first_rows[0]["text"] is None
    assert json.loads(json.dumps(found.to_dict()))["columns"][0]["odd"] == 1


def test_vectors_of_several_lengths(tmp_path):
    rows = pa.array([[1.0], [1.0, 2.0], [], None], pa.list_(pa.float32()))
    pq.write_table(pa.table({"v": rows}), tmp_path / "t.parquet")
    (column,) = inspect(tmp_path / "t.parquet").columns
    assert (column.measure, column.dims, column.nulls, column.least, column.most) == ("items", (0, 2), 1, 0, 2)


@pytest.mark.parametrize("limit", [1, 150, 1000, None])
def test_only_the_first_rows_are_read(tmp_path, limit):
    np.save(tmp_path / "x.npy", np.arange(400))
    found = inspect(open_source(tmp_path / "x.npy", batch_rows=100), limit=limit)
    n = min(limit or 400, 400)
    assert (found.rows, found.rows_read) == (400, n)
    assert (found.columns[0].least, found.columns[0].most) == (0, n - 1)


def test_a_histogram_of_very_many_rows_is_of_a_sample(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(700_000))
    (column,) = inspect(tmp_path / "x.npy", limit=None).columns
    assert (column.least, column.most, column.mean) == (0, 699_999, pytest.approx(349_999.5))
    share = np.array(column.histogram) / sum(column.histogram)
    assert np.abs(share - 1 / 16).max() < 0.03


def test_nothing_to_say_of_no_rows(tmp_path):
    write(tmp_path / "t.parquet", 0)
    found = inspect(tmp_path / "t.parquet")
    assert (found.rows, found.rows_read, found.first_rows) == (0, 0, ())
    assert all((column.least, column.mean, column.histogram) == (None, None, ()) for column in found.columns)


@pytest.mark.parametrize("file_type", ["npy", "parquet"])
def test_an_output_is_described_by_its_manifest(tmp_path, file_type):
    n, dim = 3000, 64
    schema = create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    for name in ("FLOAT_VECTOR", "FLOAT16_VECTOR", "BFLOAT16_VECTOR", "BINARY_VECTOR", "INT8_VECTOR"):
        schema.add_field(name, DataType[name], dim=dim)
    bits = np.random.default_rng(0).integers(0, 2, (n, dim), dtype=np.uint8)
    bytes_ = np.random.default_rng(0).integers(-128, 128, (n, dim)).astype(np.int8)
    np.savez(tmp_path / "in.npz", id=np.arange(n), BINARY_VECTOR=bits, INT8_VECTOR=bytes_,
             **{f"{kind}_VECTOR": vectors(n, dim) for kind in ("FLOAT", "FLOAT16", "BFLOAT16")})  # fmt: skip
    report = convert(tmp_path / "in.npz", tmp_path / "out", schema=schema, file_type=file_type, segment_size=200_000)
    found = inspect(report.data_path, limit=None)
    assert len(report.files) > 1
    assert (found.kind, found.rows, found.segments) == ("output", n, len(report.files))
    assert found.files == sum(map(len, report.files))
    assert found.n_bytes == report.bytes_out
    assert found.schema == schema.to_dict()
    columns = by_name(found)
    norms = np.linalg.norm(vectors(n, dim).astype(np.float64), axis=1)
    for name, tolerance in (("FLOAT_VECTOR", 1e-12), ("FLOAT16_VECTOR", 1e-3), ("BFLOAT16_VECTOR", 1e-2)):
        assert (columns[name].type, columns[name].dims) == (name, (dim, dim))
        assert columns[name].most == pytest.approx(norms.max(), rel=tolerance)
    assert columns["BINARY_VECTOR"].most == pytest.approx(np.sqrt(bits.sum(axis=1).max()))
    assert columns["INT8_VECTOR"].most == pytest.approx(np.linalg.norm(bytes_.astype(float), axis=1).max())


def test_an_output_is_a_source_again(tmp_path):
    matrix = vectors(3000, 64)
    np.save(tmp_path / "vector.npy", matrix)
    first = convert(tmp_path / "vector.npy", tmp_path / "a", file_type="npy", segment_size=200_000)
    assert len(first.files) > 1
    again = convert(first.data_path, tmp_path / "b", columns={"v": "vector"}, id_from="row")
    back = pa.concat_tables([pq.read_table(path) for (path,) in again.files])
    assert back["id"].to_pylist() == list(range(3000))
    assert np.asarray(back["v"].combine_chunks().flatten()).tobytes() == matrix.tobytes()


def test_the_one_output_in_a_folder_is_found(tmp_path):
    write(tmp_path / "in.parquet", 30)
    first = convert(tmp_path / "in.parquet", tmp_path / "out")
    (tmp_path / "out" / str(uuid.uuid4())).mkdir()  # one that was broken off
    found = inspect(tmp_path / "out")
    assert (found.path, found.kind, found.rows) == (first.data_path, "output", 30)
    done = CliRunner().invoke(app, ["convert", str(tmp_path / "out"), str(tmp_path / "again"), "--json"])
    assert json.loads(done.stdout)["rows"] == 30
    assert done.stderr == f"reading {first.data_path}, the one output in {tmp_path / 'out'}\n"
    second = convert(tmp_path / "in.parquet", tmp_path / "out")
    names = [repr(name) for name in sorted(Path(one.data_path).name for one in (first, second))]
    for call in (inspect, lambda src: convert(src, tmp_path / "again")):
        with pytest.raises(DataError, match=f"got 2 outputs, {names[0]}, {names[1]}; name one"):
            call(tmp_path / "out")
    write(tmp_path / "out" / "own.parquet", 7)  # then it is a folder of files like any other
    assert inspect(tmp_path / "out").rows == 7


def test_stacked_sources_can_be_read_from_any_row(tmp_path):
    for i, n in enumerate((5, 1, 9)):
        write(tmp_path / f"{i}.parquet", n, start=i * 100)
    stacked = Stacked([open_source(tmp_path / f"{i}.parquet") for i in range(3)], [5, 1, 9])
    want = [*range(5), 100, *range(200, 209)]
    assert stacked.n_rows == 15
    for start in range(17):
        got = [one for batch in stacked.batches(["id"], start_row=start) for one in batch["id"].to_pylist()]
        assert got == want[start:]
    assert [stacked.locate(row)[1] for row in (0, 4, 5, 6, 14)] == [0, 4, 0, 0, 8]
    assert Path(stacked.locate(6)[0]).name == "2.parquet"


def test_an_output_that_is_damaged(tmp_path):
    write(tmp_path / "t.parquet", 100)
    report = convert(tmp_path / "t.parquet", tmp_path / "out", schema=small_schema())
    path = Path(report.files[0][0])
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"as in manifest\.json") as caught:
        inspect(report.data_path)
    assert caught.value.file == str(path)
    path.unlink()
    with pytest.raises(StoreError):
        inspect(report.data_path)
    (notes(report.data_path) / "manifest.json").write_text("{")
    with pytest.raises(StoreError, match="cannot be read"):
        inspect(report.data_path)
    assert output_of(tmp_path) is None


def test_an_output_without_rows(tmp_path):
    folder = tmp_path / "out"
    notes(folder).mkdir()
    (notes(folder) / "manifest.json").write_text(
        '{"vecmill_manifest": 1, "uuid": "u", "file_type": "NUMPY", "schema": {}, "segments": []}'
    )
    with pytest.raises(DataError, match="published segments"):
        open_output(*output_of(folder))
