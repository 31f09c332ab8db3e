"""Time vecmill's LocalBulkWriter against pymilvus and `numpy.save`. See README.md.

Columns to Parquet: bench_parquet.py.
"""

import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from command import run_command
from contenders import (
    Columns,
    append_all,
    append_batches,
    append_each,
    fresh,
    numpy_save,
    optional,
    pieces,
    pymilvus_run,
    vecmill_run,
)
from data import check_files, make_columns, make_rows, same_values
from harness import Case, Contender, Target


def bits_of(packed: np.ndarray) -> list[int]:
    return np.unpackbits(packed).tolist()


def batch_npy(n_rows: int, n_batch_rows: int) -> Case:
    """Columns to NPY against numpy.save of the same arrays."""
    columns = make_columns(n_batch_rows)
    texts = columns["text"].tolist()
    feeds = {
        "one batch": [columns],
        "batches of 8192": pieces(columns),
        "one batch, text list[str]": [columns | {"text": texts}],
        "one batch, text Arrow": [columns | {"text": pa.array(texts)}],
        "batches of 8192, text Arrow": pieces(columns | {"text": pa.array(texts)}),
    }
    add = partial(Contender, n_rows=n_batch_rows, check=check_files(columns))
    save = add("numpy.save", run=numpy_save, prepare=lambda: columns, rival=True)
    run = vecmill_run(append_batches, "NUMPY")
    ours = [add(name, run=run, prepare=lambda feed=feed: feed) for name, feed in feeds.items()]
    targets = [Target(name, save.name, 1.0) for name in feeds]
    return Case("batch_npy", f"append_batch -> NPY, {n_batch_rows:,} rows x 768", [save, *ours], targets)


def rows_case(name: str, file_type: str, vector: str, targets: Mapping[str, tuple[float, float | None]]) -> Callable:
    """Make a case of row dicts, vectors as lists of float or as arrays, against pymilvus."""

    def case(n_rows: int, n_batch_rows: int) -> Case:
        columns = make_columns(n_rows)
        rows = make_rows(columns, np.ndarray.tolist if vector == "list" else np.ndarray.copy)
        add = partial(Contender, n_rows=n_rows, check=check_files(columns), prepare=fresh(rows))
        peer = add("pymilvus", run=pymilvus_run(file_type), rival=True)
        return Case(
            name,
            f"dicts with {vector} vectors -> {file_type}, {n_rows:,} rows x 768",
            [peer, *both_row_feeds(add, file_type)],
            [Target(feed, peer.name, *figures) for feed, figures in targets.items()],
        )

    return case


def both_row_feeds(add: Callable, file_type: str, **schema: Any) -> list[Contender]:
    return [
        add("append_rows", run=vecmill_run(append_all, file_type, **schema)),
        add("append_row", run=vecmill_run(append_each, file_type, **schema)),
    ]


def binary_rows(name: str, vector: Callable[[np.ndarray], Any], how: str) -> Callable:
    """Make a case of binary vectors, dim 1024, in row dicts -> NPY."""

    def case(n_rows: int, n_batch_rows: int) -> Case:
        packed = np.random.default_rng(7).integers(0, 256, (n_rows, 128), dtype=np.uint8)
        columns = make_columns(n_rows, dim=1) | {"vector": packed}
        schema = {"dim": 1024, "vector_type": "BINARY_VECTOR"}
        rows = make_rows(columns, vector)
        add = partial(Contender, n_rows=n_rows, check=check_files(columns), prepare=fresh(rows))
        peer = add("pymilvus", run=pymilvus_run("NUMPY", **schema), rival=True)
        contenders = [peer, *both_row_feeds(add, "NUMPY", **schema)]
        return Case(name, f"binary vectors as {how} -> NPY, {n_rows:,} rows x 1024 bits", contenders)

    return case


def pack_bits(n_rows: int, n_batch_rows: int) -> Case:
    """Pack a 0/1 matrix: the kernel alone, into memory, against np.packbits."""
    bits = np.random.default_rng(7).integers(0, 2, (n_batch_rows, 1024), dtype=np.uint8)
    want = np.packbits(bits, axis=1)

    def check(got: np.ndarray, out: Path) -> None:
        assert same_values(got, want), "bits differ"

    add = partial(Contender, n_rows=n_batch_rows, check=check)
    contenders = [add("np.packbits", run=lambda state, out: np.packbits(bits, axis=1), rival=True)]
    if kernels := optional("vecmill._native.bits", "pack_bits_into"):

        def ours(dst: np.ndarray, out: Path) -> np.ndarray:
            kernels.pack_bits_into(bits, dst)
            return dst

        contenders += [
            add("pack_bits_into new memory", run=lambda state, out: ours(np.empty_like(want), out)),
            add("pack_bits_into warm memory", run=ours, prepare=lambda: np.full_like(want, 255)),
        ]
    return Case("pack_bits", f"0/1 matrix -> bits, {n_batch_rows:,} x 1024", contenders)


def half_case(name: str, vector_type: str, dtype: Callable[[], np.dtype]) -> Callable:
    """Make a case of float32 columns for a half-precision field; Milvus reads its NPY as (n, 2 * dim) uint8."""

    def case(n_rows: int, n_batch_rows: int) -> Case:
        columns = make_columns(n_batch_rows)
        half = dtype()

        def convert(given: Columns) -> Columns:
            return given | {"vector": given["vector"].astype(half).view(np.uint8)}

        add = partial(Contender, n_rows=n_batch_rows, check=check_files(convert(columns)))
        run = vecmill_run(append_batches, "NUMPY", vector_type=vector_type)
        contenders = [
            add(
                "astype + numpy.save",
                run=lambda c, out: numpy_save(convert(c), out),
                prepare=lambda: columns,
                rival=True,
            ),
            add("one batch", run=run, prepare=lambda: [columns]),
            add("batches of 8192", run=run, prepare=lambda: pieces(columns)),
        ]
        targets = [Target(c.name, contenders[0].name, 1.0) for c in contenders[1:]]
        return Case(name, f"float32 batch -> {vector_type} NPY, {n_batch_rows:,} rows x 768", contenders, targets)

    return case


def bfloat16() -> np.dtype:
    import ml_dtypes

    return np.dtype(ml_dtypes.bfloat16)


def text_ucs4(n_rows: int, n_batch_rows: int) -> Case:
    """Turn a list of str into a `<U` array, the kernel alone, against np.array."""
    want = make_columns(n_batch_rows, dim=1)["text"]
    texts = want.tolist()

    def check(got: np.ndarray, out: Path) -> None:
        assert same_values(got, want), "text differs"

    contenders = [Contender("np.array", n_batch_rows, lambda state, out: np.array(texts), check, rival=True)]
    # Hook: add the kernel of vecmill._native.text here once it exists.
    return Case("text_ucs4", f"list[str] -> <U, {n_batch_rows:,} rows", contenders)


CASES: dict[str, Callable[[int, int], Case]] = {
    "batch_npy": batch_npy,
    "rows_npy_list": rows_case("rows_npy_list", "NUMPY", "list", {"append_rows": (24, None), "append_row": (20, None)}),
    "rows_npy_ndarray": rows_case("rows_npy_ndarray", "NUMPY", "ndarray", {"append_row": (45, None)}),
    "rows_parquet_list": rows_case("rows_parquet_list", "PARQUET", "list", {"append_rows": (8, 25)}),
    "rows_parquet_ndarray": rows_case("rows_parquet_ndarray", "PARQUET", "ndarray", {"append_rows": (8, 25)}),
    "binary_rows_list": binary_rows("binary_rows_list", bits_of, "lists of 0/1"),
    "binary_rows_bytes": binary_rows("binary_rows_bytes", np.ndarray.tobytes, "bytes"),
    "pack_bits": pack_bits,
    "half_float16": half_case("half_float16", "FLOAT16_VECTOR", lambda: np.dtype(np.float16)),
    "half_bfloat16": half_case("half_bfloat16", "BFLOAT16_VECTOR", bfloat16),
    "text_ucs4": text_ucs4,
}

KERNEL_CASES = ("pack_bits", "text_ucs4")

if __name__ == "__main__":
    sys.exit(run_command(__doc__, CASES, without_vecmill=KERNEL_CASES))
