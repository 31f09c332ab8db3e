"""An output in Milvus Lite: every row of it can be queried, and searched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from pymilvus import MilvusClient

from paths import DATA
from vecmill import DataType, ImportJobError, LocalBulkWriter, SchemaError, convert, create_schema
from vecmill.importer.lite import Inserted, insert
from vecmill.importer.options import CollectionOptions, Server
from vecmill.output.opening import Output, open_output

D = DataType
N = 2_500


def into(uri: Path | str, output: Output, name: str = "books", metric: str = "", **options: Any) -> Inserted:
    return insert(output, Server(str(uri)), CollectionOptions(name=name, metric=metric), **options)


def write(folder: Path, file_type: str, **options: Any) -> list[dict[str, Any]]:
    schema = create_schema(enable_dynamic_field=True)
    schema.add_field("id", D.INT64, is_primary=True, auto_id=options.pop("auto_id", False))
    for dtype in (D.BOOL, D.INT8, D.INT16, D.INT32, D.FLOAT, D.DOUBLE):
        schema.add_field(dtype.name.lower(), dtype)
    schema.add_field("text", D.VARCHAR, max_length=100)
    schema.add_field("json", D.JSON)
    schema.add_field("vector", D.FLOAT_VECTOR, dim=8)
    vectors = np.random.default_rng(0).standard_normal((N, 8), dtype="f4")
    rows = [
        {
            "id": 2**53 + i, "bool": i % 2 == 0, "int8": i % 128, "int16": -i, "int32": i << 18,
            "float": i / 4, "double": i / 3, "text": f"🗼 {i}", "json": {"a": [i, None, "ü"], "b": {"c": 0.5}},
            "vector": vectors[i], "more": [i], "n": i,
        }
        for i in range(N)
    ]  # fmt: skip
    if schema.auto_id:
        for row in rows:
            row.pop("id")
    with LocalBulkWriter(schema, folder, file_type=file_type, **options) as writer:
        writer.append_rows(rows)
    return rows


@pytest.mark.parametrize(
    ("file_type", "options"),
    [("npy", {"chunk_size": 300_000}), ("parquet", {"chunk_size": 100_000}), ("npy", {"auto_id": True})],
    ids=["npy", "parquet", "auto_id"],
)
def test_every_row_comes_back(file_type, options, tmp_path):
    want = write(tmp_path / "out", file_type, **options)
    output = open_output(tmp_path / "out")
    assert len(output.files()) > 1 or "auto_id" in options
    seen: list[int] = []
    done = into(tmp_path / "demo.db", output, progress=seen.append)
    assert (done.rows, done.rows_in_collection, seen[-1]) == (N, N, N)
    client = MilvusClient(str(tmp_path / "demo.db"))
    client.load_collection("books")
    pages = [client.query("books", f"n >= {i} and n < {i + 500}", ["*"], limit=600) for i in range(0, N, 500)]
    found = [row for page in pages for row in page]
    for one, other in zip(want, sorted(found, key=lambda row: row["n"]), strict=True):
        for name, value in one.items():
            if name == "vector":
                assert value.tobytes() == np.array(other[name], "f4").tobytes()
            else:
                assert (value, type(value)) == (other[name], type(other[name])), name
    client.close()


def test_the_sample_answers_questions(tmp_path):
    report = convert(DATA / "embeddings.parquet", tmp_path / "out", file_type="npy")
    into(tmp_path / "demo.db", open_output(report.data_path), "sample", metric="IP")
    rows = pq.read_table(DATA / "embeddings.parquet").to_pylist()
    vectors = np.array([row["vector"] for row in rows])
    questions = pq.read_table(DATA / "questions.parquet")["vector"].to_pylist()
    client = MilvusClient(str(tmp_path / "demo.db"))
    client.load_collection("sample")
    answers = client.search("sample", questions, limit=1, anns_field="vector", output_fields=["id"])
    assert [hits[0]["id"] for hits in answers] == [rows[i]["id"] for i in (vectors @ np.array(questions).T).argmax(0)]
    client.close()


def test_rows_are_not_doubled_by_accident(tmp_path):
    write(tmp_path / "out", "parquet", auto_id=True)
    output = open_output(tmp_path / "out")
    uri = str(tmp_path / "demo.db")
    into(uri, output)
    with pytest.raises(ImportJobError, match="collection 'books' holds 2,500 rows already"):
        into(uri, output)
    assert into(uri, output, again=True).rows_in_collection == 2 * N
    assert into(uri, output, "others").rows_in_collection == N


def test_what_breaks_off_leaves_nothing(tmp_path):
    write(tmp_path / "out", "parquet", chunk_size=100_000)
    output = open_output(tmp_path / "out")
    Path(output.files()[-1].paths[0]).write_bytes(b"PAR1 and no more")
    uri = str(tmp_path / "demo.db")
    with pytest.raises(ValueError, match="parquet") as caught:
        into(uri, output)
    assert "nothing was kept" in caught.value.__notes__
    client = MilvusClient(uri)
    assert client.list_collections() == []
    client.close()


@pytest.mark.parametrize("dtype", [D.FLOAT16_VECTOR, D.BINARY_VECTOR, D.INT8_VECTOR])
def test_types_that_lite_does_not_have(dtype, tmp_path):
    schema = create_schema()
    schema.add_field("id", D.INT64, is_primary=True)
    schema.add_field("v", dtype, dim=8)
    with LocalBulkWriter(schema, tmp_path / "out", file_type="parquet") as writer:
        writer.append_row({"id": 1, "v": [1] * 8})
    with pytest.raises(SchemaError, match=f"field 'v': Milvus Lite has no {dtype.name}"):
        into(tmp_path / "demo.db", open_output(tmp_path / "out"))
    assert not (tmp_path / "demo.db").exists()


def test_its_refusals_are_one_line(tmp_path):
    write(tmp_path / "out", "parquet")
    output = open_output(tmp_path / "out")
    for _ in range(2):  # and no half-made collection is left behind
        with pytest.raises(ImportJobError, match=r"metric_type must be .*'NOPE'") as caught:
            into(tmp_path / "demo.db", output, metric="NOPE")
        assert "\n" not in str(caught.value)
