"""Columns in NPY and NPZ files."""

from __future__ import annotations

import datetime as dt
import importlib

import numpy as np
import pytest

from source_data import check_restarts, collect, refused, vectors
from vecmill.errors import DataError
from vecmill.sources import open_source


@pytest.mark.parametrize("batch_rows", [1, 7, 1000])
def test_a_folder_of_npy_files_is_a_set_of_columns(tmp_path, batch_rows):
    np.save(tmp_path / "id.npy", np.arange(100))
    np.save(tmp_path / "vector.npy", vectors(100))
    np.save(tmp_path / "text.npy", np.array([f"text {i} é" for i in range(100)]))
    np.save(tmp_path / "raw.npy", np.array([f"text {i} é".encode() for i in range(100)]))
    source = open_source(tmp_path)
    assert {c.name: str(c.type) for c in source.columns} == {
        "id": "int64",
        "raw": "string",
        "text": "string",
        "vector": "fixed_size_list<item: float>[4]",
    }
    texts = [f"text {i} é" for i in range(100)]
    expected = {"id": list(range(100)), "vector": vectors(100).tolist(), "text": texts, "raw": texts}
    assert collect(source, batch_rows=batch_rows) == expected


def test_one_matrix_by_path_and_by_column(tmp_path):
    path = tmp_path / "emb.npy"
    np.save(path, vectors(10))
    assert [c.name for c in open_source(path).columns] == ["emb"]
    assert [c.name for c in open_source(path, columns={"vector": "emb"}).columns] == ["vector"]
    by_column = open_source(None, columns={"vector": str(path)})
    assert [(c.name, c.source) for c in by_column.columns] == [("vector", "emb")]
    assert collect(by_column)["vector"] == vectors(10).tolist()


def test_batches_are_views_of_the_mapped_file(tmp_path):
    np.save(tmp_path / "v.npy", vectors(1000))
    batch = next(iter(open_source(tmp_path / "v.npy").batches(batch_rows=10)))["v"]
    assert isinstance(batch.base, np.memmap) or isinstance(batch, np.memmap)
    assert not batch.flags.writeable
    assert batch.flags.c_contiguous


def test_shards_of_a_column_follow_one_another_by_number(tmp_path):
    for i, (start, n) in enumerate([(0, 30), (30, 5), (35, 20)]):
        np.save(tmp_path / f"emb_{i + 8}.npy", vectors(n, start=start))  # emb_8, emb_9, emb_10
    source = open_source(None, columns={"vector": str(tmp_path / "emb_*.npy")})
    assert source.n_rows == 55
    assert collect(source, batch_rows=32)["vector"] == vectors(55).tolist()
    assert source.locate(34, "vector") == (str(tmp_path / "emb_9.npy"), 4)
    assert source.locate(35, "vector") == (str(tmp_path / "emb_10.npy"), 0)


def test_shards_of_another_width_are_refused(tmp_path):
    np.save(tmp_path / "e_1.npy", vectors(3, dim=4))
    np.save(tmp_path / "e_2.npy", vectors(3, dim=5))
    with pytest.raises(DataError) as caught:
        open_source(None, columns={"vector": str(tmp_path / "e_*.npy")})
    assert caught.value.file == str(tmp_path / "e_2.npy")
    assert "(n, 4)" in caught.value.expected
    assert "(n, 5)" in caught.value.got


def test_columns_of_different_lengths_are_refused(tmp_path):
    np.save(tmp_path / "id.npy", np.arange(10))
    np.save(tmp_path / "vector.npy", vectors(9))
    with pytest.raises(DataError) as caught:
        open_source(tmp_path)
    assert caught.value.file == str(tmp_path / "vector.npy")
    assert caught.value.expected.startswith("10 rows")
    assert caught.value.got == "9"


@pytest.mark.parametrize(
    "array",
    [
        np.asfortranarray(vectors(10)),
        vectors(10).astype(">f4"),
        vectors(10).astype("<f2"),
        vectors(10).astype(np.int8),
        np.arange(10).astype(">u4"),
        np.array(["a", "", "ccc"], dtype=">U3"),
        np.empty((0, 4), np.float32),
        np.empty(0, np.int64),
    ],
    ids=lambda a: f"{a.dtype.str}-{a.ndim}d-{len(a)}",
)
def test_every_layout_of_numpy(tmp_path, array):
    np.save(tmp_path / "x.npy", array)
    source = open_source(tmp_path / "x.npy")
    assert source.n_rows == len(array)
    assert collect(source, batch_rows=3).get("x", []) == array.tolist()
    for batch in source.batches():
        assert not isinstance(batch["x"], np.ndarray) or batch["x"].dtype.isnative


def test_dates_of_numpy(tmp_path):
    np.save(tmp_path / "d.npy", np.array(["2024-05-01", "NaT"], "M8[D]"))
    np.save(tmp_path / "t.npy", np.array(["2024-05-01T10", "2024-05-01T11"], "M8[h]"))
    got = collect(open_source(tmp_path))
    assert got["d"] == [dt.date(2024, 5, 1), None]
    assert got["t"] == [dt.datetime(2024, 5, 1, 10), dt.datetime(2024, 5, 1, 11)]


def test_bfloat16_comes_as_bytes(tmp_path):
    ml_dtypes = importlib.import_module("ml_dtypes")
    values = vectors(6).astype(ml_dtypes.bfloat16)
    np.save(tmp_path / "v.npy", values)
    source = open_source(tmp_path / "v.npy")
    assert str(source.columns[0].type) == "fixed_size_list<item: fixed_size_binary[2]>[4]"
    batch = next(iter(source.batches()))["v"]
    assert batch.shape == (6, 8)
    assert batch.tobytes() == values.tobytes()


@pytest.mark.parametrize(
    ("array", "got"),
    [
        (np.zeros((2, 2, 2), np.float32), "shape"),
        (np.float32(1), "shape"),
        (np.zeros(3, np.complex64), "dtype"),
        (np.zeros(3, "f4,i4"), "dtype"),
    ],
)
def test_arrays_that_are_no_column_are_refused(tmp_path, array, got):
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(DataError, match=got) as caught:
        open_source(tmp_path / "x.npy")
    assert caught.value.file == str(tmp_path / "x.npy")


def test_damaged_npy_files_are_refused(tmp_path):
    whole = tmp_path / "whole.npy"
    np.save(whole, vectors(1000))
    for name, raw in {
        "cut": whole.read_bytes()[:-1000],
        "header": whole.read_bytes()[:50],
        "empty": b"",
        "noise": b"noise" * 100,
    }.items():
        path = tmp_path / f"{name}.npy"
        path.write_bytes(raw)
        with pytest.raises(DataError) as caught:
            open_source(path)
        assert caught.value.file == str(path), name
    objects = tmp_path / "objects.npy"
    np.save(objects, np.array([{"a": 1}, None], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"objects\.npy"):
        open_source(objects)


def test_bytes_that_are_no_text_are_refused_with_their_row(tmp_path):
    np.save(tmp_path / "t.npy", np.array([b"good", b"good", b"\xff\xfe"]))
    with pytest.raises(DataError) as caught:
        collect(open_source(tmp_path / "t.npy"), batch_rows=2)
    assert (caught.value.field, caught.value.row, caught.value.file) == ("t", 2, str(tmp_path / "t.npy"))


# -- NPZ --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_the_arrays_of_an_archive_are_columns(tmp_path, save):
    path = tmp_path / "set.npz"
    texts = [f"text {i} é" for i in range(100)]
    save(path, id=np.arange(100), vector=vectors(100), text=np.array(texts), half=vectors(100).astype(">f2"))
    expected = {
        "id": list(range(100)),
        "vector": vectors(100).tolist(),
        "text": texts,
        "half": vectors(100).astype(np.float16).tolist(),
    }
    check_restarts(path, expected)
    check_restarts(f"{path}:vector", {"vector": expected["vector"]})
    assert open_source(path).locate(3, "vector") == (f"{path}:vector", 3)
    by_column = open_source(None, columns={"v": f"{path}:vector"})
    assert collect(by_column, start_row=98) == {"v": expected["vector"][98:]}


def test_stored_members_are_mapped_and_compressed_ones_read_once(tmp_path):
    np.savez(tmp_path / "stored.npz", v=vectors(1000))
    batch = next(iter(open_source(tmp_path / "stored.npz").batches(batch_rows=10)))["v"]
    assert isinstance(batch.base, np.memmap) or isinstance(batch, np.memmap)


def test_archives_of_the_same_arrays_follow_one_another(tmp_path):
    for i in (2, 10, 1):
        np.savez(tmp_path / f"s{i}.npz", id=np.arange(i), v=vectors(i))
    expected = {"id": [*range(1), *range(2), *range(10)], "v": [v for i in (1, 2, 10) for v in vectors(i).tolist()]}
    check_restarts(tmp_path, expected)
    check_restarts(tmp_path / "s*.npz", expected)
    source = open_source(None, columns={"x": f"{tmp_path}/s*.npz:v"})
    assert collect(source) == {"x": expected["v"]}
    assert source.locate(3) == (f"{tmp_path}/s10.npz:v", 0)


def test_small_and_empty_archives(tmp_path):
    np.savez(tmp_path / "three.npz", v=vectors(3))
    check_restarts(tmp_path / "three.npz", {"v": vectors(3).tolist()})
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "none.npz", v=vectors(0))
        assert (open_source(tmp_path / "none.npz").n_rows, collect(open_source(tmp_path / "none.npz"))) == (0, {})
    np.savez(tmp_path / "nothing.npz")
    refused(tmp_path / "nothing.npz")
    np.savez(tmp_path / "fortran.npz", v=np.asfortranarray(vectors(9)))
    check_restarts(tmp_path / "fortran.npz", {"v": vectors(9).tolist()})


def test_damaged_archives_are_refused(tmp_path):
    path = tmp_path / "x.npz"
    np.savez_compressed(path, v=np.random.default_rng(1).random((1000, 8)))
    whole = path.read_bytes()
    for raw in (b"", b"noise" * 100, whole[:-1000], whole[:50], b"PK\x03\x04" + bytes(100)):
        path.write_bytes(raw)
        refused(path)
    spoiled = bytearray(whole)
    spoiled[3000:3100] = bytes(100)
    path.write_bytes(spoiled)
    refused(path, "expected a whole NPZ")
    np.savez(path, v=np.array([{}, None], dtype=object), allow_pickle=True)
    refused(path, "pickled")
    np.savez(path, a=vectors(3), b=vectors(4))
    refused(path, "expected 3 rows", "got 4")
    refused(f"{path}:c", "expected an array 'c', got arrays 'a', 'b'")


def test_a_header_that_promises_too_much_costs_nothing(tmp_path):
    """The size of a member is compared with its header before anything is allocated."""
    import zipfile

    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 1000000000), }\n"
    raw = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(tmp_path / "x.npz", "w", method) as archive:
            archive.writestr("v.npy", raw)
        refused(tmp_path / "x.npz", "expected 4000000000000000000091 bytes", "got 91 bytes")
