"""safetensors files, written by their library."""

from __future__ import annotations

import json
import sys

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from source_data import check_restarts, refused, vectors
from vecmill.errors import DataError
from vecmill.sources import open_source


def header(**tensors) -> bytes:
    raw = json.dumps(tensors).encode()
    return len(raw).to_bytes(8, "little") + raw


def test_tensors_are_columns(tmp_path):
    path = tmp_path / "emb.safetensors"
    save_file({"vector": vectors(100), "id": np.arange(100), "half": vectors(100).astype(np.float16)}, path)
    expected = {
        "half": vectors(100).astype(np.float16).tolist(),
        "id": list(range(100)),
        "vector": vectors(100).tolist(),
    }
    check_restarts(path, expected)
    check_restarts(f"{path}:vector", {"vector": expected["vector"]})
    path.rename(tmp_path / "blob")
    check_restarts(tmp_path / "blob", expected)
    assert open_source(tmp_path / "blob").locate(5, "id") == (f"{tmp_path / 'blob'}:id", 5)


def test_bfloat16_comes_as_bytes(tmp_path):
    values = vectors(6).astype(ml_dtypes.bfloat16)
    save_file({"v": values}, tmp_path / "v.safetensors")
    source = open_source(tmp_path / "v.safetensors")
    assert str(source.columns[0].type) == "fixed_size_list<item: fixed_size_binary[2]>[4]"
    assert next(iter(source.batches(start_row=2)))["v"].tobytes() == values[2:].tobytes()


@pytest.mark.parametrize("dtype", [np.float64, np.int32, np.int16, np.int8, np.uint8, np.uint16, np.uint32, np.uint64])
def test_every_number(tmp_path, dtype):
    save_file({"v": vectors(20).astype(dtype), "s": np.arange(20).astype(dtype)}, tmp_path / "x.safetensors")
    check_restarts(tmp_path / "x.safetensors", {"s": list(range(20)), "v": vectors(20).tolist()})


def test_a_large_tensor_is_mapped_anew_now_and_then(tmp_path, monkeypatch):
    monkeypatch.setattr("vecmill.sources.safetensors.REOPEN_BYTES", 100)
    save_file({"v": vectors(1000)}, tmp_path / "x.safetensors")
    check_restarts(tmp_path / "x.safetensors", {"v": vectors(1000).tolist()})


def test_shards_follow_one_another(tmp_path):
    for i in (2, 10):
        save_file({"v": vectors(i)}, tmp_path / f"m-{i}.safetensors")
    check_restarts(tmp_path, {"v": [*vectors(2).tolist(), *vectors(10).tolist()]})


def test_small_and_empty_files(tmp_path):
    path = tmp_path / "x.safetensors"
    for n in (3, 0):
        save_file({"v": vectors(n)}, path)
        check_restarts(path, {"v": vectors(n).tolist()})
    save_file({}, path)
    refused(path, "expected a file of tensors, got none")
    save_file({"a": vectors(3), "b": vectors(4)}, path)
    refused(path, "expected 3 rows", "got 4")
    refused(f"{path}:c", "expected a tensor 'c'")
    save_file({"a": np.zeros((2, 2, 2), np.float32)}, path)
    refused(path, "1 or 2 dimensions")


def test_damaged_and_hostile_files_are_refused(tmp_path):
    path = tmp_path / "x.safetensors"
    save_file({"v": vectors(1000)}, path)
    whole = path.read_bytes()
    far = header(v={"dtype": "F32", "shape": [1 << 40, 1 << 20], "data_offsets": [0, 1 << 62]})
    less = header(v={"dtype": "F32", "shape": [-1, 4], "data_offsets": [0, 16]}) + bytes(16)
    for raw in (b"", b"noise" * 100, whole[:-100], whole[:30], b"\xff" * 8 + whole[8:], far, less):
        path.write_bytes(raw)
        refused(path, "expected a whole safetensors file")


def test_the_missing_package_is_named(tmp_path, monkeypatch):
    save_file({"v": vectors(3)}, tmp_path / "x.safetensors")
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(DataError, match=r"pip install 'vecmill\[safetensors\]'"):
        open_source(tmp_path / "x.safetensors")
