"""Time columns to Parquet: `append_batch` against PyArrow, and against `numpy.save` of the vectors. See README.md."""

import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from command import run_command
from contenders import (
    BATCH_ROWS,
    append_batches,
    arrow_lists,
    arrow_table,
    numpy_save,
    pieces,
    pyarrow_write,
    vecmill_run,
)
from data import check_files, make_columns
from harness import BatchFiles, Case, Contender, Target

ROWS_WITH_NULL = 0.1


def float32(n_rows: int, n_batch_rows: int) -> Case:
    """Columns to uncompressed Parquet against PyArrow, and against numpy.save of the vectors alone."""
    columns = make_columns(n_batch_rows)
    table = arrow_table(columns)
    given = columns | {"text": table["text"].combine_chunks()}
    add = partial(Contender, n_rows=n_batch_rows, check=check_files(columns))
    rival = partial(add, prepare=lambda: table, rival=True)
    save = save_vectors(columns["vector"])
    run = vecmill_run(append_batches, "PARQUET")
    pyarrow = rival("pyarrow", run=pyarrow_write)
    grouped = rival("pyarrow, groups of 8192", run=partial(pyarrow_write, row_group_size=BATCH_ROWS))
    ours = [
        add("one batch", run=run, prepare=lambda: [given]),
        add("batches of 8192", run=run, prepare=lambda: pieces(given)),
        add("one Arrow table", run=run, prepare=lambda: [table]),
    ]
    targets = [Target(c.name, r.name, 8.0) for c in ours for r in (pyarrow, grouped)]
    targets += [Target(c.name, save.name, 0.8) for c in ours]
    title = f"append_batch -> Parquet, {n_batch_rows:,} rows x 768"
    return Case("float32", title, [pyarrow, grouped, save, *ours], targets)


def zstd(n_rows: int, n_batch_rows: int) -> Case:
    """Columns to Parquet with zstd against PyArrow at level 1; the sizes count as well."""
    columns = make_columns(n_batch_rows)
    table = arrow_table(columns)
    given = columns | {"text": table["text"].combine_chunks()}
    add = partial(Contender, n_rows=n_batch_rows, check=check_files(columns))
    write = partial(pyarrow_write, compression="zstd", compression_level=1)
    rival = partial(add, prepare=lambda: table, rival=True)
    rivals = [
        rival("pyarrow zstd-1", run=write),
        rival("pyarrow zstd-1, groups of 8192", run=partial(write, row_group_size=BATCH_ROWS)),
    ]
    run = vecmill_run(append_batches, "PARQUET", {"compression": "zstd"})
    ours = [
        add("one batch", run=run, prepare=lambda: [given]),
        add("batches of 8192", run=run, prepare=lambda: pieces(given)),
    ]
    targets = [Target(c.name, r.name, 1.5) for c in ours for r in rivals]
    return Case("zstd", f"the same with zstd level 1, {n_batch_rows:,} rows x 768", [*rivals, *ours], targets)


def bytes_of(vector_type: str, make: Callable[[np.random.Generator, int], np.ndarray]) -> Callable[[int, int], Case]:
    """Make a case of vectors of one or two bytes an element; PyArrow users write them as lists of bytes."""

    def case(n_rows: int, n_batch_rows: int) -> Case:
        vectors = make(np.random.default_rng(7), n_batch_rows)
        stored = vectors if vectors.dtype == np.int8 else vectors.view(np.uint8)
        dim = 8 * stored.shape[1] if vector_type == "BINARY_VECTOR" else vectors.shape[1]
        columns = make_columns(n_batch_rows, dim=1) | {"vector": stored}
        table = arrow_table(columns)
        given = columns | {"text": table["text"].combine_chunks(), "vector": vectors}
        add = partial(Contender, n_rows=n_batch_rows, check=check_files(columns))
        rival = partial(add, prepare=lambda: table, rival=True)
        lists = f"pyarrow {table['vector'].type}".replace("element: ", "")
        rivals = [
            rival(lists, run=pyarrow_write),
            rival("with a dictionary", run=partial(pyarrow_write, use_dictionary=True)),
        ]
        if vectors.dtype != np.int8:
            whole = pa.array([row.tobytes() for row in stored], pa.binary())
            as_binary = table.set_column(2, "vector", whole)
            rivals.append(add("pyarrow binary", run=pyarrow_write, prepare=lambda: as_binary, rival=True))
        save = save_vectors(stored)
        run = vecmill_run(append_batches, "PARQUET", dim=dim, vector_type=vector_type)
        ours = add("one batch", run=run, prepare=lambda: [given])
        title = f"{vector_type} -> Parquet, {n_batch_rows:,} rows x {stored.shape[1]} bytes"
        targets = [Target(ours.name, rivals[0].name, 6.0)]
        return Case(vector_type.split("_", maxsplit=1)[0].lower(), title, [*rivals, save, ours], targets)

    return case


def nullable(n_rows: int, n_batch_rows: int) -> Case:
    """Make a case of float32 vectors of which one in ten is null, as Arrow data."""
    columns = make_columns(n_batch_rows)
    nulls = np.random.default_rng(7).random(n_batch_rows) < ROWS_WITH_NULL
    table = arrow_table(columns).set_column(2, "vector", arrow_lists(columns["vector"], nulls))
    add = partial(Contender, n_rows=n_batch_rows, check=same_table(table))
    run = vecmill_run(append_batches, "PARQUET", nullable=True)
    pyarrow = add("pyarrow", run=pyarrow_write, prepare=lambda: table, rival=True)
    ours = add("one Arrow table", run=run, prepare=lambda: [table])
    title = f"float32 vectors, one in ten null -> Parquet, {n_batch_rows:,} rows x 768"
    return Case("nullable", title, [pyarrow, ours], [Target(ours.name, pyarrow.name, 1.0)])


def save_vectors(vectors: np.ndarray) -> Contender:
    """Make the contender that saves the vectors and nothing else."""
    given = {"vector": vectors}
    return Contender("numpy.save vectors", len(vectors), numpy_save, check_files(given), lambda: given, rival=True)


def same_table(want: pa.Table) -> Callable[[BatchFiles, Path], None]:
    """Make a check that compares all files with one table, nulls included."""

    def check(batch_files: BatchFiles, folder: Path) -> None:
        got = pa.concat_tables([pq.read_table(path) for (path,) in batch_files])
        for name in want.column_names:
            assert got[name].combine_chunks().equals(want[name].combine_chunks()), f"field {name!r} differs"

    return check


def half(dtype: Callable[[], Any]) -> Callable[[np.random.Generator, int], np.ndarray]:
    return lambda rng, n: rng.standard_normal((n, 768), np.float32).astype(dtype())


def bfloat16() -> np.dtype:
    import ml_dtypes

    return np.dtype(ml_dtypes.bfloat16)


CASES: Mapping[str, Callable[[int, int], Case]] = {
    "float32": float32,
    "zstd": zstd,
    "float16": bytes_of("FLOAT16_VECTOR", half(lambda: np.float16)),
    "bfloat16": bytes_of("BFLOAT16_VECTOR", half(bfloat16)),
    "binary": bytes_of("BINARY_VECTOR", lambda rng, n: rng.integers(0, 256, (n, 768), np.uint8)),
    "int8": bytes_of("INT8_VECTOR", lambda rng, n: rng.integers(-128, 128, (n, 768), np.int8)),
    "nullable": nullable,
}

if __name__ == "__main__":
    sys.exit(run_command(__doc__, CASES))
