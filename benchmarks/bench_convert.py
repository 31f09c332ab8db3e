"""Time `convert` from one kind of file to another, against `cp`, PyArrow and h5py. See README.md."""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from command import run_command
from contenders import pyarrow_write, vecmill
from data import arrow_values, check_files, same_values
from harness import BatchFiles, Case, Contender, Target

DIM = 768
Write = Callable[[Path, np.ndarray], None]


def vectors(n_rows: int, dim: int) -> np.ndarray:
    return np.random.default_rng(7).standard_normal((n_rows, dim), dtype=np.float32)


def write_fbin(path: Path, matrix: np.ndarray) -> None:
    with path.open("wb") as file:
        np.array(matrix.shape, "<u4").tofile(file)
        matrix.tofile(file)


def write_fvecs(path: Path, matrix: np.ndarray) -> None:
    rows = np.empty((len(matrix), 1 + matrix.shape[1]), np.float32)
    rows[:, 0] = np.array([matrix.shape[1]], "<i4").view(np.float32)
    rows[:, 1:] = matrix
    rows.tofile(path)


def write_parquet(path: Path, matrix: np.ndarray, **options: Any) -> None:
    pq.write_table(arrow_lists(matrix), path, row_group_size=8192, use_dictionary=False, **options)


def write_hdf5(path: Path, matrix: np.ndarray) -> None:
    with h5py.File(path, "w") as file:
        file["train"] = matrix


def arrow_lists(matrix: np.ndarray) -> pa.Table:
    offsets = np.arange(0, matrix.size + 1, matrix.shape[1], dtype=np.int32)
    return pa.table({"vector": pa.ListArray.from_arrays(offsets, matrix.reshape(-1))})


class Input:
    """A file that is written once, and stays in the page cache; its folder goes with the process."""

    def __init__(self, name: str, write: Write, matrix: np.ndarray) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix=".bench-", dir=".")
        self.path = Path(self._folder.name).resolve() / name
        write(self.path, matrix)

    def read_through(self) -> Path:
        """Bring the file back into the page cache; return its path."""
        with self.path.open("rb") as file:
            while file.read(1 << 20):
                pass
        return self.path


def convert_run(file_type: str, **options: Any) -> Callable[[Path, Path], BatchFiles]:
    """Return a run that converts the one matrix of a file."""

    def run(path: Path, out: Path) -> BatchFiles:
        return vecmill.convert(path, out, file_type=file_type, **options).files

    return run


def copy(path: Path, out: Path) -> Path:
    """Copy as the shell does."""
    subprocess.run(["cp", str(path), str(out)], check=True)
    return out / path.name


def same_bytes(path: Path) -> Callable[[Path, Path], None]:
    def check(got: Path, out: Path) -> None:
        subprocess.run(["cmp", str(path), str(got)], check=True)

    return check


def against_cp(name: str, write: Write, dim: int) -> Callable[[int, int], Case]:
    """Make a case of one kind of array file to NPY against `cp` of that file."""

    def case(n_rows: int, n_batch_rows: int) -> Case:
        n_rows = n_batch_rows * DIM // dim
        matrix = vectors(n_rows, dim)
        given = Input(f"vector.{name}", write, matrix)
        add = partial(Contender, n_rows=n_rows, prepare=given.read_through)
        cp = add("cp", run=copy, check=same_bytes(given.path), rival=True)
        ours = add("convert", run=convert_run("npy"), check=check_files({"vector": matrix}))
        title = f"{name} -> NPY, {n_rows:,} rows x {dim}"
        return Case(f"{name}_{dim}", title, [cp, ours], [Target(ours.name, cp.name, 0.8, 1.0)])

    return case


def parquet_npy(name: str, **options: Any) -> Callable[[int, int], Case]:
    """Make a case of list<float> in Parquet to NPY, against PyArrow that only reads."""

    def case(n_rows: int, n_batch_rows: int) -> Case:
        matrix = vectors(n_batch_rows, DIM)
        given = Input("vector.parquet", partial(write_parquet, **options), matrix)

        def check_table(got: pa.Table, out: Path) -> None:
            assert same_values(arrow_values(got["vector"].combine_chunks()), matrix)

        def check_rows(got: int, out: Path) -> None:
            assert got == n_batch_rows, got

        add = partial(Contender, n_rows=n_batch_rows, prepare=given.read_through)
        table = add("pyarrow read_table", run=lambda path, out: pq.read_table(path), check=check_table, rival=True)
        batches = add("pyarrow iter_batches", run=count_batches, check=check_rows, rival=True)
        ours = add("convert", run=convert_run("npy"), check=check_files({"vector": matrix}))
        title = f"Parquet list<float> {name} -> NPY, {n_batch_rows:,} rows x {DIM}; PyArrow only reads"
        targets = [Target(ours.name, rival.name, 0.8) for rival in (table, batches)]
        return Case(f"parquet_{name}", title, [table, batches, ours], targets)

    return case


def count_batches(path: Path, out: Path) -> int:
    with pq.ParquetFile(path) as file:
        return sum(batch.num_rows for batch in file.iter_batches())


def hdf5_parquet(n_rows: int, n_batch_rows: int) -> Case:
    """An ann-benchmarks file to Parquet, against h5py and PyArrow."""
    matrix = vectors(n_batch_rows, DIM)
    given = Input("vector.hdf5", write_hdf5, matrix)

    def rival_run(path: Path, out: Path) -> BatchFiles:
        with h5py.File(path) as file:
            return pyarrow_write(arrow_lists(file["train"][:]), out)

    add = partial(Contender, n_rows=n_batch_rows, prepare=given.read_through, check=check_files({"vector": matrix}))
    rival = add("h5py + pyarrow", run=rival_run, rival=True)
    run = convert_run("parquet", columns={"vector": "train"})
    ours = add("convert", run=run)
    title = f"HDF5 -> Parquet, {n_batch_rows:,} rows x {DIM}"
    return Case("hdf5_parquet", title, [rival, ours], [Target(ours.name, rival.name, 0.8, 8.0)])


CASES: dict[str, Callable[[int, int], Case]] = {
    "npy": against_cp("npy", np.save, DIM),
    "fbin": against_cp("fbin", write_fbin, DIM),
    "fvecs": against_cp("fvecs", write_fvecs, DIM),
    "fvecs_128": against_cp("fvecs", write_fvecs, 128),
    "parquet_plain": parquet_npy("plain", compression="none"),
    "parquet_snappy": parquet_npy("snappy", compression="snappy"),
    "hdf5_parquet": hdf5_parquet,
}


if __name__ == "__main__":
    sys.exit(run_command(__doc__, CASES))
