"""Tables in memory, and datasets of other libraries, as sources."""

from __future__ import annotations

import datasets
import duckdb
import lance
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from source_data import check_restarts, collect, refused, table, vectors
from vecmill.convert import convert
from vecmill.convert.infer import infer
from vecmill.errors import DataError
from vecmill.sources import open_source

EXPECTED = {"id": list(range(100)), "text": [f"text {i}" for i in range(100)], "vector": vectors(100).tolist()}


class Capsules:
    """Nothing but the protocol, and only once."""

    def __init__(self, data: pa.Table) -> None:
        self._reader = data.to_reader(max_chunksize=9)

    def __arrow_c_stream__(self, requested_schema=None):
        return self._reader.__arrow_c_stream__(requested_schema)


def objects() -> dict[str, object]:
    whole = table(100)
    duck = duckdb.connect()
    duck.register("whole", whole)
    frame = pd.DataFrame({**EXPECTED, "vector": list(vectors(100))})
    data = datasets.Dataset.from_dict(EXPECTED)
    shuffled = datasets.Dataset.from_dict({name: values[::-1] for name, values in EXPECTED.items()})
    return {
        "table": whole,
        "chunked": pa.Table.from_batches(whole.to_batches(max_chunksize=7)),
        "batch": whole.to_batches()[0],
        "polars": pl.from_arrow(whole),
        "pandas": frame,
        "pandas with an index": frame.set_index("id"),
        "pandas filtered": pd.concat([frame, frame])[100:],
        "duckdb": duck.sql("select * from whole order by id"),
        "dataset": data,
        "dataset with indices": shuffled.select(range(99, -1, -1)),
    }


NAMES = ["table", "chunked", "batch", "polars", "pandas", "pandas with an index", "pandas filtered", "duckdb"]


@pytest.mark.parametrize("name", [*NAMES, "dataset", "dataset with indices"])
def test_objects_are_read_again_and_from_any_row(name):
    check_restarts(objects()[name], EXPECTED)


@pytest.mark.parametrize("make", [lambda t: t.to_reader(max_chunksize=9), Capsules])
def test_streams_are_read_once_at_any_row(make):
    for row in (0, 1, 50, 99, 100):
        got = collect(open_source(make(table(100))), batch_rows=8, start_row=row)
        assert got == (table(100)[row:].to_pydict() if row < 100 else {})
    source = open_source(make(table(100)))
    assert source.n_rows is None
    collect(source)
    assert source.n_rows == 100
    with pytest.raises(DataError, match="a stream that was read before"):
        collect(source)


def test_a_look_at_a_stream_loses_no_row():
    source = open_source(table(100).to_reader(max_chunksize=9))
    assert [f.name for f in infer(source).schema.fields] == ["id", "text", "vector"]
    assert collect(source, batch_rows=10) == EXPECTED
    assert collect(source, start_row=99) == {name: values[99:] for name, values in EXPECTED.items()}


@pytest.mark.parametrize("splitting", [False, True])
def test_datasets_that_are_streams(splitting):
    data = datasets.Dataset.from_dict(EXPECTED).to_iterable_dataset(num_shards=3 if splitting else 1)
    check_restarts(data, EXPECTED)
    unknown = datasets.IterableDataset.from_generator(lambda: iter([{"a": i} for i in range(50)]))
    assert unknown.features is None
    check_restarts(unknown, {"a": list(range(50))})


def test_an_object_beside_a_file(tmp_path):
    np.save(tmp_path / "emb.npy", vectors(100))
    source = open_source([table(100).drop_columns("vector"), tmp_path / "emb.npy"], columns={"vector": "emb", "*": "*"})
    assert collect(source, start_row=90) == {name: EXPECTED[name][90:] for name in ("id", "text", "vector")}
    assert source.locate(3, "id") == ("<pyarrow Table>", 3)


def test_dicts_of_pandas_keep_their_keys():
    frame = pd.DataFrame({"id": [1, 2, 3], "meta": [{"a": 1}, None, {"b": "é"}], "v": list(vectors(3))})
    assert collect(open_source(frame))["meta"] == ['{"a":1}', None, '{"b":"é"}']
    assert str(infer(open_source(frame)).schema.fields[1].dtype.name) == "JSON"


def test_objects_that_are_no_table_are_refused():
    for value, words in (
        (pa.array([1, 2, 3]), "columns that Arrow can read"),
        (datasets.DatasetDict({"train": datasets.Dataset.from_dict({"a": [1]})}), "one split"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "one column of that name"),
        (pd.DataFrame({0: [1]}), "columns with names of their own"),
        (pd.DataFrame({"a": [1, "x"]}), "values that Arrow can hold"),
        (pa.table([[1], [2]], names=["a", "a"]), "more than one of 'a'"),
    ):
        with pytest.raises(DataError, match=words):
            open_source(value)


def test_a_stream_that_breaks_is_named():
    def breaking():
        yield table(10).to_batches()[0]
        raise OSError("the line went dead")

    reader = pa.RecordBatchReader.from_batches(table(1).schema, breaking())
    with pytest.raises(DataError, match=r"<pyarrow RecordBatchReader>.*the line went dead"):
        collect(open_source(reader))


def test_empty_objects():
    for value in (table(0), pl.from_arrow(table(0)), datasets.Dataset.from_dict({"a": []})):
        assert collect(open_source(value)) == {}


@pytest.mark.parametrize("name", ["polars", "duckdb", "dataset", "pandas"])
def test_convert_takes_objects(tmp_path, name):
    report = convert(objects()[name], tmp_path, file_type="npy")
    assert report.rows == 100
    folder = [path for path in report.files[0] if path.endswith("vector.npy")]
    assert np.load(folder[0]).tolist() == EXPECTED["vector"]


# -- Lance ------------------------------------------------------------------------------------------------------------


def test_lance_datasets(tmp_path):
    data = lance.write_dataset(table(100), tmp_path / "d.lance", max_rows_per_file=30)
    check_restarts(tmp_path / "d.lance", EXPECTED)
    check_restarts(data, EXPECTED)
    source = open_source(tmp_path / "d.lance", columns={"key": "id"})
    assert (source.n_rows, source.locate(7)) == (100, (str(tmp_path / "d.lance"), 7))
    assert source.n_bytes > 1600
    check_restarts(tmp_path, EXPECTED)
    three = tmp_path / "other" / "without an ending"
    lance.write_dataset(table(3), three)
    check_restarts(three, table(3).to_pydict())


def test_damaged_lance_datasets(tmp_path):
    path = tmp_path / "d.lance"
    (path / "_versions").mkdir(parents=True)
    refused(path, "expected a whole Lance dataset")
    lance.write_dataset(table(100), path, mode="overwrite")
    file = next(path.rglob("data/*.lance"))
    file.write_bytes(file.read_bytes()[:-500])
    refused(path, "expected a whole Lance dataset")
    file.unlink()
    refused(path, "expected a whole Lance dataset")
