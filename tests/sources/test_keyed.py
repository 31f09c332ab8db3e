"""One vector for each key or file, as two columns."""

from __future__ import annotations

import shutil
import time

import h5py
import numpy as np
import pytest
from safetensors.numpy import save_file
from typer.testing import CliRunner

from converted import rows
from paths import SAMPLE
from source_data import check_restarts, collect, refused
from vecmill import DataType, convert
from vecmill.cli import app
from vecmill.sources import open_source

KEYS = [f"P{i:03}" for i in range(20)]
VECTORS = np.arange(80, dtype=np.float32).reshape(20, 4)
EXPECTED = {"id": KEYS, "vector": VECTORS.tolist()}


def h5(path, name="{}"):
    with h5py.File(path, "w") as file:
        for key, vector in zip(KEYS, VECTORS, strict=True):
            file[name.format(key)] = vector
    return path


def npz(path, save=np.savez):
    save(path, **dict(zip(KEYS, VECTORS, strict=True)))
    return path


def safetensors(path):
    save_file(dict(zip(KEYS, VECTORS, strict=True)), path)
    return path


def folder(path):
    path.mkdir()
    for key, vector in zip(KEYS, VECTORS, strict=True):
        np.save(path / f"{key}.npy", vector)
    return path


MADE = {
    "a.h5": h5,
    "groups.h5": lambda path: h5(path, "{}/embedding"),
    "a.npz": npz,
    "packed.npz": lambda path: npz(path, np.savez_compressed),
    "a.safetensors": safetensors,
    "folder": folder,
}


@pytest.mark.parametrize("name", MADE)
def test_keys_and_vectors_are_two_columns(tmp_path, name):
    src = MADE[name](tmp_path / name)
    check_restarts(src, EXPECTED, rows_from="keys")
    assert collect(open_source(src, rows_from="keys"), ["id"]) == {"id": KEYS}
    mapped = open_source(src, rows_from="keys", columns={"emb": "vector"})
    assert collect(mapped) == {"emb": EXPECTED["vector"]}
    assert mapped.locate(3)[0].startswith(str(src))


def test_a_part_of_a_file_and_several_files(tmp_path):
    src = h5(tmp_path / "a.h5", "proteins/{}")
    assert collect(open_source(f"{src}:proteins", rows_from="keys")) == EXPECTED
    shutil.copy(src, tmp_path / "b.h5")
    both = collect(open_source([f"{src}:proteins", f"{tmp_path}/b.h5:proteins"], rows_from="keys"))
    assert both == {"id": KEYS * 2, "vector": EXPECTED["vector"] * 2}


def test_the_command_line_makes_a_collection_of_them(tmp_path):
    src = h5(tmp_path / "a.h5")
    for done in (
        CliRunner().invoke(app, ["convert", str(src), str(tmp_path / "out"), "--rows-from", "keys"]),
        CliRunner().invoke(
            app,
            ["convert", str(src), str(tmp_path / "o"), "--rows-from", "keys", "--map", "pk=id", "--map", "v=vector"],
        ),
    ):
        assert done.exit_code == 0, done.output
    report = convert(src, tmp_path / "r", rows_from="keys")
    assert {f["name"]: f["type"] for f in report.schema["fields"]} == {
        "id": DataType.VARCHAR, "vector": DataType.FLOAT_VECTOR
    }  # fmt: skip
    assert report.schema["fields"][0]["is_primary"]
    assert [row["id"] for row in rows(report)] == KEYS


def test_what_is_no_vector_for_each_key_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a"], file["b"] = np.zeros(4, np.float32), np.zeros(5, np.float32)
    refused(tmp_path / "a.h5", "of 4 values as in", "of shape (5,)", rows_from="keys")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a"] = np.zeros((7, 4), np.float32)
    refused(tmp_path / "a.h5", "one vector of '<f4' for each key", "shape (7, 4)", rows_from="keys")
    np.savez(tmp_path / "b.npz", a=np.zeros(4, np.float32), b=np.array([None], object))
    refused(tmp_path / "b.npz", "pickled Python objects", rows_from="keys")
    refused(SAMPLE, "a file of arrays", rows_from="keys")


def test_many_keys_take_linear_time(tmp_path):
    seconds = []
    for n in (1500, 6000):
        path = tmp_path / f"{n}.h5"
        with h5py.File(path, "w") as file:
            for i in range(n):
                file.create_dataset(f"k{i}", data=VECTORS[i % 20])
        began = time.perf_counter()
        got = collect(open_source(path, rows_from="keys"))
        seconds.append(time.perf_counter() - began)
        assert len(set(got["id"])) == n
        assert got["vector"][13] == VECTORS[int(got["id"][13][1:]) % 20].tolist()
    assert seconds[1] < 9 * seconds[0]
