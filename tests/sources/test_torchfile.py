"""Files of torch.save, written by torch itself (tests/data/make_torch.py); read without it."""

from __future__ import annotations

import pickle
import shutil
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from conversions import read_parquet
from paths import DATA as TEST_DATA
from source_data import check_restarts, collect, refused
from vecmill import convert
from vecmill.schema.collection import create_schema
from vecmill.sources import open_source
from vecmill.types.kind import DataType

DATA = TEST_DATA / "torch"
NUMBERS = np.arange(20, dtype=np.float64).reshape(5, 4) / 8


@pytest.mark.parametrize("name", ["float32", "float64", "float16", "int8", "int64", "uint8"])
def test_every_dtype(name):
    check_restarts(DATA / f"{name}.pt", {name: NUMBERS.astype(name).tolist()})


def test_bfloat16_arrives_bit_by_bit(tmp_path):
    (got,) = [batch["bfloat16"] for batch in open_source(DATA / "bfloat16.pt").batches()]
    assert got.tobytes() == NUMBERS.astype(ml_dtypes.bfloat16).tobytes()
    schema = create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.BFLOAT16_VECTOR, dim=4)
    report = convert(
        None, tmp_path, schema=schema, columns={"vector": str(DATA / "bfloat16.pt")}, id_from="row", file_type="npy"
    )
    assert np.load(report.files[0][1]).tobytes() == got.tobytes()


def test_tensors_and_lists_of_a_dict_are_columns():
    expected = {
        "ids": list(range(5)), "embeddings": NUMBERS.tolist(), "texts": [f"text {i}" for i in range(5)],
        "scores": [i / 4 for i in range(5)], "flags": [True, False, True, True, False],
        "rows": (np.arange(40, dtype=np.float64).reshape(5, 8)[:, 2:6] / 8).tolist(),
    }  # fmt: skip
    check_restarts(DATA / "named.pt", expected)
    check_restarts(f"{DATA}/named.pt:embeddings", {"embeddings": expected["embeddings"]})


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("nested", {"model.weight": (5, 4), "model.bias": (5,)}),
        ("list", {"0": (5, 4), "1": (5, 4)}),
        ("parameter", {"parameter": (5, 4)}),
        ("state_dict", {"weight": (5, 4)}),
        ("transposed", {"transposed": (4, 5)}),
        ("empty", {"empty": (0, 4)}),
    ],
)
def test_other_structures(name, columns):
    source = open_source(DATA / f"{name}.pt")
    got = collect(source)
    assert source.n_rows == next(iter(columns.values()))[0]
    assert {column.name for column in source.columns} == set(columns)
    for column, shape in columns.items():
        assert np.shape(got[column]) == shape if shape[0] else column not in got
    if name == "transposed":
        assert np.array_equal(got["transposed"], NUMBERS.T)


def test_a_file_goes_through_convert(tmp_path):
    report = convert(DATA / "named.pt", tmp_path, primary="ids")
    got = read_parquet(report)
    assert got["ids"].to_pylist() == list(range(5))
    assert got["texts"].to_pylist() == [f"text {i}" for i in range(5)]


def test_nothing_of_a_file_is_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (Path.write_text, (tmp_path / "harm", "done"))

    with zipfile.ZipFile(tmp_path / "evil.pt", "w") as archive:
        archive.writestr("evil/data.pkl", pickle.dumps({"vector": Evil()}))
    refused(tmp_path / "evil.pt", "tensors in dicts and lists", "pathlib.Path")
    assert not (tmp_path / "harm").exists()
    refused(DATA / "module.pt", "torch.nn.modules.linear.Linear", "state_dict")
    refused(DATA / "sparse.pt", "torch._utils._rebuild_sparse_tensor")


def test_what_would_not_arrive_as_it_is():
    refused(DATA / "expanded.pt", "expanded")
    refused(DATA / "mixed.pt", "a str, as in row 0", "NoneType", row=1)
    refused(DATA / "wide.pt", "64 bits")


def test_what_is_no_whole_file(tmp_path):
    whole = (DATA / "float32.pt").read_bytes()
    for n in (0, 10, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut.pt").write_bytes(whole[:n])
        refused(tmp_path / "cut.pt")
    refused(DATA / "legacy.pt")
    refused(f"{DATA}/named.pt:nothing", "'nothing'", "'embeddings'")
    shutil.copy(DATA / "float32.pt", tmp_path / "no_ending")
    assert collect(open_source(tmp_path / "no_ending")) == {"no_ending": NUMBERS.tolist()}
    with zipfile.ZipFile(tmp_path / "short.pt", "w") as archive, zipfile.ZipFile(DATA / "float32.pt") as old:
        for name in old.namelist():
            data = old.read(name)
            archive.writestr(name, data[:-4] if name.endswith("data/0") else data)
    refused(tmp_path / "short.pt", "80 bytes", "76 bytes")
    with zipfile.ZipFile(tmp_path / "lengths.pt", "w") as archive, zipfile.ZipFile(DATA / "named.pt") as old:
        for name in old.namelist():
            data = old.read(name)
            archive.writestr(name, data.replace(b"K\x05K\x04\x86", b"K\x04K\x04\x86") if "pkl" in name else data)
    refused(tmp_path / "lengths.pt", "expected 5 rows, as in", "got 4; name those to take")
