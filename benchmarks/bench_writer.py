"""Time vecmill's LocalBulkWriter against pymilvus, `numpy.save` and PyArrow. See README.md."""

import argparse
import importlib
import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from harness import (
    BatchFiles,
    Case,
    Contender,
    Target,
    check_files,
    make_columns,
    make_rows,
    make_schema,
    report,
    run_interleaved,
    same_values,
    work_folder,
    write_json,
)

Columns = Mapping[str, Any]
BATCH_ROWS = 8192


def optional(name: str, needed: str) -> ModuleType | None:
    """Import a module that has `needed`; None while there is none: its contenders are then left out."""
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if not name.startswith(error.name or "?"):  # it is there, but broken: that must not pass for absent
            raise
        return None
    return module if hasattr(module, needed) else None


vecmill = optional("vecmill", "LocalBulkWriter")


# --- what is timed ----------------------------------------------------------------------------------------------------


def vecmill_run(
    feed: Callable[[Any, Any], None], file_type: str, config: dict | None = None, **schema: Any
) -> Callable:
    """Time the writer from its construction to the end of close()."""

    def run(data: Any, out: Path) -> BatchFiles:
        kind = getattr(vecmill.BulkFileType, file_type)
        with vecmill.LocalBulkWriter(make_schema(vecmill, **schema), str(out), file_type=kind, config=config) as writer:
            feed(writer, data)
            writer.commit()
        return writer.batch_files

    return run


def pymilvus_run(file_type: str, **schema: Any) -> Callable:
    """Time pymilvus from its construction to the end of commit(), row by row: it has no other way."""
    import pymilvus
    from pymilvus.bulk_writer import BulkFileType, LocalBulkWriter

    logging.disable(logging.INFO)  # importing it sets the root logger up to print every step

    def run(rows: list[dict], out: Path) -> BatchFiles:
        kind = getattr(BulkFileType, file_type)
        writer = LocalBulkWriter(make_schema(pymilvus, **schema), str(out), file_type=kind)
        append_each(writer, rows)
        writer.commit()
        return writer.batch_files

    return run


def append_each(writer: Any, rows: Sequence[dict]) -> None:
    for row in rows:
        writer.append_row(row)


def append_all(writer: Any, rows: Sequence[dict]) -> None:
    writer.append_rows(rows)


def append_batches(writer: Any, batches: Sequence[Columns]) -> None:
    for batch in batches:
        writer.append_batch(batch)


def numpy_save(columns: Columns, out: Path) -> BatchFiles:
    paths = [str(out / f"{name}.npy") for name in columns]
    for path, values in zip(paths, columns.values(), strict=True):
        np.save(path, values)
    return [paths]


def pyarrow_write(table: pa.Table, out: Path, **options: Any) -> BatchFiles:
    path = str(out / "1.parquet")
    pq.write_table(table, path, use_dictionary=False, **options)
    return [[path]]


# --- what is fed ------------------------------------------------------------------------------------------------------


def pieces(columns: Columns, size: int = BATCH_ROWS) -> list[Columns]:
    n = len(columns["id"])
    return [{name: values[i : i + size] for name, values in columns.items()} for i in range(0, n, size)]


def arrow_table(columns: Mapping[str, np.ndarray]) -> pa.Table:
    """Make the table of the columns with vectors as list<float>, the type Milvus reads."""
    n, dim = columns["vector"].shape
    offsets = pa.array(np.arange(n + 1, dtype=np.int32) * dim) if n * dim < 2**31 else None
    flat = pa.array(columns["vector"].reshape(-1))
    if offsets is None:
        vectors = pa.LargeListArray.from_arrays(pa.array(np.arange(n + 1, dtype=np.int64) * dim), flat)
    else:
        vectors = pa.ListArray.from_arrays(offsets, flat)
    return pa.table({"id": columns["id"], "text": pa.array(columns["text"].tolist()), "vector": vectors})


def fresh(rows: list[dict]) -> Callable[[], list[dict]]:
    """Copy the dicts (not the vectors) for each run: pymilvus writes into the dicts it is given."""
    return lambda: [dict(row) for row in rows]


def bits_of(packed: np.ndarray) -> list[int]:
    return np.unpackbits(packed).tolist()


# --- the cases --------------------------------------------------------------------------------------------------------


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


def batch_parquet(n_rows: int, n_batch_rows: int) -> Case:
    """Columns to uncompressed Parquet against PyArrow, and against numpy.save of the vectors alone."""
    columns = make_columns(n_batch_rows)
    table = arrow_table(columns)
    given = columns | {"text": table["text"].combine_chunks()}
    vectors = {"vector": columns["vector"]}
    add = partial(Contender, n_rows=n_batch_rows, check=check_files(columns))
    rival = partial(add, prepare=lambda: table, rival=True)
    plain = partial(pyarrow_write, compression="none")
    run = vecmill_run(append_batches, "PARQUET")
    contenders = [
        rival("pyarrow", run=plain),
        rival("pyarrow, groups of 8192", run=partial(plain, row_group_size=BATCH_ROWS)),
        Contender("numpy.save vectors", n_batch_rows, numpy_save, check_files(vectors), lambda: vectors, rival=True),
        add("one batch", run=run, prepare=lambda: [given]),
        add("batches of 8192", run=run, prepare=lambda: pieces(given)),
        add("one Arrow table", run=run, prepare=lambda: [table]),
    ]
    targets = [Target(c.name, r.name, 1.0, 8.0) for c in contenders[3:] for r in contenders[:2]]
    return Case("batch_parquet", f"append_batch -> Parquet, {n_batch_rows:,} rows x 768", contenders, targets)


def batch_parquet_zstd(n_rows: int, n_batch_rows: int) -> Case:
    """Columns to Parquet with zstd against PyArrow at level 1; the sizes count as well."""
    columns = make_columns(n_batch_rows)
    table = arrow_table(columns)
    given = columns | {"text": table["text"].combine_chunks()}
    add = partial(Contender, n_rows=n_batch_rows, check=check_files(columns))
    zstd = partial(pyarrow_write, compression="zstd", compression_level=1)
    contenders = [
        add("pyarrow zstd-1", run=zstd, prepare=lambda: table, rival=True),
        add(
            "pyarrow zstd-1, groups of 8192",
            run=partial(zstd, row_group_size=BATCH_ROWS),
            prepare=lambda: table,
            rival=True,
        ),
        add("one batch", run=vecmill_run(append_batches, "PARQUET", {"compression": "zstd"}), prepare=lambda: [given]),
    ]
    targets = [Target("one batch", c.name, 1.0) for c in contenders[:2]]
    return Case("batch_parquet_zstd", f"the same with zstd, {n_batch_rows:,} rows x 768", contenders, targets)


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
    "batch_parquet": batch_parquet,
    "batch_parquet_zstd": batch_parquet_zstd,
    "binary_rows_list": binary_rows("binary_rows_list", bits_of, "lists of 0/1"),
    "binary_rows_bytes": binary_rows("binary_rows_bytes", np.ndarray.tobytes, "bytes"),
    "pack_bits": pack_bits,
    "half_float16": half_case("half_float16", "FLOAT16_VECTOR", lambda: np.dtype(np.float16)),
    "half_bfloat16": half_case("half_bfloat16", "BFLOAT16_VECTOR", bfloat16),
    "text_ucs4": text_ucs4,
}


KERNEL_CASES = ("pack_bits", "text_ucs4")


def without_ours(case: Case) -> Case:
    return Case(case.name, case.title, [c for c in case.contenders if c.rival])


def chosen(names: Sequence[str] | None) -> Iterator[str]:
    """Yield the cases asked for; a name stands for every case that starts with it."""
    for name in CASES:
        if not names or any(name.startswith(n) for n in names):
            yield name


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help=f"cases, or how their names begin: {', '.join(CASES)}"
    )
    parser.add_argument("--rounds", type=int, help="recorded rounds (5; 3 with --quick)")
    parser.add_argument("--rows", type=int, default=20_000, help="rows of the row cases (%(default)s)")
    parser.add_argument("--batch-rows", type=int, default=100_000, help="rows of the batch cases (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows, 3 rounds: a smoke test, no figure")
    parser.add_argument("--rivals-only", action="store_true", help="leave vecmill out")
    parser.add_argument("--fsync", action="store_true", help="fsync every file inside the clock, for all alike")
    parser.add_argument("--dir", help="folder on the disk to write to (current)")
    parser.add_argument("--json", metavar="FILE", help="store figures and environment")
    args = parser.parse_args()
    shrink = 10 if args.quick else 1
    rounds = args.rounds or (3 if args.quick else 5)
    console = Console(width=None if sys.stdout.isatty() else 200)
    if vecmill is None:
        console.print("[yellow]vecmill cannot be imported (PYTHONPATH=src?): timing the rivals only")
    if args.quick:
        console.print("[yellow]--quick is a smoke test: its ratios are no figures")
    stored, wrong = [], False
    with work_folder(args.dir) as folder:
        for name in chosen(args.only):
            case = CASES[name](args.rows // shrink, args.batch_rows // shrink)
            if args.rivals_only or (vecmill is None and name not in KERNEL_CASES):
                case = without_ours(case)
            results = run_interleaved(case, rounds, folder, fsync=args.fsync)
            stored.append(report(console, case, results))
            wrong |= any(r.wrong for r in results)
            write_json(args.json, folder, stored)
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
