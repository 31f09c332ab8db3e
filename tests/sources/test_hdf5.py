"""Datasets of HDF5 files, written by h5py."""

from __future__ import annotations

import sys

import h5py
import numpy as np
import pytest

from source_data import check_restarts, refused, vectors
from vecmill.errors import DataError, StoreError
from vecmill.sources import open_source


def ann_benchmarks(path, n: int = 100):
    """Write a file as ann-benchmarks has them: the rows, and queries with their answers."""
    with h5py.File(path, "w") as file:
        file.attrs["distance"] = "euclidean"
        file["train"] = vectors(n)
        file["test"] = vectors(5, start=n)
        file["neighbors"] = np.arange(50, dtype=np.int32).reshape(5, 10)
        file["distances"] = vectors(5, 10)
    return path


def test_train_of_ann_benchmarks_and_any_other_part(tmp_path):
    path = ann_benchmarks(tmp_path / "glove.hdf5")
    check_restarts(path, {"train": vectors(100).tolist()})
    check_restarts(f"{path}:test", {"test": vectors(5, start=100).tolist()})
    check_restarts(f"{path}::/neighbors", {"neighbors": np.arange(50).reshape(5, 10).tolist()})
    source = open_source(None, columns={"vector": f"{path}:train"})
    assert [(c.name, c.source, str(c.type)) for c in source.columns] == [
        ("vector", "train", "fixed_size_list<item: float>[4]")
    ]
    assert source.locate(4, "vector") == (f"{path}:train", 4)


@pytest.mark.parametrize("options", [{}, {"chunks": (7, 2)}, {"chunks": (64, 4), "compression": "gzip"}])
def test_datasets_of_one_length_are_columns(tmp_path, options):
    path = tmp_path / "own.h5"
    texts = [f"text {i} é" for i in range(100)]
    with h5py.File(path, "w") as file:
        group = file.create_group("a/b")
        group.create_dataset("vector", data=vectors(100).astype(">f8"), **options)
        group["id"] = np.arange(100)
        group["text"] = texts
        group["fixed"] = np.array([t.encode() for t in texts])
        group["flag"] = np.arange(100) % 3 == 0
        group.create_group("deeper")["x"] = [1]
    expected = {
        "fixed": texts,
        "flag": [i % 3 == 0 for i in range(100)],
        "id": list(range(100)),
        "text": texts,
        "vector": vectors(100).tolist(),
    }
    check_restarts(f"{path}:a/b", expected)
    check_restarts(f"{path}:/a/b/vector", {"vector": expected["vector"]})
    refused(path, "datasets; name one (file.h5:path)", "'/a/b/deeper/x'")
    refused(f"{path}:a/c", "expected a dataset or a group '/a/c'")


def test_files_of_the_same_datasets_follow_one_another(tmp_path):
    for i in (10, 2):
        ann_benchmarks(tmp_path / f"part{i}.h5", i)
    check_restarts(tmp_path, {"train": [*vectors(2).tolist(), *vectors(10).tolist()]})


def test_chunks_are_read_whole(tmp_path):
    path = tmp_path / "c.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("v", data=vectors(10_000, 256), chunks=(3000, 256))
    sizes = [len(batch["v"]) for batch in open_source(path).batches(start_row=10)]
    assert sizes == [5990, 4000]


def test_small_and_empty_datasets(tmp_path):
    for n in (3, 0):
        path = ann_benchmarks(tmp_path / f"{n}.h5", n)
        check_restarts(path, {"train": vectors(n).tolist()})
    h5py.File(tmp_path / "none.h5", "w").close()
    refused(tmp_path / "none.h5", "an HDF5 file without a dataset")


def test_what_is_no_set_of_columns_is_refused(tmp_path):
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["a"], file["b"] = vectors(3), vectors(4)
        file["cube"] = np.zeros((2, 2, 2))
        file["scalar"] = 1.5
        file.create_dataset("ragged", (2,), h5py.vlen_dtype(np.float32))
        file["pairs"] = np.zeros(2, "f4,i4")
    for name, word in (("cube", "shape"), ("scalar", "shape"), ("ragged", "vlen"), ("pairs", "dtype")):
        refused(f"{path}:{name}", word)
    with h5py.File(path, "w") as file:
        file["a"], file["b"] = vectors(3), vectors(4)
    refused(path, "expected 3 rows, as in", "got 4; name those to take")
    with h5py.File(path, "w") as file:
        file["t"] = np.array([b"good", b"\xff\xfe"])
    refused(path, "UTF-8 text", row=1)


def test_damaged_files_are_refused(tmp_path):
    path = ann_benchmarks(tmp_path / "x.h5", 5000)
    whole = path.read_bytes()
    for raw in (b"", b"noise" * 100, whole[:40_000], whole[:100]):
        path.write_bytes(raw)
        refused(path, "expected a whole HDF5 file")
    with pytest.raises(StoreError, match="no such file"):
        open_source(tmp_path / "nowhere.h5")
    with h5py.File(path, "w") as file:
        file.create_dataset("v", data=vectors(5000), chunks=(100, 4), compression="gzip", fletcher32=True)
        chunk = file["v"].id.get_chunk_info(7)
    raw = bytearray(path.read_bytes())
    raw[chunk.byte_offset : chunk.byte_offset + chunk.size] = bytes(chunk.size)
    path.write_bytes(raw)
    refused(path, "expected a whole HDF5 file")


def test_a_promise_of_many_rows_costs_nothing(tmp_path):
    """Chunks that were never written take no space, and reading them is bounded by the batch."""
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("v", (1 << 50, 128), np.float32, chunks=(64, 128))
    source = open_source(tmp_path / "x.h5")
    assert source.n_rows == 1 << 50
    batch = next(source.batches(start_row=1 << 49))["v"]
    assert batch.nbytes < 16 << 20


def test_the_missing_package_is_named(tmp_path, monkeypatch):
    path = ann_benchmarks(tmp_path / "x.h5")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(DataError, match=r"pip install 'vecmill\[hdf5\]'"):
        open_source(path)
