"""FAISS indexes, written by FAISS."""

from __future__ import annotations

import struct
import sys

import faiss
import numpy as np
import pytest

from source_data import check_restarts, collect, refused, vectors
from vecmill.errors import DataError
from vecmill.sources import open_source

X = np.random.default_rng(3).random((500, 16), dtype=np.float32)
IDS = np.arange(500)[::-1] * 7 + 3


def ivf(metric=faiss.METRIC_L2):
    index = faiss.IndexIVFFlat(faiss.IndexFlat(16, metric), 16, 8, metric)
    index.train(X)
    return index


def write(index, path):
    faiss.write_index(index, str(path))
    return path


@pytest.mark.parametrize("kind", [faiss.IndexFlatL2, faiss.IndexFlatIP])
def test_flat(tmp_path, kind):
    index = kind(16)
    index.add(X)
    check_restarts(write(index, tmp_path / "x.faiss"), {"vector": X.tolist()})
    check_restarts(write(index, tmp_path / "x"), {"vector": X.tolist()})


@pytest.mark.parametrize("wrap", [faiss.IndexIDMap, faiss.IndexIDMap2])
def test_an_id_map(tmp_path, wrap):
    index = wrap(faiss.IndexFlatL2(16))
    index.add_with_ids(X, IDS)
    path = write(index, tmp_path / "x.faiss")
    check_restarts(path, {"id": IDS.tolist(), "vector": X.tolist()})
    check_restarts(f"{path}:id", {"id": IDS.tolist()})


@pytest.mark.parametrize("metric", [faiss.METRIC_L2, faiss.METRIC_INNER_PRODUCT])
def test_ivf_brings_every_vector_under_its_id(tmp_path, metric):
    index = ivf(metric)
    index.add_with_ids(X, IDS)
    path = write(index, tmp_path / "x.index")
    whole = collect(open_source(path))
    assert sorted(whole["id"]) == sorted(IDS.tolist())
    assert dict(zip(whole["id"], whole["vector"], strict=True)) == dict(zip(IDS.tolist(), X.tolist(), strict=True))
    check_restarts(path, whole, batch_rows=(None, 1, 7, 100))


def test_ivf_without_ids_and_under_an_id_map(tmp_path):
    index = ivf()
    index.add(X)
    got = collect(open_source(write(index, tmp_path / "a.faiss")))
    assert dict(zip(got["id"], got["vector"], strict=True)) == dict(enumerate(X.tolist()))
    mapped = faiss.IndexIDMap(ivf())
    mapped.add_with_ids(X, IDS)
    got = collect(open_source(write(mapped, tmp_path / "b.faiss")))
    assert dict(zip(got["id"], got["vector"], strict=True)) == dict(zip(IDS.tolist(), X.tolist(), strict=True))


def test_hnsw_over_flat(tmp_path):
    index = faiss.IndexHNSWFlat(16, 8)
    index.add(X)
    check_restarts(write(index, tmp_path / "x.faiss"), {"vector": X.tolist()})


def test_small_and_empty_indexes(tmp_path):
    for n in (3, 0):
        index = faiss.IndexFlatL2(4)
        index.add(vectors(n))
        check_restarts(write(index, tmp_path / "x.faiss"), {"vector": vectors(n).tolist()})
    empty = write(ivf(), tmp_path / "e.faiss")
    assert collect(open_source(empty)) == {}


def test_indexes_that_lose_bits_are_refused(tmp_path):
    for spec in ("PQ4x4", "SQ8", "IVF4,SQ8", "PCA8,Flat"):
        index = faiss.index_factory(16, spec)
        index.train(X)
        index.add(X)
        refused(write(index, tmp_path / "x.faiss"), "keeps its vectors whole")


def test_damaged_and_hostile_files(tmp_path):
    path = tmp_path / "x.faiss"
    index = ivf()
    index.add(X)
    whole = write(index, path).read_bytes()
    for raw in (b"", b"noise" * 100, whole[:10], whole[:5000], whole[:-100]):
        path.write_bytes(raw)
        refused(path)
    for magic in (b"IxF2", b"IwFl", b"IxMp"):
        for dim, n in ((16, 1 << 40), (2**31 - 1, 1 << 62), (-1, 5), (16, -1), (0, 0)):
            path.write_bytes(struct.pack("<4siq", magic, dim, n) + bytes(1000))
            refused(path, "expected room for", "a file of 1016 bytes")


def test_the_missing_package_is_named(tmp_path, monkeypatch):
    index = faiss.IndexFlatL2(16)
    path = write(index, tmp_path / "x.faiss")
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(DataError, match=r"pip install 'vecmill\[faiss\]'"):
        open_source(path)
