"""The contract of `Source`, the same for every kind of file: columns, rows, batches from any row on, `locate`."""

from __future__ import annotations

import csv
import gzip
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from paths import DATA
from source_data import check_restarts, collect, table, vectors
from vecmill.sources import Source, open_source

N = 90
CUT = 33  # rows of the first of two files
Build = Callable[[Path], Any]
"""Write files into a folder; return what is opened."""


def two(folder: Path, ending: str, write: Callable[[Path, pa.Table], Any]) -> Path:
    """Write `N` rows into two files; the folder stands for both."""
    write(folder / f"a1{ending}", table(CUT))
    write(folder / f"a2{ending}", table(N - CUT, start=CUT))
    return folder


def write_rows(path: Path, rows: pa.Table) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows.to_pylist()))


def write_array(path: Path, rows: pa.Table) -> None:
    path.write_text(json.dumps({"rows": rows.to_pylist()}))


def write_fields(path: Path, rows: pa.Table, delimiter: str = ",") -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(rows.column_names)
        writer.writerows([*map(json.dumps, row.values())] for row in rows.to_pylist())


def write_ipc(path: Path, rows: pa.Table) -> None:
    with pa.ipc.new_file(path, rows.schema) as writer:
        writer.write_table(rows, max_chunksize=20)


def packed(folder: Path) -> Path:
    write_rows(folder / "plain", table(N))
    path = folder / "rows.jsonl.gz"
    path.write_bytes(gzip.compress((folder / "plain").read_bytes()))
    return path


def fvecs(path: Path, matrix: np.ndarray) -> None:
    path.write_bytes(b"".join(struct.pack("<i", matrix.shape[1]) + row.tobytes() for row in matrix))


def fbin(path: Path, matrix: np.ndarray) -> None:
    path.write_bytes(struct.pack("<II", *matrix.shape) + matrix.tobytes())


def hdf5(path: Path, columns: dict[str, np.ndarray]) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        for name, values in columns.items():
            file.create_dataset(name, data=values, chunks=(16, *values.shape[1:]))


def safetensors(path: Path, columns: dict[str, np.ndarray]) -> None:
    from safetensors.numpy import save_file

    save_file(columns, path)


def faiss(path: Path, matrix: np.ndarray) -> None:
    import faiss

    index = faiss.IndexFlatL2(matrix.shape[1])
    index.add(matrix)
    faiss.write_index(index, str(path))


def lance(folder: Path) -> Path:
    import lance

    lance.write_dataset(table(N), folder / "rows.lance", max_rows_per_file=40)
    return folder / "rows.lance"


def saved_dataset(folder: Path) -> Path:
    import datasets

    datasets.Dataset(table(N)).save_to_disk(folder / "saved")
    return folder / "saved"


def one_array(name: str, write: Callable[[Path, np.ndarray], Any]) -> Build:
    def build(folder: Path) -> Path:
        write(folder / name, vectors(N))
        return folder / name

    return build


def arrays(name: str, write: Callable[..., Any]) -> Build:
    def build(folder: Path) -> Path:
        write(folder / name, {"id": np.arange(N), "vector": vectors(N)})
        return folder / name

    return build


def side_by_side(folder: Path) -> list[Path]:
    two(folder, ".parquet", lambda path, rows: pq.write_table(rows.select(["id", "text"]), path, row_group_size=9))
    np.save(folder / "vector.npy", vectors(N))
    return [folder / "a1.parquet", folder / "a2.parquet", folder / "vector.npy"]


ALL, ARRAYS, VECTOR = ("id", "text", "vector"), ("id", "vector"), ("vector",)

KINDS: dict[str, tuple[tuple[str, ...], Build]] = {
    "parquet": (ALL, lambda f: two(f, ".parquet", lambda p, rows: pq.write_table(rows, p, row_group_size=10))),
    "arrow": (ALL, lambda f: two(f, ".arrow", write_ipc)),
    "datasets": (ALL, saved_dataset),
    "lance": (ALL, lance),
    "jsonl": (ALL, lambda f: two(f, ".jsonl", write_rows)),
    "jsonl.gz": (ALL, packed),
    "json": (ALL, lambda f: two(f, ".json", write_array)),
    "csv": (ALL, lambda f: two(f, ".csv", write_fields)),
    "tsv": (ALL, lambda f: two(f, ".tsv", lambda p, rows: write_fields(p, rows, "\t"))),
    "npy": (VECTOR, one_array("vector.npy", np.save)),
    "npz": (ARRAYS, arrays("a.npz", lambda path, columns: np.savez(path, **columns))),
    "npz, compressed": (ARRAYS, arrays("a.npz", lambda path, columns: np.savez_compressed(path, **columns))),
    "hdf5": (ARRAYS, arrays("a.h5", hdf5)),
    "safetensors": (ARRAYS, arrays("a.safetensors", safetensors)),
    "fvecs": (VECTOR, one_array("vector.fvecs", fvecs)),
    "fbin": (VECTOR, one_array("vector.fbin", fbin)),
    "faiss": (VECTOR, one_array("a.faiss", faiss)),
    "pyarrow table": (ALL, lambda _: table(N)),
    "polars frame": (ALL, lambda _: pl.from_arrow(table(N))),
    "pandas frame": (ALL, lambda _: table(N).to_pandas()),
    "side by side": (ALL, side_by_side),
}


@pytest.fixture(params=KINDS)
def case(request, tmp_path) -> tuple[Any, dict[str, list]]:
    """What is opened, and the columns that are in it."""
    names, build = KINDS[request.param]
    expected = {name: values for name, values in table(N).to_pydict().items() if name in names}
    if request.param in ("csv", "tsv"):
        expected["text"] = [json.dumps(text) for text in expected["text"]]
    return build(tmp_path), expected


class TestSource:
    """Every kind of source keeps these promises; a new kind is one line in `KINDS`."""

    def test_columns_are_told_before_anything_is_read(self, case):
        given, expected = case
        source = open_source(given)
        assert sorted(column.name for column in source.columns) == sorted(expected)
        assert all(isinstance(column.type, pa.DataType) for column in source.columns)
        assert all(column.null_count in (None, 0) for column in source.columns)
        assert source.n_rows in (None, N)
        assert source.n_bytes >= 0

    def test_batches_from_any_row_on_in_any_size(self, case):
        given, expected = case
        check_restarts(given, expected)

    def test_only_the_columns_that_are_asked_for(self, case):
        given, expected = case
        source = open_source(given)
        for name, values in expected.items():
            assert collect(source, [name], 7, 20) == {name: values[20:]}

    def test_a_column_under_the_name_of_a_field(self, case):
        given, expected = case
        source = open_source(given, columns={"field": "vector"})
        assert [(column.name, column.source) for column in source.columns] == [("field", "vector")]
        assert collect(source) == {"field": expected["vector"]}

    def test_two_readers_at_once_do_not_disturb_each_other(self, case):
        given, expected = case
        source = open_source(given)
        first, second = source.batches(batch_rows=4), source.batches(batch_rows=9, start_row=50)
        found: dict[str, list[list]] = {"first": [], "second": []}
        for _ in range(5):
            for name, batches in (("first", first), ("second", second)):
                found[name] += as_list(next(batches)["vector"])
        first.close()
        second.close()
        assert found["first"] == expected["vector"][: len(found["first"])]
        assert found["second"] == expected["vector"][50 : 50 + len(found["second"])]

    def test_reading_that_is_broken_off_can_begin_anew(self, case):
        given, expected = case
        source = open_source(given)
        batches = source.batches(batch_rows=5)
        next(batches)
        batches.close()
        assert collect(source) == expected

    def test_every_row_is_located(self, case):
        given, _ = case
        source = open_source(given)
        collect(source)
        last: dict[str, int] = {}
        for row in range(N):
            place, inside = source.locate(row, "vector")
            assert inside == last.get(place, -1) + 1
            last[place] = inside
        assert sum(count + 1 for count in last.values()) == N
        paths = [given] if isinstance(given, Path) else given if isinstance(given, list) else []
        for place in last:
            assert not paths or any(place.startswith(str(path)) for path in paths), place


def as_list(values: Any) -> list:
    return values.tolist() if isinstance(values, np.ndarray) else values.to_pylist()


def test_what_torch_wrote_keeps_the_promises():
    path = DATA / "torch" / "float32.pt"
    source: Source = open_source(path)
    check_restarts(path, collect(source))
