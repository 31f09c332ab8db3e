"""Files of one array each in a folder: shards of one column, or columns side by side."""

from __future__ import annotations

import numpy as np
import pytest

from source_data import collect, vectors
from vecmill.errors import DataError
from vecmill.sources import open_source


def save(folder, **arrays):
    folder.mkdir(exist_ok=True)
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return folder


def names(source):
    return {column.name for column in source.columns}


@pytest.mark.parametrize("form", ["emb_{}", "emb-{}", "emb{}", "emb_{:05}"])
def test_files_that_differ_in_their_number_are_one_column(tmp_path, form):
    parts = {form.format(i): vectors(10, start=10 * i) for i in range(12)}
    folder = save(tmp_path / "in", **parts)
    for path in (folder, f"{folder}/*.npy"):
        source = open_source(path)
        assert names(source) == {"emb"}
        assert collect(source)["emb"] == vectors(120).tolist()
    mapped = open_source(None, columns={"v": f"{folder}/"})
    assert collect(mapped) == {"v": vectors(120).tolist()}
    assert collect(open_source(None, columns={"v": str(folder)})) == {"v": vectors(120).tolist()}


def test_numbers_alone_have_the_name_of_the_folder(tmp_path):
    folder = save(tmp_path / "embeddings", **{str(i): vectors(3, start=3 * i) for i in range(11)})
    assert collect(open_source(folder)) == {"embeddings": vectors(33).tolist()}


def test_shards_of_several_columns_pair_up(tmp_path):
    parts = {f"emb_{i}": vectors(5, start=5 * i) for i in range(3)} | {
        f"id_{i}": np.arange(5) + 5 * i for i in range(3)
    }
    source = open_source(save(tmp_path / "in", **parts))
    assert collect(source) == {"emb": vectors(15).tolist(), "id": list(range(15))}


def test_a_column_of_the_rows_of_all_shards_stands_beside_them(tmp_path):
    folder = save(tmp_path / "in", emb_0=vectors(5), emb_1=vectors(5, start=5), id=np.arange(10))
    assert collect(open_source(folder)) == {"emb": vectors(10).tolist(), "id": list(range(10))}


def test_numbered_columns_stay_columns(tmp_path):
    for arrays in (
        {"v1": vectors(5), "v2": vectors(5), "id": np.arange(5)},  # as many rows as the file beside them
        {"v1": vectors(5), "v2": vectors(5, dim=8)},  # of two dims
        {"v1": vectors(5), "v2": vectors(5).astype(np.float64)},
        {"v1": vectors(5), "v2": np.arange(5)},
    ):
        folder = save(tmp_path / f"in-{len(list(tmp_path.iterdir()))}", **arrays)
        assert names(open_source(folder)) == set(arrays)
    folder = save(tmp_path / "two", v1=vectors(5), v2=vectors(5))
    assert names(open_source(folder, columns={"v1": "v1", "w": "v2"})) == {"v1", "w"}
    assert names(open_source(folder, also=["v1", "v2"])) == {"v1", "v2"}
    assert names(open_source([folder / "v1.npy", folder / "v2.npy"])) == {"v1", "v2"}, "named one by one"


def test_what_goes_neither_way_names_both(tmp_path):
    folder = save(tmp_path / "in", emb_0=vectors(5), emb_1=vectors(5), id=np.arange(7))
    with pytest.raises(DataError) as caught:
        open_source(folder)
    words = str(caught.value)
    assert f"--map 'emb={folder}/emb*.npy' if they are shards" in words
    assert f"--map emb_0={folder}/emb_0.npy ... if each is a column" in words
    assert "\n" not in words
