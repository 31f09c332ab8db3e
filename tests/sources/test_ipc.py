"""Arrow files and streams, as pyarrow, Polars, pandas and datasets write them."""

from __future__ import annotations

import random

import datasets
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pytest

from source_data import check_restarts, collect, refused, table, vectors
from vecmill.sources import open_source


def write_file(path, data: pa.Table, rows: int = 13, **options) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, data.schema, **options) as writer:
        writer.write_table(data, max_chunksize=rows)


def write_stream(path, data: pa.Table, rows: int = 13, **options) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, data.schema, **options) as writer:
        writer.write_table(data, max_chunksize=rows)


@pytest.mark.parametrize("write", [write_file, write_stream])
@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
def test_files_and_streams(tmp_path, write, compression):
    path = tmp_path / "x.arrow"
    write(path, table(100), options=pa.ipc.IpcWriteOptions(compression=compression))
    check_restarts(path, table(100).to_pydict())
    path.rename(tmp_path / "0001")
    check_restarts(tmp_path / "0001", table(100).to_pydict())
    source = open_source(tmp_path / "0001", columns={"key": "id"})
    assert source.n_rows == (None if compression and write is write_stream else 100)
    assert collect(source, start_row=98) == {"key": [98, 99]}
    assert source.n_rows == 100, "known once it was read"
    assert collect(source) == {"key": list(range(100))}


@pytest.mark.parametrize("compression", [None, "lz4"])
def test_files_follow_one_another_from_any_row(tmp_path, compression):
    options = pa.ipc.IpcWriteOptions(compression=compression)
    for i, (start, n) in enumerate([(0, 30), (30, 0), (30, 45), (75, 25)]):
        (write_file, write_stream)[i % 2](tmp_path / f"p{i}.arrow", table(n, start=start), options=options)
    for row in (0, 1, 29, 30, 31, 74, 75, 99, 100, 200):
        source = open_source(tmp_path)
        got = collect(source, batch_rows=8, start_row=row)
        assert got == (table(100)[row:].to_pydict() if row < 100 else {}), row
        assert source.locate(80) == (str(tmp_path / "p3.arrow"), 5)


def test_nulls_are_counted_without_reading(tmp_path):
    data = pa.table({"a": pa.array([1, None, 3]), "b": [1, 2, 3], "s": pa.array([[1], None, [None]])})
    write_file(tmp_path / "n.arrow", data, 2)
    assert {c.name: c.null_count for c in open_source(tmp_path / "n.arrow").columns} == {"a": 1, "b": 0, "s": None}


def test_what_people_write(tmp_path):
    expected = {"id": [1, 2, 3], "text": ["x", None, "é"], "kind": ["u", "v", "u"], "v": vectors(3).tolist()}
    frame = pl.DataFrame(expected, schema_overrides={"kind": pl.Categorical, "v": pl.Array(pl.Float32, 4)})
    frame.write_ipc(tmp_path / "polars.arrow")
    frame.write_ipc(tmp_path / "zstd.arrow", compression="zstd")
    frame.write_ipc_stream(tmp_path / "stream.arrows")
    pd.DataFrame(expected).to_feather(tmp_path / "pandas.feather")
    for name in ("polars.arrow", "zstd.arrow", "stream.arrows", "pandas.feather"):
        check_restarts(tmp_path / name, expected)


def test_one_large_batch_is_cut(tmp_path):
    """Polars puts a frame into one batch."""
    write_file(tmp_path / "x.arrow", pa.table({"v": pa.array(list(vectors(20_000, 256)))}), 1 << 20)
    before = pa.total_allocated_bytes()
    sizes = []
    for batch in open_source(tmp_path / "x.arrow").batches():
        sizes.append(batch["v"].nbytes)
        assert pa.total_allocated_bytes() - before < 1 << 20, "batches are views of the mapped file"
    assert len(sizes) >= 2
    assert max(sizes) < 12 << 20


def test_small_empty_cut_and_wrong_files(tmp_path):
    path = tmp_path / "x.arrow"
    for write in (write_file, write_stream):
        write(path, table(3))
        check_restarts(path, table(3).to_pydict())
        write(path, table(0))
        check_restarts(path, table(0).to_pydict())
        write(path, table(1000), 100)
        whole = path.read_bytes()
        for raw in (whole[:-5000], whole[:100], whole[:10]):
            path.write_bytes(raw)
            refused(path, "expected a whole Arrow file")
    for raw in (b"", b"noise" * 100):
        path.write_bytes(raw)
        refused(path)
    with pytest.warns(DeprecationWarning):
        pa.feather.write_feather(pa.table({"a": [1]}), path, version=1)
    refused(path, "Feather version 2", "Feather version 1")


def test_noise_in_a_file_is_an_error_or_other_rows_but_nothing_worse(tmp_path):
    rng = random.Random(5)
    path = tmp_path / "x.arrow"
    for write in (write_file, write_stream):
        write(path, table(200), 50)
        whole = path.read_bytes()
        for _ in range(60):
            raw = bytearray(whole)
            for _ in range(4):
                raw[rng.randrange(8, 600)] = rng.randrange(256)
            path.write_bytes(raw)
            try:
                collect(open_source(path))
            except ValueError as err:  # DataError is one
                assert str(path) in str(err)


def test_folders_that_datasets_saved(tmp_path):
    data = datasets.Dataset.from_dict({"id": list(range(100)), "v": vectors(100)})
    expected = {"id": list(range(100)), "v": vectors(100).tolist()}
    data.save_to_disk(tmp_path / "one", num_shards=12)
    check_restarts(tmp_path / "one", expected)
    assert open_source(tmp_path / "one").n_rows == 100
    splits = datasets.DatasetDict({"train": data.select(range(60)), "test": data.select(range(60, 100))})
    splits.save_to_disk(tmp_path / "dict")
    check_restarts(f"{tmp_path}/dict:test", {name: values[60:] for name, values in expected.items()})
    refused(tmp_path / "dict", "the name of a split (folder:name)", "splits 'train', 'test'")
    refused(f"{tmp_path}/dict:dev", "a split 'dev'")
    datasets.DatasetDict({"only": data}).save_to_disk(tmp_path / "only")
    check_restarts(tmp_path / "only", expected)
    (tmp_path / "one" / "state.json").write_text("{}")
    refused(tmp_path / "one", "a list of data files")
    (tmp_path / "one" / "state.json").write_text("{")
    refused(tmp_path / "one", "expected a whole saved dataset")


def test_the_columns_of_a_saved_dataset_keep_their_order(tmp_path):
    data = datasets.Dataset.from_dict({"z": [1], "a": np.zeros((1, 2), np.float32), "m": ["t"]})
    data.save_to_disk(tmp_path / "d")
    assert [c.name for c in open_source(tmp_path / "d").columns] == ["z", "a", "m"]
